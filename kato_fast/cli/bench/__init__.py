"""``kato-fast bench``: a load on any KATO URL, two side by side, and a report; each flag off against on."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
from pathlib import Path
from typing import Annotated, Optional

from kato_fast.cli.options import Argument, Option
from kato_fast.cli.output import FINDING, OK, Problem, command, help_text, print_json

KINDS = ("observe", "batch", "stress", "flags")

HELP = help_text(
    """Measure a running KATO or kato_fast; with --against two of them, asked the same, their answers compared.

observe: one request after the other. batch: sequences of --count observations against --pattern-db-size patterns.
stress: an open loop at a fixed --rate; a request that had to wait counts from the moment it was due.

flags: services are started here, each flag off beside everything on, their answers compared first; on folders, or
on --mongo and --redis, where bytes are counted too. --count is of rounds of 18 requests.

It learns for a user of its own and forgets it at the end.""",
    "answers of the two differ, or requests failed",
    "kato-fast bench observe --url http://127.0.0.1:8000 --count 1000",
    "kato-fast bench batch --count 100 --pattern-db-size 1000",
    "kato-fast bench flags --count 20 --pattern-db-size 500 --html flags.html",
    "kato-fast bench stress --concurrent-users 50 --duration 300 --rate 500 --html stress.html",
)


@command("bench")
def bench(
    kind: Annotated[str, Argument(metavar="KIND", help="observe, batch, stress or flags.")],
    url: Annotated[str, Option("--url", metavar="URL", help="Who is measured.")] = "http://127.0.0.1:8000",
    against: Annotated[Optional[str], Option("--against", metavar="URL", help="Another one, side by side.")] = None,
    count: Annotated[int, Option("--count", metavar="N", min=1, max=1_000_000, help="Requests, or items.")] = 100,
    pattern_db_size: Annotated[
        int, Option("--pattern-db-size", metavar="N", min=0, max=1_000_000, help="Patterns learned first.")
    ] = 1000,
    concurrent_users: Annotated[
        int, Option("--concurrent-users", metavar="N", min=1, max=1000, help="Connections of stress.")
    ] = 50,
    duration: Annotated[float, Option("--duration", metavar="S", min=0.1, max=86400, help="Of stress.")] = 30.0,
    rate: Annotated[float, Option("--rate", metavar="N", min=0.1, max=100000, help="Requests a second.")] = 100.0,
    only: Annotated[
        Optional[str], Option("--only", metavar="FLAGS", help="Rows of flags, with commas; all is the last one.")
    ] = None,
    mongo: Annotated[Optional[str], Option("--mongo", metavar="URI", help="Of the services of flags.")] = None,
    redis: Annotated[Optional[str], Option("--redis", metavar="URI", help="Of the services of flags.")] = None,
    seed: Annotated[int, Option("--seed", metavar="N", help="Equal seeds ask the same.")] = 1,
    html: Annotated[Optional[Path], Option("--html", metavar="FILE", help="Write a report with plots.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    from kato_fast.cli.bench import load, report

    if kind not in KINDS:
        raise Problem(f"KIND must be one of {', '.join(KINDS)}, not {kind!r}")
    if kind == "flags":
        return _flags(count, pattern_db_size, seed, only, mongo, redis, html, as_json)
    plan = load.Plan(kind, count, pattern_db_size, concurrent_users, duration, rate, seed)
    runs = [load.run(plan, target) for target in (url, against) if target is not None]
    result = report.result(plan, runs)
    if html is not None:
        html.write_text(report.page(result), "utf-8")
    if as_json:
        print_json("bench", **result)
    else:
        print(report.text(result))
    return FINDING if result["errors"] or result["match_rate"] not in (None, 1.0) else OK


def _flags(count, patterns, seed, only, mongo, redis, page, as_json) -> int:
    from kato_fast.cli.bench import switched, table

    rows = switched.ROWS if only is None else tuple(only.split(","))
    strange = [row for row in rows if row not in switched.ROWS]
    if strange:
        raise Problem(f"--only must name some of {', '.join(switched.ROWS)}, not {strange[0]!r}")
    plan = switched.Plan(count, patterns, seed, rows, mongo, redis)
    result = table.result(plan, switched.run(plan))
    if page is not None:
        page.write_text(table.page(result), "utf-8")
    if as_json:
        print_json("bench", **result)
    else:
        print(table.text(result))
    return OK if result["equal"] else FINDING
