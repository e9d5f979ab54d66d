"""Where modes come from outside of the process: environment, configuration file, files of the runtime directory."""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Mapping
from pathlib import Path

from kato_fast.flags.modes import OFF, Mode, read_mode
from kato_fast.flags.names import ALL, DISABLE, FLAGS, VARIABLES, did_you_mean

#: A file of flags is a few hundred bytes.
MAX_BYTES = 1 << 20


class FlagError(ValueError):
    """One line per value that cannot be read; the start ends with it."""


def from_environment(environment: Mapping[str, str]) -> dict[str, tuple[Mode, str]]:
    """Flag → (mode, variable). An empty variable counts as absent. Raises FlagError with every one that is wrong."""
    found: dict[str, tuple[Mode, str]] = {}
    wrong: list[str] = []
    _note(found, wrong, FLAGS, environment.get(ALL), ALL)
    for variable, flag in VARIABLES.items():
        _note(found, wrong, (flag,), environment.get(variable), variable)
    disabled, errors = _disabled(environment.get(DISABLE, ""))
    found.update(dict.fromkeys(disabled, (OFF, DISABLE)))
    if wrong or errors:
        raise FlagError("\n".join(wrong + errors))
    return found


def _note(found: dict, wrong: list, flags, text, variable: str) -> None:
    if text is None or not text.strip():
        return
    try:
        mode = read_mode(text, variable)
    except ValueError as error:
        wrong.append(str(error))
        return
    found.update(dict.fromkeys(flags, (mode, variable)))


def _disabled(text: str) -> tuple[list[str], list[str]]:
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if "*" in words:
        return list(FLAGS), []
    wrong = [
        f"{DISABLE} must list some of {', '.join(FLAGS)}, or *, not {word[:60]!r}{did_you_mean(word, FLAGS)}"
        for word in words
        if word not in FLAGS
    ]
    return [word for word in words if word in FLAGS], wrong


def from_config(path: str) -> dict[str, tuple[Mode, str]]:
    """The section [flags] of an INI file. Raises FlagError, OSError."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(_text(Path(path)), path)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise FlagError(f"{path}: {' '.join(str(error).split())}") from None
    values = dict(parser["flags"]) if parser.has_section("flags") else {}
    return {flag: (mode, path) for flag, mode in read_modes(values, path).items()}


def from_json(path: Path) -> dict[str, Mode]:
    """A file of the runtime directory: an object of flag to mode; none there: nothing. Raises FlagError, OSError."""
    try:
        values = json.loads(_text(path))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise FlagError(f"{path}: is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise FlagError(f"{path}: must hold an object of flag to mode")
    return read_modes(values, str(path))


def read_modes(values: Mapping[str, object], where: str) -> dict[str, Mode]:
    """Flag → mode of such a mapping. Raises FlagError with every fault."""
    found, wrong = {}, []
    for flag, text in values.items():
        if flag not in FLAGS:
            wrong.append(f"{where}: {flag[:60]!r} is no flag{did_you_mean(flag, FLAGS)}")
            continue
        try:
            found[flag] = read_mode(text, f"{where}: {flag}")
        except (TypeError, ValueError) as error:
            wrong.append(str(error))
    if wrong:
        raise FlagError("\n".join(wrong))
    return found


def _text(path: Path) -> str:
    with open(os.fspath(path), "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise FlagError(f"{path}: must have at most {MAX_BYTES} bytes")
    return data.decode("utf-8")
