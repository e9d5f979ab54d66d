"""``kato-fast shadow``: what comparing both sides has found so far."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
from typing import Any

from kato_fast.cli.output import FINDING, OK, command, help_text, print_json
from kato_fast.cli.runtime import Json, Runtime, use

HELP = help_text(
    """Show, for each flag on shadow or canary, how many calls were compared, what the judge holds, and the files of
differences. A flag is set to shadow by: kato-fast flags FLAG=shadow""",
    "there are differences",
    "kato-fast shadow",
    "kato-fast shadow --json",
)


@command("shadow")
def shadow(runtime: Runtime = None, as_json: Json = False) -> int:
    from kato_fast import rollout
    from kato_fast.rollout.replay import FOLDER

    folder = use(runtime)
    judged = [
        {"pid": one["pid"], "flag": flag, **found}
        for one in rollout.processes()
        for flag, found in one.get("judges", {}).items()
    ]
    files = sorted(str(path) for path in (folder / FOLDER).glob("*.json"))
    if as_json:
        print_json("shadow", runtime=str(folder), judged=judged, differences=files)
    else:
        _print(judged, files)
    return FINDING if files else OK


def _print(judged: list[dict[str, Any]], files: list[str]) -> None:
    if not judged:
        print("no call was compared yet; kato-fast flags FLAG=shadow begins")
    for one in judged:
        effect = f", {one['effect']:.2f} times the original's time" if one["effect"] else ""
        state = one["alarm"] or ("not slower" if one["fine"] else "not enough calls to say")
        print(f"{one['flag']} (process {one['pid']}): {one['pairs']:,} compared{effect}; {state}")
    for file in files:
        print(f"difference: kato-fast replay {file}")
