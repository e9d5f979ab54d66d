"""``kato-fast kill``: every optimisation off, in every process, within a second."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
from typing import Annotated

from kato_fast.cli.options import Option
from kato_fast.cli.output import OK, command, help_text, print_json
from kato_fast.cli.runtime import By, Json, Runtime, Why, use, who

HELP = help_text(
    """Switch every flag off, in every process of this installation, within a second; --revive takes it back.

Writes the file "kill" into the runtime directory; no service, Redis or MongoDB is needed for it.""",
    "not used by this command",
    "kato-fast kill --why 'answers look wrong'",
    "kato-fast kill --revive",
)


@command("kill")
def kill(
    revive: Annotated[bool, Option("--revive", help="Let the flags hold again.")] = False,
    runtime: Runtime = None,
    by: By = None,
    why: Why = "",
    as_json: Json = False,
) -> int:
    from kato_fast import flags, rollout

    folder = use(runtime)
    (flags.revive if revive else flags.kill)(by=who(by), why=why)
    pids = [one["pid"] for one in rollout.processes()]
    if as_json:
        print_json("kill", killed=not revive, runtime=str(folder), processes=pids)
        return OK
    processes = f"{len(pids)} process{'' if len(pids) == 1 else 'es'}" if pids else "no process yet"
    print(f"{'the flags hold again' if revive else 'everything is off'} ({processes}, {folder})")
    return OK
