"""``python -m benchmarks [question] [options]``."""

from __future__ import annotations

import argparse
import importlib
import inspect
import math
import shlex
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Optional

from benchmarks import QUESTIONS, machine
from benchmarks.measure import LEAST_ROUNDS

RESULTS = Path(__file__).parent / "results"

#: Options that may be other than positive, or have to be more.
LEAST = {"rounds": LEAST_ROUNDS, "zipf": 0.0, "threshold": 0.0, "files": 0, "seed": 0}
MORE_THAN_NOTHING = {int: 1, float: 0.001}


def main(arguments: Optional[list[str]] = None) -> None:
    """Ask the question named, or all; print and store what came out. A goal that is missed is told, no error."""
    arguments = sys.argv[1:] if arguments is None else arguments
    given = _parser().parse_args(arguments)
    if given.question:
        _ask(given.module, given, arguments)
        return
    for name, module in _modules():
        _ask(module, _parser().parse_args([name]), [name])


def _modules() -> list[tuple[str, ModuleType]]:
    return [(name, importlib.import_module(f"benchmarks.{name}")) for name in QUESTIONS]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure kato_fast against named peers; without a question, ask all of them with their defaults.",
        epilog="example: python -m benchmarks predict --rounds 5   (each question has its own --help)",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    questions = parser.add_subparsers(dest="question", metavar="question")
    for name, module in _modules():
        _add_question(questions, name, module)
    return parser


def _add_question(questions, name: str, module: ModuleType) -> None:
    parser = questions.add_parser(
        name,
        help=module.__doc__.splitlines()[0],
        description=module.__doc__,
        epilog=f"example: {module.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option, parameter in inspect.signature(module.run).parameters.items():
        default = parameter.default
        text = f"{module.OPTIONS[option]} (default {default})"
        kind = partial(_number, type(default), LEAST.get(option, MORE_THAN_NOTHING[type(default)]))
        parser.add_argument(f"--{option}", type=kind, default=default, metavar="N", help=text)
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        default=RESULTS / f"{name}.json",
        help=f"where the result is stored (default benchmarks/results/{name}.json)",
    )
    parser.set_defaults(module=module)


def _number(kind: type, least: float, text: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        raise argparse.ArgumentTypeError(
            f"must be {'a whole' if kind is int else 'a'} number from {least}, not {text!r}"
        )
    return value


def _ask(module: ModuleType, given: argparse.Namespace, arguments: list[str]) -> None:
    options = {option: getattr(given, option) for option in inspect.signature(module.run).parameters}
    before = machine.load()
    result = module.run(**options)
    result.run = {
        "command": shlex.join(["python", "-m", "benchmarks", *_without_json(arguments)]),
        "options": options,
        "machine": machine.describe(),
        "load_before_and_after": [before, machine.load()],
        "versions": machine.versions(),
    }
    print(result.text())
    result.store(given.json)
    print(f"stored in {given.json}\n", flush=True)


def _without_json(arguments: list[str]) -> list[str]:
    """Where a result was stored is nobody's business but the caller's."""
    if "--json" in arguments:
        at = arguments.index("--json")
        arguments = arguments[:at] + arguments[at + 2 :]
    return [argument for argument in arguments if not argument.startswith("--json=")]


if __name__ == "__main__":
    main()
