"""``kato-fast explain-queries``: which indexes a MongoDB database has, and how the server uses them."""

# No postponed annotations in this module: on Python 3.9 typer does not find what they hold.
from typing import Annotated, Any

from kato_fast.cli.options import Argument, Option
from kato_fast.cli.output import ENVIRONMENT, FINDING, OK, Problem, command, help_text, print_json

HELP = help_text(
    """Show the indexes of a MongoDB database and the server's own plan of each query that is asked of it.

--make makes the indexes for symbols and frequency, for the hashed name of a pattern, and for name and frequency of a
symbol, in the background; made again they stay as they are. Passwords of an address are shown nowhere.""",
    "an index is missing",
    "kato-fast explain-queries mongodb://127.0.0.1/demo_kato",
    "kato-fast explain-queries mongodb://127.0.0.1/demo_kato --make --json",
)


@command("explain-queries")
def explain_queries(
    address: Annotated[str, Argument(metavar="ADDRESS", help="MongoDB's address with the database.")],
    make: Annotated[bool, Option("--make", help="Make the indexes that are missing.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    from kato_fast.stores import mongo_indexes
    from kato_fast.stores.mongo_driver import open_database

    try:
        database = open_database(address)
    except (ValueError, ImportError) as error:
        raise Problem(str(error)) from None
    try:
        made = mongo_indexes.make_indexes(database) if make else {}
        present = mongo_indexes.indexes(database)
        plans = mongo_indexes.explained(database)
    except OSError as error:
        raise Problem(str(error), ENVIRONMENT) from None
    finally:
        database.close()
    missing = mongo_indexes.missing(present)
    found = {"database": database.where, "indexes": present, "made": made, "missing": missing, "queries": plans}
    if as_json:
        print_json("explain-queries", **found)
    else:
        _print(found)
    return FINDING if missing else OK


def _print(found: dict[str, Any]) -> None:
    print(found["database"])
    for name, key in found["indexes"].items():
        print(f"  index    {name}: {', '.join(f'{field} {order}' for field, order in key.items())}")
    for name, what in found["made"].items():
        print(f"  {'made' if what == 'made' else 'asked':<8} {name}: {what}")
    for name in found["missing"]:
        print(f"  missing  {name}; --make makes it")
    for query in found["queries"]:
        plan = query["plan"]
        shown = plan.get("error") or " < ".join(plan["stages"]) or "the server tells no plan"
        print(f"  query    {query['collection']}, {query['query']}: {shown}")
