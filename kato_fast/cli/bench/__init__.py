"""``kato-fast bench``: a load on any KATO URL, two side by side, and a report."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
from pathlib import Path
from typing import Annotated, Optional

from kato_fast.cli.options import Argument, Option
from kato_fast.cli.output import FINDING, OK, Problem, command, help_text, print_json

KINDS = ("observe", "batch", "stress")

HELP = help_text(
    """Measure a running KATO or kato_fast; with --against two of them, asked the same, their answers compared.

observe: one request after the other. batch: sequences of --count observations against --pattern-db-size patterns.
stress: an open loop at a fixed --rate; a request that had to wait counts from the moment it was due.

It learns for a user of its own and forgets it at the end.""",
    "answers of the two differ, or requests failed",
    "kato-fast bench observe --url http://127.0.0.1:8000 --count 1000",
    "kato-fast bench batch --count 100 --pattern-db-size 1000",
    "kato-fast bench stress --concurrent-users 50 --duration 300 --rate 500 --html stress.html",
)


@command("bench")
def bench(
    kind: Annotated[str, Argument(metavar="KIND", help="observe, batch or stress.")],
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
    seed: Annotated[int, Option("--seed", metavar="N", help="Equal seeds ask the same.")] = 1,
    html: Annotated[Optional[Path], Option("--html", metavar="FILE", help="Write a report with plots.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    from kato_fast.cli.bench import load, report

    if kind not in KINDS:
        raise Problem(f"KIND must be one of {', '.join(KINDS)}, not {kind!r}")
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
