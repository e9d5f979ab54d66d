"""The commands of ``kato-fast``, put together."""

from __future__ import annotations

import typer

from kato_fast.cli import doctor, learn, predict, serve, snapshot, status

app = typer.Typer(
    name="kato-fast",
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback(help="KATO's answers, digit for digit, from an engine in C.\n\nExample:\n\n    kato-fast serve --demo")
def _main(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """--version is answered before this module is imported."""


app.command("serve", help=serve.HELP)(serve.serve)
app.command("learn", help=learn.HELP)(learn.learn)
app.command("predict", help=predict.HELP)(predict.predict)
app.command("snapshot", help=snapshot.HELP)(snapshot.snapshot)
app.command("doctor", help=doctor.HELP)(doctor.doctor)
app.command("status", help=status.HELP)(status.status)
