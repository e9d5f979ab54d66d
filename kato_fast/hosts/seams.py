"""What is replaced in a host: one entry a place, with the flag it is under and the fingerprint of what was there.

A seam is applied to an attribute of a module, of a class or of a live object, keeps the original, and puts it back by
identity. A function whose fingerprint is unknown is left alone: it may do what nobody here has read.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Optional

#: Names a JSON file of {target: fingerprint} that the reader of another KATO has checked himself.
TRUST = "KATO_FAST_FINGERPRINTS"

#: There was no such attribute before.
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()


class Place(NamedTuple):
    """One attribute: the object whose it is, its name, what is there.

    printed, given: what is fingerprinted, and what the replacement is made from, where that is something else.
    """

    owner: Any
    name: str
    original: Any
    printed: Any = None
    given: Any = None


@dataclass(frozen=True)
class Seam:
    """module: full name. target: dotted path in it. replace: from the original to what stands there instead.

    adds: the host may have no such attribute. wraps: the original is always called, so that any will do. relies: other
    targets whose behaviour the replacement reproduces. places: finds other places than the path names.
    """

    module: str
    target: str
    flag: str
    replace: Callable[[Any], Any]
    adds: bool = False
    wraps: bool = False
    relies: tuple = ()
    places: Optional[Callable[[Any], Iterable[Place]]] = None

    @property
    def name(self) -> str:
        return f"{self.module}:{self.target}"


class Change(NamedTuple):
    seam: Seam
    owner: Any
    name: str
    original: Any
    replacement: Any


class Skip(NamedTuple):
    """A seam that was left alone, and why."""

    seam: Seam
    reason: str
    detail: str


@dataclass
class Attachment:
    """What was changed, in order, and what was left alone. prints: the known fingerprints by target."""

    prints: Mapping[str, tuple] = field(default_factory=dict)
    changes: list = field(default_factory=list)
    skips: list = field(default_factory=list)
    lost: list = field(default_factory=list)

    def apply(self, seam: Seam, module: Any) -> None:
        for place in self._places(seam, module):
            found = self._unknown(seam, place)
            if found:
                self.skips.append(Skip(seam, "fingerprint", found))
                continue
            given = place.original if place.given is None else place.given
            try:
                setattr(place.owner, place.name, seam.replace(given))
            except Exception as error:  # the host starts all the same
                self.skips.append(Skip(seam, "error", f"{type(error).__name__}: {error}"))
                continue
            self.changes.append(Change(seam, place.owner, place.name, place.original, stored(place)))

    def _unknown(self, seam: Seam, place: Place) -> str:
        """What is not as it was read: the target or something that its replacement relies on; empty where all is."""
        if seam.adds or seam.wraps:
            return ""
        relied = [(name, found_at(name)) for name in seam.relies]
        checked = [(seam.name, place.printed or place.original), *relied]
        wrong = [f"{name} ({fingerprint(what)})" for name, what in checked if not self.knows(name, what)]
        return f"not the code that was read: {', '.join(wrong)}" if wrong else ""

    def knows(self, name: str, what: Any) -> bool:
        found = None if what is None else fingerprint(what)
        return found is not None and found in (*self.prints.get(name, ()), trusted().get(name))

    def _places(self, seam: Seam, module: Any) -> Iterator[Place]:
        try:
            places = list(seam.places(module)) if seam.places else [place_of(seam, module)]
        except (AttributeError, KeyError, TypeError) as error:
            self.skips.append(Skip(seam, "missing", f"the host has no {seam.name}: {error}"))
            return
        yield from places

    def undo(self) -> None:
        """Every original back where it was, the last change first. What someone else replaced since stays theirs."""
        while self.changes:
            change = self.changes.pop()
            if stored(change) is not change.replacement:
                self.lost.append(Skip(change.seam, "replaced_since", f"{change.name} of {change.owner!r}"))
            elif change.original is ABSENT:
                delattr(change.owner, change.name)
            else:
                setattr(change.owner, change.name, change.original)
        self.skips.clear()


def stored(place: Any) -> Any:
    """What the owner itself holds under that name, unbound."""
    return vars(place.owner).get(place.name, ABSENT)


def place_of(seam: Seam, module: Any) -> Place:
    owner = module
    *path, name = seam.target.split(".")
    for part in path:
        owner = vars(owner)[part]
    if seam.adds and name not in vars(owner):
        return Place(owner, name, ABSENT)
    return Place(owner, name, vars(owner)[name])


def found_at(name: str) -> Any:
    """The function or class of a full target, None where it is not there or not loaded yet."""
    module, _, path = name.partition(":")
    found = sys.modules.get(module)
    for part in path.split("."):
        found = vars(found).get(part) if found is not None else None
    return found


def fingerprint(original: Any) -> Optional[str]:
    """Of a function's or class's source without comments, blanks and docstrings; None where there is no source."""
    original = inspect.unwrap(getattr(original, "__func__", original))
    try:
        if original not in _FOUND:
            _FOUND[original] = _fingerprint(original)
        return _FOUND[original]
    except TypeError:  # what cannot be referred to weakly has no source either
        return None


#: Reading source is slow, and what is loaded stays what it is: attaching again need not read it again.
_FOUND: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def _fingerprint(original: Any) -> Optional[str]:
    try:
        tree = ast.parse(_dedented(inspect.getsource(original)))
    except (OSError, TypeError, SyntaxError):
        return None
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body[0] = ast.Pass()
    return hashlib.sha256(_dump(tree).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _dedented(source: str) -> str:
    first = source[: len(source) - len(source.lstrip())]
    return f"if 1:\n{source}" if first else source


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _dump(node: Any) -> str:
    """The same text on every Python: fields that newer versions added and that are empty do not count."""
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [], "")]
        kept = [(name, value) for name, value in fields if name not in ("kind", "type_comment", "ctx")]
        return f"{type(node).__name__}({','.join(f'{name}={_dump(value)}' for name, value in kept)})"
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    return repr(node)


def trusted() -> dict:
    """The fingerprints that the environment adds; ValueError for a file that cannot be read, it was meant seriously."""
    path = os.environ.get(TRUST)
    if not path:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            known = json.load(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{TRUST} must name a JSON file of targets and fingerprints: {error}") from None
    if not isinstance(known, dict):
        raise ValueError(f"{TRUST} must name a JSON object, not {type(known).__name__}")
    return known
