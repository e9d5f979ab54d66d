"""``kato-fast flags``: which optimisation runs how, and who said so."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Optional

from kato_fast.cli.options import Argument, Option
from kato_fast.cli.output import FINDING, OK, Problem, command, help_text, print_json
from kato_fast.cli.runtime import By, Json, Runtime, Why, use, who

HELP = help_text(
    """Show each flag, its mode and where that came from, in every running process; or set some.

FLAG=MODE sets it in every process within a second, FLAG= takes that back. Modes: off, shadow, canary:<percent>, on,
require. Without a running process, what one that is started here would have.""",
    "--audit found a changed line",
    "kato-fast flags",
    "kato-fast flags batch=canary:5 --why 'first try'",
    "kato-fast flags --audit --json",
)


@command("flags")
def flags(
    settings: Annotated[Optional[list[str]], Argument(metavar="[FLAG=MODE]...", help="What to set.")] = None,
    audit: Annotated[bool, Option("--audit", help="Check the chain of the audit log.")] = False,
    clear: Annotated[
        Optional[str], Option("--clear", metavar="FLAG", help="End the latch that a rollback left.")
    ] = None,
    runtime: Runtime = None,
    by: By = None,
    why: Why = "",
    as_json: Json = False,
) -> int:
    folder = use(runtime)
    if audit:
        return _audit(as_json)
    _set(settings or [], who(by), why)
    if clear is not None:
        _clear(clear, who(by), why)
    fields = shown(str(folder))
    if as_json:
        print_json("flags", **fields)
    else:
        _print(fields)
    return OK


def _set(settings: list[str], by: str, why: str) -> None:
    from kato_fast import flags

    pairs = [text.partition("=") for text in settings]
    for text, (flag, sign, mode) in zip(settings, pairs):  # all of them first
        if not sign:
            raise Problem(f"{text!r} must be FLAG=MODE, such as batch=on")
        flags.check_flag(flag)
        if mode:
            flags.read_mode(mode, flag)
    for flag, _, mode in pairs:
        flags.set_runtime(flag, mode or None, by=by, why=why)


def _clear(flag: str, by: str, why: str) -> None:
    from kato_fast import rollout

    if not rollout.clear(flag, by=by, why=why):
        raise Problem(f"{flag} has no latch")


def shown(folder: str) -> dict[str, Any]:
    """The flags of every process, and the latches."""
    from kato_fast import flags, rollout
    from kato_fast.flags import watch

    running = rollout.processes()
    found: dict[str, Any] = {"runtime": folder, "processes": []}
    for one in running:
        shown = {name: one[name] for name in ("pid", "name", "started", "flags")}
        found["processes"].append({**shown, "without_effect": one.get("without_effect", {})})
    if not running:
        watch.look(strict=True)
        resolutions = [flags.resolution(flag) for flag in flags.FLAGS]
        own = {one.flag: {"mode": str(one.mode), "origin": one.origin, "detail": one.detail} for one in resolutions}
        found["would_be"] = own
    found["latches"] = rollout.latches()
    return found


def _print(fields: dict[str, Any]) -> None:
    if not fields["processes"]:
        print(f"no process runs with {fields['runtime']}; one that is started here would have")
        _table(fields["would_be"])
    for process in fields["processes"]:
        print(f"{process['name']}, process {process['pid']}")
        _table(process["flags"], process["without_effect"])
    for flag, latch in fields["latches"].items():
        print(f"{flag} was rolled back ({latch['reason']}); kato-fast flags --clear {flag} lets it go on")


def _table(flags: dict[str, Any], without: Mapping[str, str] = MappingProxyType({})) -> None:
    for flag, one in flags.items():
        line = f"  {flag:<20} {one['mode']:<12} {one['origin']} {one['detail']}".rstrip()
        print(f"{line}; no effect here: {without[flag]}" if flag in without else line)


def _audit(as_json: bool) -> int:
    from kato_fast.flags import audit

    right, fault = audit.verify()
    if as_json:
        print_json("flags", audit={"lines": right, "fault": fault})
    else:
        print(fault or f"{right} lines, unbroken")
    return OK if fault is None else FINDING
