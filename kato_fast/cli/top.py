"""``kato-fast top``: a running service, live, as text."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
import sys
import time
from typing import Annotated, Any

from kato_fast.cli.options import Option
from kato_fast.cli.output import ENVIRONMENT, OK, Problem, command, help_text, print_json
from kato_fast.cli.status import DEFAULT_URL, fetched

HELP = help_text(
    "Show a running service live: the four answers, latencies, flags and alerts. Ctrl-C ends it, --once looks once.",
    "not used by this command",
    "kato-fast top",
    "kato-fast top --url http://127.0.0.1:8000 --once",
)

_HEADS = ("endpoint or path", "calls", "errors", "p50", "p95", "p99", "p99.9")


@command("top")
def top(
    url: Annotated[str, Option("--url", metavar="URL", help="Address of the service.")] = DEFAULT_URL,
    every: Annotated[float, Option("--every", metavar="S", min=0.2, max=3600, help="Seconds between looks.")] = 1.0,
    once: Annotated[bool, Option("--once", help="Look once and end; so does output to a file.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print one look as JSON.")] = False,
) -> int:
    found = fetched(url, "/ui/data?points=2")
    if as_json:
        print_json(
            "top", url=url, **{key: found[key] for key in ("answers", "endpoints", "flags", "alerts", "workers")}
        )
        return OK
    if once or not sys.stdout.isatty():
        print("\n".join(lines(url, found)))
        return OK
    return _live(url, every)


def _live(url: str, every: float) -> int:
    try:
        from rich.live import Live
        from rich.text import Text
    except ImportError:
        raise Problem("a live view needs the extra: pip install kato_fast[cli]; --once does not", ENVIRONMENT) from None
    last, shown = time.strftime("%H:%M:%S"), ["waiting"]
    with Live(Text(""), screen=True, auto_refresh=False) as live:
        while True:
            try:
                shown = lines(url, fetched(url, "/ui/data?points=2"))
                last, note = time.strftime("%H:%M:%S"), []
            except Problem as problem:
                note = [f"stale since {last}: {problem}", ""]
            live.update(Text("\n".join([*note, *shown]), no_wrap=True, overflow="crop"), refresh=True)
            time.sleep(every)


def lines(url: str, found: dict[str, Any]) -> list[str]:
    """The view as lines of text."""
    answers = found["answers"]
    workers = found["workers"]
    text = [f"kato_fast {found['version']} at {url}, {workers} worker{'s' if workers != 1 else ''}", ""]
    names = {"is-on": "on", "is-right": "right", "is-faster": "faster", "fell-back": "fell back"}
    text += [f"{name:<10} {answers[key]['answer']}: {answers[key]['why']}" for key, name in names.items()]
    moved = [row for row in found["flags"] if row["mode"] != "off" or row["calls"]]
    text += ["", "flags: " + (", ".join(f"{row['flag']} {row['mode']}" for row in moved) or "all off")]
    used = [
        f"{row['worker']}: {row['cpu_percent']:.0f} %, {row['resident_bytes'] / 2**20:.0f} MiB"
        for row in _sampled(found)
    ]
    text += ["workers: " + ("; ".join(used) or "no sample yet")]
    bad = [row for row in found["alerts"] if row["state"] != "ok"]
    text += ["alerts: " + ("; ".join(f"{row['name']} {row['state']}: {row['text']}" for row in bad) or "none")]
    text += ["", "{:<40}{:>10}{:>8}{:>10}{:>10}{:>10}{:>10}".format(*_HEADS)]
    for row in found["endpoints"][:15]:
        times = [_milliseconds(row[key]) for key in ("p50", "p95", "p99", "p999")]
        text.append(
            "{:<40}{:>10,}{:>8}{:>10}{:>10}{:>10}{:>10}".format(
                row["name"][:39], row["calls"], row["errors"] or 0, *times
            )
        )
    return text


def _sampled(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in found["processes"] if "cpu_percent" in row and "resident_bytes" in row]


def _milliseconds(seconds: Any) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.3g} ms"
