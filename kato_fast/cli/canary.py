"""``kato-fast canary``: a rollout of one flag in stages, by itself."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
import time
from typing import Annotated, Any, Optional

from kato_fast.cli.options import Argument, Option
from kato_fast.cli.output import FINDING, OK, Problem, command, help_text, print_json
from kato_fast.cli.runtime import By, Json, Runtime, use, who

HELP = help_text(
    """Show the rollouts, or begin, stop or resume one: shadow, then 1, 5, 25, 50, 100 % of the sessions, then on.

The next stage comes by itself when enough calls were compared, nothing is worse and "a quarter slower" is ruled out.
What is worse is rolled back; what stays unclear for a day is paused.""",
    "a rollout is paused or was rolled back",
    "kato-fast canary",
    "kato-fast canary native_matching --start --least-seconds 600",
    "kato-fast canary native_matching --stop",
)


@command("canary")
def canary(
    flag: Annotated[Optional[str], Argument(metavar="[FLAG]", help="Which flag to begin, stop or resume.")] = None,
    start: Annotated[bool, Option("--start", help="Begin, at --first.")] = False,
    stop: Annotated[bool, Option("--stop", help="End it; the flag is as it would be without it.")] = False,
    resume: Annotated[bool, Option("--resume", help="Go on with one that is paused.")] = False,
    first: Annotated[str, Option("--first", metavar="STAGE", help="Where to begin: shadow, canary:1, ...")] = "shadow",
    least_seconds: Annotated[float, Option("--least-seconds", metavar="S", help="Of each stage.")] = 60.0,
    least_pairs: Annotated[int, Option("--least-pairs", metavar="N", help="Calls compared in each stage.")] = 200,
    runtime: Runtime = None,
    by: By = None,
    as_json: Json = False,
) -> int:
    from kato_fast.rollout import ramp

    folder = use(runtime)
    if start + stop + resume > 1 or (start or stop or resume) != (flag is not None):
        raise Problem("name a flag and one of --start, --stop, --resume, or nothing to see all")
    if start:
        ramp.start(flag, by=who(by), first=first, least_seconds=least_seconds, least_pairs=least_pairs)
    elif resume:
        ramp.resume(flag, by=who(by))
    elif stop and not ramp.stop(flag, by=who(by)):
        raise Problem(f"{flag} has no rollout")
    found = ramp.states()
    if as_json:
        print_json("canary", runtime=str(folder), rollouts=found)
    else:
        _print(found)
    return FINDING if any(one["state"] in ("paused", "rolled back") for one in found.values()) else OK


def _print(found: dict[str, Any]) -> None:
    if not found:
        print("no rollout; kato-fast canary FLAG --start begins one")
    for flag, one in sorted(found.items()):
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one["since"]))
        print(f"{flag}: {one['state']} at {one['stage']} since {since}, begun by {one['by']}")
