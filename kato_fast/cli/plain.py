"""The commands of ``kato-fast``, put together by argparse: where the extra ``cli`` is not installed.

The same commands and options. Without completion, and what needs rich to draw says so.
"""

from __future__ import annotations

import argparse
import inspect
import typing
from collections.abc import Sequence
from typing import Any, Callable, Optional, Union

from kato_fast.cli.commands import ABOUT, COMMANDS


def run(arguments: Sequence[str]) -> None:
    """Run a command; ends the process with its code."""
    given = vars(_parser().parse_args(arguments))
    given.pop("function")(**given)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="kato-fast", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, text, function in COMMANDS:
        text = text.replace("\b\n", "")
        command = commands.add_parser(
            name,
            help=_printed(text.split("\n")[0]),
            description=_printed(text),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(function=function)
        _add_parameters(command, function)
    return parser


class _Parser(argparse.ArgumentParser):
    """One clear line, as typer's."""

    def error(self, message: str) -> typing.NoReturn:
        self.exit(2, f"{self.prog}: {message}; --help shows what there is\n")


def _add_parameters(command: argparse.ArgumentParser, function: Callable) -> None:
    hints = typing.get_type_hints(inspect.unwrap(function), include_extras=True)
    for name, parameter in inspect.signature(inspect.unwrap(function)).parameters.items():
        kind, declared = typing.get_args(hints[name])
        default = parameter.default
        if getattr(declared, "positional", False):
            _add_argument(command, name, kind, declared, default)
        else:
            _add_option(command, name, kind, declared, default)


def _add_argument(command: argparse.ArgumentParser, name: str, kind: Any, declared: Any, default: Any) -> None:
    kind, many = _plain(kind)
    needed = default is inspect.Parameter.empty
    count = ("+" if needed else "*") if many else (None if needed else "?")
    options = {} if needed or many else {"default": default}
    command.add_argument(
        name,
        nargs=count,
        type=_reader(kind, declared),
        help=_printed(declared.help),
        metavar=_shown(declared, name),
        **options,
    )


def _printed(text: Optional[str]) -> Optional[str]:
    """A text of help with its percent signs doubled, which argparse takes for fields."""
    return text and text.replace("%", "%%")


def _shown(declared: Any, name: str) -> str:
    return (declared.metavar or name.upper()).strip("[].")


def _add_option(command: argparse.ArgumentParser, name: str, kind: Any, declared: Any, default: Any) -> None:
    names = [word for word in declared.param_decls if word.startswith("-")] or ["--" + name.replace("_", "-")]
    kind, many = _plain(kind)
    if kind is bool:
        off = [half for word in names for half in word.split("/")[1:]]
        names = [word.split("/")[0] for word in names]
        command.add_argument(*names, dest=name, action="store_true", default=default, help=_printed(declared.help))
        if off:
            command.add_argument(*off, dest=name, action="store_false", default=default)
        return
    needed = default is inspect.Parameter.empty
    command.add_argument(
        *names,
        dest=name,
        action="append" if many else "store",
        type=_reader(kind, declared),
        required=needed,
        default=None if needed else default,
        metavar=_shown(declared, name),
        help=_printed(declared.help),
    )


def _plain(kind: Any) -> tuple[Any, bool]:
    """The type of one value, and whether there may be many."""
    if typing.get_origin(kind) is Union:
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    if typing.get_origin(kind) is list:
        return typing.get_args(kind)[0], True
    return kind, False


def _reader(kind: Callable[[str], Any], declared: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = kind(text)
        least: Optional[Any] = declared.min
        most: Optional[Any] = declared.max
        if (least is not None and value < least) or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"{text} is not in the range {least} to {most}")
        return value

    read.__name__ = getattr(kind, "__name__", "value")
    return read
