"""``kato-fast serve``: KATO's HTTP API on this machine."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
import errno
import ipaddress
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

from kato_fast.cli.options import Option
from kato_fast.cli.output import ENVIRONMENT, INTERRUPTED, Interrupts, Problem, command, help_text

if TYPE_CHECKING:
    from kato_fast.service.settings import Settings

#: Where --demo keeps its knowledge if --data does not say.
DEMO_FOLDER = "demo-data"

HELP = help_text(
    """Serve KATO's HTTP API on this machine until Ctrl-C.

--demo learns the functions of Python's standard library for the user "demo" at the first start: send the header
x-user-id: demo. Environment variables set what has no option here (see the documentation of the service).""",
    "not used by this command",
    "kato-fast serve --demo",
    "kato-fast serve --data knowledge/ --port 8001",
)


@command("serve")
def serve(
    data: Annotated[
        Optional[Path],
        Option("--data", metavar="DIR", help="Folder of the knowledge, made if missing; without it, none is kept."),
    ] = None,
    demo: Annotated[bool, Option("--demo", help=f"Learn the demo first; into {DEMO_FOLDER}/ without --data.")] = False,
    host: Annotated[Optional[str], Option(help="127.0.0.1 by default; only addresses of this machine.")] = None,
    port: Annotated[Optional[int], Option(metavar="N", help="8000 by default; 0 takes a free one.")] = None,
    profile: Annotated[Optional[str], Option(help="Which KATO is matched; kato-2025-09 by default.")] = None,
    implementation: Annotated[Optional[str], Option(metavar="NAME", help="c or python; as built by default.")] = None,
    redis: Annotated[
        Optional[str],
        Option(metavar="URI", help="Redis of sessions and short-term memories, with the flag stream_memory."),
    ] = None,
    mongo: Annotated[
        Optional[str],
        Option(metavar="URI", help="MongoDB of the knowledge, a database for each user, as KATO's."),
    ] = None,
    workers: Annotated[
        Optional[int],
        Option(metavar="N", help="Processes that serve; 1 by default, more need --data, or --mongo and --redis."),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="Print the line that says where to look as JSON.")] = False,
) -> int:
    _check_extra()
    from kato_fast import service

    settings = _settings(data, demo, host, port, profile, implementation, redis=redis, mongo=mongo, workers=workers)
    if demo and not _learn_demo(settings):
        return INTERRUPTED
    _announce(settings, demo, as_json)
    service.run(settings)
    return INTERRUPTED  # a server ends by Ctrl-C, or by a signal that ends the process


def _check_extra() -> None:
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise Problem("kato-fast serve needs the extra: pip install kato_fast[service]", ENVIRONMENT) from None


def _settings(data, demo, host, port, profile, implementation, **more) -> "Settings":
    from kato_fast import native, rollout
    from kato_fast.service.settings import Settings

    given = {"host": host, "port": port, "profile": profile, "implementation": implementation, **more}
    given["data_dir"] = None if data is None else str(data)
    settings = Settings.from_env(**given)
    if demo and settings.mongo is not None:
        raise Problem("--demo learns into a folder: it goes without --mongo and KATO_FAST_MONGO_URI")
    _check_mongo(settings.mongo)
    _check_redis(settings.redis)
    native.load(settings.implementation)
    rollout.check()  # a flag that cannot be read ends the start here, in one line
    if demo and settings.data_dir is None:
        given["data_dir"] = DEMO_FOLDER
    given["port"] = _free_port(_checked_host(settings.host), settings.port)
    settings = Settings.from_env(**given)
    if settings.data_dir is not None:
        _make_folder(settings.data_dir)
    return settings


def _make_folder(path: str) -> None:
    """Where it is there already, whether a file can be made in it: permissions alone do not tell."""
    if Path(path).is_file():
        raise Problem(f"--data must be a folder, and {path!r} is a file")
    Path(path).mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        raise Problem(f"--data: no file can be made in {path!r}: {error.strerror}", ENVIRONMENT) from None


def _check_mongo(address: Optional[str]) -> None:
    """An address that cannot be right stops the start; a server that is away does not."""
    from kato_fast.stores.mongo_driver import open_database

    if address is not None:
        try:
            open_database(address, "kato").close()
        except (ValueError, ImportError) as error:
            raise Problem(f"--mongo: {error}") from None


def _check_redis(address: Optional[str]) -> None:
    from kato_fast.redis_client.address import parse_url

    if address is not None:
        try:
            parse_url(address)
        except ValueError as error:
            raise Problem(f"--redis: {error}") from None


def _checked_host(host: str) -> str:
    """There is no authentication, so nobody else may reach it."""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise Problem(f"--host must be an address of this machine, such as 127.0.0.1, not {host!r}")
    return host


def _free_port(host: str, port: int) -> int:
    """The port, or a free one for 0; Problem where another program has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Problem(f"port {port} of {host} is in use; choose another with --port", ENVIRONMENT) from None
            raise Problem(f"cannot listen on {host} port {port}: {error.strerror}", ENVIRONMENT) from None
        return probe.getsockname()[1]


def demo_file(settings: "Settings") -> str:
    """Where the service looks for the knowledge of the user ``demo``."""
    from kato_fast.cli.demo import USER
    from kato_fast.service.naming import knowledge_path, processor_id

    return knowledge_path(settings.data_dir, processor_id(USER, settings.service_name))


def _learn_demo(settings: "Settings") -> bool:
    """Whether the demo is there to be served."""
    from kato_fast.cli import demo

    print("kato-fast serve: the demo's knowledge: ", end="", file=sys.stderr, flush=True)
    with Interrupts() as interrupts:
        report = demo.learn(demo_file(settings), settings.implementation, interrupts)
    if report is None:
        print("learned at an earlier start", file=sys.stderr)
        return True
    skipped = sum(skip.count for skip in report.skipped.values())
    print(
        f"{report.learned:,} functions of Python's standard library ({report.files:,} files) in {report.seconds:.1f} s,"
        f" {skipped:,} items skipped" + ("; stopped, the next start goes on" if report.stopped else ""),
        file=sys.stderr,
    )
    return not report.stopped


def _announce(settings: "Settings", demo: bool, as_json: bool) -> None:
    from kato_fast.cli.demo import examples
    from kato_fast.cli.output import print_json
    from kato_fast.service.servers import missing_now
    from kato_fast.service.serving import serving

    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{settings.port}"
    curls = list(examples(address)) if demo else [f"curl -s {address}/health"]
    if as_json:
        print_json("serve", url=address, data=settings.data_dir, demo=demo, http=str(serving()), examples=curls)
        return
    kept = f"knowledge in {settings.data_dir}/" if settings.data_dir else "nothing is kept: no --data"
    if settings.mongo is not None:
        kept = "knowledge in MongoDB"
    print(f"kato-fast serves on {address} (API: {address}/docs; {kept}; {serving()}; Ctrl-C ends it)")
    for why in missing_now(settings):
        print(f"kato-fast serve: {why}; what needs it is answered with 503 until it is there", file=sys.stderr)
    print("Try:", *curls, sep="\n  ", flush=True)
