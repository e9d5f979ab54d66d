"""``kato-fast verify-store``: are the counters those of the patterns? ``--repair`` mends them."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
import sqlite3
from pathlib import Path
from typing import Annotated, Any

from kato_fast.cli.options import Argument, Option
from kato_fast.cli.output import ENVIRONMENT, FINDING, OK, Problem, command, help_text, print_json

#: Shown of many.
SHOWN = 20

HELP = help_text(
    """Count again from the patterns of a store, and compare with its counters.

Symbols and totals are sums over the patterns: what differs has drifted, and --repair sets it to the recount. Run it
while nobody learns. Passwords of an address are shown nowhere.""",
    "the counters differ, and were not mended",
    "kato-fast verify-store kb.sqlite3",
    "kato-fast verify-store mongodb://127.0.0.1/demo_kato --repair --json",
)


@command("verify-store")
def verify_store(
    store: Annotated[str, Argument(metavar="STORE", help="An SQLite file, or MongoDB's address with the database.")],
    repair: Annotated[bool, Option("--repair", help="Set the counters to the recount.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    opened = open_named(store)
    try:
        problems = _verified(opened, repair)
        left = opened.verify() if repair and problems else problems
    except (OSError, ValueError, sqlite3.Error) as error:
        raise Problem(str(error), ENVIRONMENT) from None
    finally:
        opened.close()
    where = opened.where if store.startswith("mongodb") else store
    if as_json:
        print_json("verify-store", store=where, found=len(problems), left=len(left), problems=problems[:1000])
    else:
        _print(where, problems, left, repair)
    return FINDING if left else OK


def open_named(store: str) -> Any:
    """The store of that name; Problem where there is none."""
    from kato_fast.stores import open_store

    if "://" not in store and not Path(store).is_file():
        raise Problem(f"no file {store!r}")
    try:
        return open_store(store)
    except (ValueError, ImportError, OSError) as error:
        raise Problem(str(error), ENVIRONMENT) from None


def _verified(opened: Any, repair: bool) -> list[str]:
    return opened.verify(repair=True) if repair else opened.verify()


def _print(where: str, problems: list[str], left: list[str], repair: bool) -> None:
    for problem in problems[:SHOWN]:
        print(problem)
    if len(problems) > SHOWN:
        print(f"... and {len(problems) - SHOWN} more")
    if not problems:
        print(f"{where}: the counters equal a recount of the patterns")
    elif repair:
        print(f"{where}: {len(problems) - len(left)} of {len(problems)} differences mended")
    else:
        print(f"{where}: {len(problems)} differences; --repair mends the counters")
