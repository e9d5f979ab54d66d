"""``kato-fast explain``: where the original answered instead, why, how often, and what it cost."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
from typing import Any

from kato_fast.cli.output import FINDING, OK, command, help_text, print_json
from kato_fast.cli.runtime import Json, Runtime, use

HELP = help_text(
    "List every fallback of the running processes: its reason code, its place, its share of the calls, the time lost.",
    "there were fallbacks",
    "kato-fast explain",
    "kato-fast explain --json",
)


@command("explain")
def explain(runtime: Runtime = None, as_json: Json = False) -> int:
    import kato_fast
    from kato_fast import rollout

    folder = use(runtime)
    running = rollout.processes()
    found = [{"pid": one["pid"], **entry} for one in running for entry in one["explain"]]
    found += [{"pid": None, "name": "import", **entry} for entry in kato_fast.explain()]
    found.sort(key=lambda entry: -entry["count"])
    without = [{"pid": one["pid"], "flags": one["without_effect"]} for one in running if one.get("without_effect")]
    if as_json:
        print_json("explain", runtime=str(folder), processes=len(running), fallbacks=found, without_effect=without)
    else:
        _print(found, len(running))
        _print_without(without)
    return FINDING if found else OK


def _print_without(found: list[dict[str, Any]]) -> None:
    for process in found:
        print(f"flags that switch nothing in process {process['pid']}:")
        for flag, reason in process["flags"].items():
            print(f"    {flag}: {reason}")


def _print(found: list[dict[str, Any]], running: int) -> None:
    from kato_fast.rollout import REASONS

    print(f"{running} running process{'' if running == 1 else 'es'}, {len(found) or 'no'} kinds of fallback")
    for entry in found:
        share = f", {entry['share']:.1%} of the calls" if "share" in entry else ""
        lost = f", {entry['seconds_lost']:.3f} s lost" if "seconds_lost" in entry else ""
        print(f"{entry['flag']}/{entry['name']}: {entry['reason']}, {entry['count']:,} times{share}{lost}")
        print(f"    {REASONS.get(entry['reason'], '')}")
        if entry.get("detail") or entry.get("where"):
            print(f"    last: {entry.get('detail', '')} {entry.get('where', '')}".rstrip())
