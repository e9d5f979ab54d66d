"""``kato-fast doctor``: is everything there, and is it well?"""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
import importlib.util
import os
import platform
import socket
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple, Optional

from kato_fast.cli.options import Option
from kato_fast.cli.output import FINDING, OK, Problem, command, help_text, print_json

EXTRAS = {"cli": ("typer", "rich"), "service": ("fastapi", "uvicorn")}
#: UPSERT came with it.
LEAST_SQLITE = (3, 24, 0)

HELP = help_text(
    "Check Python, the engine, SQLite, the extras, the data and the port. Learns and forgets nothing.",
    "something is not as it should be",
    "kato-fast doctor",
    "kato-fast doctor --data kb.sqlite3 --port 8000 --json",
)


class Check(NamedTuple):
    """One thing looked at. ok: False is a finding."""

    name: str
    ok: bool
    detail: str


@command("doctor")
def doctor(
    data: Annotated[
        Optional[Path], Option("--data", metavar="PATH", help="Store file to verify, or folder of them.")
    ] = None,
    port: Annotated[int, Option(min=1, max=65535, metavar="N", help="Port that the service is to use.")] = 8000,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    checks = [*environment(), _port(port)]
    if data is not None:
        checks += _data(data)
    findings = sum(not check.ok for check in checks)
    if as_json:
        print_json("doctor", ok=not findings, findings=findings, checks=[check._asdict() for check in checks])
    else:
        for check in checks:
            print(f"{'ok     ' if check.ok else 'FINDING'}  {check.name:<16} {check.detail}")
        print("all is well" if not findings else f"{findings} finding{'s' if findings > 1 else ''}")
    return FINDING if findings else OK


def environment() -> Iterator[Check]:
    """What does not depend on data or port."""
    yield Check("python", (3, 9) <= sys.version_info < (3, 14), f"{platform.python_version()} at {sys.executable}")
    yield from _engine()
    least = ".".join(map(str, LEAST_SQLITE))
    yield Check("sqlite", sqlite3.sqlite_version_info >= LEAST_SQLITE, f"{sqlite3.sqlite_version}, at least {least}")
    yield from _libraries()
    yield _flags()
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        detail = f"missing {', '.join(missing)}: pip install kato_fast[{extra}]" if missing else ", ".join(modules)
        yield Check(f"extra {extra}", not missing, detail)
        if extra == "service" and not missing:
            yield _http()


def _http() -> Check:
    """Slower is no finding: it serves."""
    from kato_fast.service.serving import serving

    return Check("http", True, str(serving()))


def _engine() -> Iterator[Check]:
    import kato_fast

    status = kato_fast.status()
    core = status["core"]
    if core["available"]:
        yield Check("engine", True, f"{status['implementation']}: {status['reason']}")
        yield Check("cpu", True, " ".join(status["cpu"]) or "baseline instructions only")
    else:
        yield Check("engine", False, f"the slower twin in Python answers: {core['error']}")
        yield Check("cpu", True, platform.machine())


def _libraries() -> Iterator[Check]:
    """A library that was not built in is no finding: something else serves. One that is broken, or open, is."""
    from kato_fast import native
    from kato_fast.cli.holes import hole

    for name, found in native.libraries().items():
        if found["available"]:
            known = hole(name, found["version"])
            detail = found["version"] if known is None else f"{found['version']}: {known}"
            yield Check(f"library {name}", known is None, detail)
            continue
        is_choice = "was not built" in found["reason"] or native.WITHOUT in found["reason"]
        advice = f"{found['reason']}; to have it: apt-get install pkg-config {found['package']}, and build again"
        yield Check(f"library {name}", is_choice, advice)


def _flags() -> Check:
    """What would end the start of a service, and what is set but read by nobody."""
    from kato_fast import rollout
    from kato_fast.flags.names import unknown_variables
    from kato_fast.flags.sources import FlagError, from_config, from_environment

    wrong, config = list(unknown_variables(os.environ)), os.environ.get("KATO_FAST_CONFIG")
    found: dict = {}
    try:
        rollout.check()
        found = {**(from_config(config) if config else {}), **from_environment(os.environ)}
    except FlagError as error:
        wrong += str(error).splitlines()
    except OSError as error:
        where = "KATO_FAST_CONFIG" if error.filename == config else "KATO_FAST_RUNTIME_DIR"
        wrong.append(f"{where}: {error.filename}: {error.strerror}")
    except ModuleNotFoundError as error:
        wrong.append(f"KATO_FAST_OPENFEATURE: {error}")
    said = ", ".join(f"{flag} {mode}" for flag, (mode, _) in sorted(found.items())) or "none set in the environment"
    return Check("flags", not wrong, "; ".join(wrong) or said)


def _port(port: int) -> Check:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return Check("port", True, f"127.0.0.1:{port} is free")
        except OSError as error:
            reason = error.strerror
    if _is_ours(port):
        return Check("port", True, f"a service already answers on 127.0.0.1:{port}")
    return Check("port", False, f"127.0.0.1:{port}: {reason}; choose another with serve --port")


def _is_ours(port: int) -> bool:
    from kato_fast.cli.status import fetched

    try:
        return "service_name" in fetched(f"http://127.0.0.1:{port}", "/health", timeout=1.0)
    except Problem:
        return False


def _data(data: Path) -> Iterator[Check]:
    if not data.exists():
        parent = data.absolute().parent
        yield Check("data", os.access(parent, os.W_OK), f"{data} is not there yet; it would be made in {parent}")
        return
    folder = data if data.is_dir() else data.absolute().parent
    writable = os.access(folder, os.W_OK)
    yield Check("data", writable, f"{folder} {'is' if writable else 'is not'} writable")
    for file in _knowledge_files(data):
        yield _store(file)


def _knowledge_files(data: Path) -> list[Path]:
    from kato_fast.service.naming import sessions_path

    if not data.is_dir():
        return [data]
    sessions = Path(sessions_path(str(data)))
    return [file for file in sorted(data.glob("*.sqlite")) if file != sessions]


def _store(file: Path) -> Check:
    from kato_fast.stores.sqlite import SqliteStore

    try:
        store = SqliteStore(file)
        try:
            faults = list(store.verify())
        finally:
            store.close()
    except (sqlite3.Error, ValueError, OSError) as error:
        return Check("store", False, f"{file}: {error}")
    return Check("store", not faults, f"{file}: {'; '.join(map(str, faults[:5])) or 'whole, counters equal a recount'}")
