"""``kato-fast status``: what a running service or a store file holds."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
import json
from pathlib import Path
from typing import Annotated, Any, Optional

from kato_fast.cli.options import Option
from kato_fast.cli.output import ENVIRONMENT, OK, Problem, command, help_text, print_json

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT = 5.0
#: A status is a few kilobytes; more than this is not one.
MAX_ANSWER = 16 << 20

HELP = help_text(
    "Show what a running service does, or what a store file holds.",
    "not used by this command",
    "kato-fast status --url http://127.0.0.1:8000",
    "kato-fast status --data kb.sqlite3 --json",
)


@command("status")
def status(
    url: Annotated[
        Optional[str], Option(metavar="URL", help=f"Address of the service; {DEFAULT_URL} by default.")
    ] = None,
    data: Annotated[Optional[Path], Option("--data", metavar="FILE", help="Look at a store file instead.")] = None,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    if url is not None and data is not None:
        raise Problem("--url and --data are two questions; ask one")
    fields = of_file(data) if data is not None else {"url": url or DEFAULT_URL, **of_service(url or DEFAULT_URL)}
    if as_json:
        print_json("status", **fields)
    else:
        _print(fields)
    return OK


def of_file(data: Path) -> dict[str, Any]:
    """Figures of a store file."""
    from kato_fast.cli.learn import file_bytes
    from kato_fast.cli.predict import opened

    with opened(data) as kb:
        return {
            "data": str(data),
            "patterns": len(kb),
            "symbols": len(kb.symbols()),
            "totals": kb.totals(),
            "file_bytes": file_bytes(data),
            "memory_bytes": kb.memory(),
        }


def of_service(url: str) -> dict[str, Any]:
    """The service's own /health and /status."""
    return {"health": fetched(url, "/health"), "status": fetched(url, "/status")}


def fetched(url: str, path: str, timeout: float = TIMEOUT) -> dict[str, Any]:
    """The JSON object at the path; Problem where there is none."""
    import http.client
    import urllib.error
    import urllib.request

    if not url.startswith(("http://", "https://")):
        raise Problem(f"--url must begin with http:// or https://, not {url!r}")
    try:
        with urllib.request.urlopen(url.rstrip("/") + path, timeout=timeout) as answer:
            found = json.loads(answer.read(MAX_ANSWER))
    except urllib.error.HTTPError as error:
        raise Problem(f"{url}{path} answers {error.code} {error.reason}", ENVIRONMENT) from None
    except urllib.error.URLError as error:
        raise Problem(f"no service answers at {url}: {error.reason}; kato-fast serve starts one", ENVIRONMENT) from None
    except (OSError, http.client.HTTPException) as error:
        raise Problem(f"no service answers at {url}: {error}", ENVIRONMENT) from None
    except (ValueError, RecursionError):
        raise Problem(f"{url}{path} is not JSON: some other service", ENVIRONMENT) from None
    if not isinstance(found, dict):
        raise Problem(f"{url}{path} is not a JSON object: some other service", ENVIRONMENT)
    return found


def _print(fields: dict[str, Any], indent: str = "") -> None:
    for name, value in fields.items():
        if isinstance(value, dict):
            print(f"{indent}{name}")
            _print(value, indent + "  ")
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            for number, one in enumerate(value, 1):
                print(f"{indent}{name} {number} of {len(value)}")
                _print(one, indent + "  ")
        else:
            shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value
            print(f"{indent}{name:<{max(28 - len(indent), 1)}} {shown}")
