"""Sphinx: `make docs` builds these pages into build/docs, warnings are errors."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

project = "kato_fast"
author = "the kato_fast developers"
copyright = "the kato_fast developers, Apache-2.0"
release = re.search(r'__version__ = "(.*?)"', (ROOT / "kato_fast/_version.py").read_text()).group(1)

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# Pages link to files of the repository, README.md among them, which Sphinx does not build.
suppress_warnings = ["myst.xref_missing"]
nitpicky = True

html_theme = "furo"
html_title = "kato_fast"
html_copy_source = False
html_show_sphinx = False
# Nothing is loaded from elsewhere.
html_theme_options = {"navigation_with_keys": True}


def endpoints() -> str:
    """Each method and path that the service answers, with the first line of its description."""
    from kato_fast.service import Settings, create_app

    rows = ["| endpoint | does |", "| --- | --- |"]
    for path, operations in create_app(Settings()).openapi()["paths"].items():
        for method, operation in operations.items():
            said = operation.get("description", "").split("\n")[0]
            rows.append(f"| `{method.upper()} {path}` | {said} |")
    return "\n".join(rows)


def settings() -> str:
    """Each setting of the service."""
    from kato_fast.service.settings import table

    return table()


def reasons() -> str:
    """Each reason code of a fallback."""
    from kato_fast.rollout import REASONS

    return "\n".join(
        ["| code | meaning |", "| --- | --- |", *(f"| `{code}` | {text} |" for code, text in REASONS.items())]
    )


def options() -> str:
    """Each command's arguments and options."""
    from typer.main import get_command

    from kato_fast.cli.app import app

    lines = []
    for name, command in get_command(app).commands.items():
        lines += ["", f"### `{name}`", "", "| argument | meaning |", "| --- | --- |"]
        for one in command.params:
            words = ", ".join(one.opts) if one.opts[0].startswith("-") else one.metavar or one.name.upper()
            taken = f" {one.metavar}" if one.metavar and words != one.metavar else ""
            meaning = (one.help or "").replace("|", "\\|").replace("\n", " ")
            lines.append(f"| `{words}{taken}` | {meaning} |")
    return "\n".join(lines)


#: A comment `<!-- table: name -->` on a page becomes what the function of that name says.
TABLES = {"endpoints": endpoints, "settings": settings, "reasons": reasons, "options": options}


def fill_tables(app, page, source) -> None:
    """On "source-read": tables that are made from the code cannot differ from it."""
    source[0] = re.sub(r"<!-- table: (\w+) -->", lambda found: TABLES[found[1]](), source[0])


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("source-read", fill_tables)
