"""The commands of ``kato-fast``, put together by typer."""

from __future__ import annotations

import typer

from kato_fast.cli.commands import ABOUT, COMMANDS

app = typer.Typer(
    name="kato-fast",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback(help=ABOUT)
def _main(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """--version is answered before this module is imported."""


def _first_sentence(text: str) -> str:
    """Whole: what typer makes of a help text for the list of commands is cut off in the middle."""
    return " ".join(text.split("\n\n")[0].split()).partition(". ")[0].rstrip(".") + "."


for name, text, function in COMMANDS:
    app.command(name, help=text, short_help=_first_sentence(text))(function)
