"""Files of differences, each enough by itself: the call, both answers, what differs, who was compared, versions."""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from kato_fast._version import __version__
from kato_fast.flags import runtime
from kato_fast.rollout.compare import Rules, differences
from kato_fast.rollout.encode import decoded, encoded

if TYPE_CHECKING:
    from kato_fast.rollout.choice import Choice

SCHEMA = "kato-fast/difference/1"
FOLDER = "differences"

#: Files that are kept, the first ones; bytes of one.
MOST_FILES, MOST_BYTES = 200, 4 << 20


def keep(choice: Choice, args: tuple, kwargs: dict, original: Any, candidate: Any, found: list[str]) -> None:
    """Write the file of one difference; equal calls share one. It holds the content of a request: mode 0600."""
    sides = (choice.original, choice.candidate)
    if choice.record is not None and choice.players is not None:
        args, kwargs, sides = (choice.record(*args, **kwargs),), {}, choice.players
    keep_call(choice, sides, args, kwargs, (choice.view(original), choice.view(candidate)), found)


def keep_call(
    choice: Choice, sides: tuple[Callable, Callable], args: tuple, kwargs: dict, answers: tuple, found: list[str]
) -> None:
    """The same with the functions that make both answers again from these arguments."""
    call = {"args": encoded(tuple(args)), "kwargs": encoded(dict(kwargs))}
    name = hashlib.sha256(json.dumps([choice.flag, choice.name, call], sort_keys=True).encode()).hexdigest()[:16]
    folder = runtime.made() / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    path = f"{FOLDER}/{choice.flag}-{name}.json"
    if (runtime.directory() / path).exists() or len(list(folder.iterdir())) >= MOST_FILES:
        return
    value = {
        "schema": SCHEMA,
        "flag": choice.flag,
        "name": choice.name,
        "time": time.time(),
        "version": __version__,
        "python": platform.python_version(),
        "original": where(sides[0]),
        "candidate": where(sides[1]),
        "rules": {"tolerance": dict(choice.rules.tolerance), "ties": choice.rules.ties},
        "call": call,
        "answers": dict(zip(("original", "candidate"), map(encoded, answers))),
        "differences": found,
    }
    text = json.dumps(value, ensure_ascii=True, indent=1)
    if len(text) <= MOST_BYTES:
        (runtime.directory() / path).touch(mode=0o600)
        (runtime.directory() / path).write_text(text, "ascii")


def where(function: Callable) -> str:
    """module:name of a function."""
    return f"{getattr(function, '__module__', '?')}:{getattr(function, '__qualname__', '?')}"


def again(path: Path, packages: tuple[str, ...] = ("kato_fast",)) -> dict:
    """Make both calls of a file anew: {"differences", "answers", "flag", "name", "recorded"}.

    packages: whose functions may be called; a file is not to choose any other.

    Raises: OSError; ValueError for what is no such file, or cannot be called again.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise ValueError(f"{path} is no file of a difference")
    args, kwargs = decoded(value["call"]["args"]), decoded(value["call"]["kwargs"])
    answers = {side: _outcome(_function(value[side], packages), args, kwargs) for side in ("original", "candidate")}
    rules = Rules(value["rules"]["tolerance"], value["rules"]["ties"])
    return {
        "flag": value["flag"],
        "name": value["name"],
        "recorded": value["differences"],
        "answers": {side: encoded(answer) for side, answer in answers.items()},
        "differences": differences(answers["original"], answers["candidate"], rules),
    }


def _outcome(function: Callable, args: tuple, kwargs: dict) -> Any:
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"


def _function(text: str, packages: tuple[str, ...]) -> Callable:
    module, _, names = text.partition(":")
    if module.split(".")[0] not in packages:
        raise ValueError(f"{text} is not of {', '.join(packages)}; --allow {module.split('.')[0]} lets it be called")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name, None)
    if not callable(found):
        raise ValueError(f"{text} cannot be called by its name alone")
    return found
