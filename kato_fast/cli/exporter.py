"""``kato-fast exporter``: the figures of processes that have no page of their own, for Prometheus."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
import threading
from typing import Annotated

from kato_fast.cli.options import Option
from kato_fast.cli.output import ENVIRONMENT, OK, Problem, command, help_text, print_json
from kato_fast.cli.runtime import Json, Runtime, use

HELP = help_text(
    "Serve the figures of all running processes, an attached KATO's among them, to Prometheus, until Ctrl-C.",
    "not used by this command",
    "kato-fast exporter --port 9464",
    "kato-fast exporter --json",
)


@command("exporter")
def exporter(
    port: Annotated[int, Option("--port", metavar="N", min=0, max=65535, help="Port; 0 for any free one.")] = 9464,
    host: Annotated[str, Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    runtime: Runtime = None,
    as_json: Json = False,
) -> int:
    folder = use(runtime)
    if as_json:
        print_json("exporter", runtime=str(folder), **{key: figures()[key] for key in ("processes", "metrics")})
        return OK
    try:
        from prometheus_client import CollectorRegistry, start_http_server

        from kato_fast.observe.prometheus import Collector
    except ImportError:
        raise Problem("prometheus_client is not installed: pip install kato_fast[service]", ENVIRONMENT) from None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(figures))
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise Problem(f"{host}:{port} cannot be listened on: {error.strerror or error}", ENVIRONMENT) from None
    print(f"http://{host}:{server.server_port}/metrics has the figures of {folder}", flush=True)
    try:
        threading.Event().wait()
    finally:
        server.shutdown()
        server.server_close()
    return OK


def figures() -> dict:
    """The sum over the processes that live, of their last second."""
    from kato_fast import observe, rollout

    return observe.merge(one["figures"] for one in rollout.processes())
