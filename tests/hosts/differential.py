"""The same requests to a plain and to an accelerated service: answers and databases must be the same.

What the host itself leaves open stays open: the order of equal potentials, which of them survive the cut, and the last
digits of sums over sets, which follow PYTHONHASHSEED.
"""

from __future__ import annotations

import json
import random
import re
from itertools import zip_longest
from typing import Any, Callable

from tests.hosts.services import Connection, Service

SYMBOLS = ["a", "b", "c", "d", "e", "f", "g", "h", "it's", 'say "x"', "ä", "日本", "", " ", "back\\slash", "😀", "a b"]
USERS = ("ann", "bob", "cy-d")

#: Relative; the host sums over sets.
LAST_DIGITS = 1e-12

SUMS = {
    *("potential", "predictive_information", "aggregate_potential", "total_weighted_frequency", "weighted_strength"),
    *("global_normalized_entropy", "itfdf_similarity", "pattern_probability"),  # KATO 2.1 does not round these
}
#: Differ between any two runs of the same host.
RUN = {"time", "unique_id", "timestamp", "session_id", "created_at", "expires_at", "performance_metrics", "performance"}


class Requests:
    """An endless list of requests, the same for a seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.learned: list[str] = []

    def event(self) -> list[str]:
        many = self.draw.random() < 0.05
        return [self.draw.choice(SYMBOLS) for _ in range(self.draw.randint(8, 25) if many else self.draw.randint(1, 3))]

    def emotives(self) -> dict:
        if self.draw.random() < 0.8:
            return {}
        return {name: self.draw.choice([0, 0.0, 1, -0.5, 0.1]) for name in self.draw.sample(["joy", "fear"], 1)}

    def observation(self) -> dict:
        return {"strings": self.event(), "emotives": self.emotives()}

    def next(self) -> tuple[str, str, Any]:
        draw = self.draw
        kind = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind == "observe":
            return "POST", "/observe", self.observation()
        if kind == "sequence":
            body = {"observations": [self.observation() for _ in range(draw.randint(0, 6))]}
            for option in ("learn_after_each", "learn_at_end", "clear_stm_between"):
                body[option] = draw.random() < 0.3
            return "POST", "/observe-sequence", body
        if kind == "genes":
            return "POST", "/genes/update", {"genes": self.genes()}
        if kind == "pattern":
            name = draw.choice(self.learned) if self.learned else "PTRN|0"
            return "GET", f"/pattern/{name.replace('|', '%7C')}", None
        method, path = kind.split(" ")
        return method, path, None

    def genes(self) -> dict:
        draw = self.draw
        name, values = draw.choice(list(GENES.items()))
        return {name: draw.choice(values)}


GENES = {
    "recall_threshold": [0.0, 0.1, 0.1, 0.25, 0.5, 1.0],
    "max_predictions": [1, 5, 100],
    "max_pattern_length": [0, 0, 4],
    "stm_mode": ["CLEAR", "ROLLING"],
    "persistence": [1, 5],
}
WEIGHTS = {
    "observe": 40,
    "POST /learn": 12,
    "GET /predictions": 14,
    "POST /predictions": 2,
    "GET /cognition-data": 4,
    "GET /percept-data": 1,
    "GET /stm": 3,
    "POST /clear-stm": 3,
    "POST /clear-all": 0.4,
    "sequence": 6,
    "genes": 4,
    "pattern": 4,
}


class Pair:
    """One user at both services. asked: how many requests so far."""

    def __init__(self, plain: Service, fast: Service, user: str) -> None:
        self.services = (plain, fast)
        self.connections = [Connection(service.port, user) for service in self.services]

    def close(self) -> None:
        for connection in self.connections:
            connection.__exit__()

    def ask(self, method: str, path: str, body: Any) -> list[tuple[int, Any]]:
        return self.both(method, path, body)

    def both(self, method: str, path: str, body: Any) -> list[tuple[int, Any]]:
        found = []
        for service, connection in zip(self.services, self.connections):
            status, text = connection.send(method, path, body)
            shown = re.sub(r"ObjectId\[\w+\]", "ObjectId", text.decode(errors="replace"))
            shown = shown.replace(f"_{service.name}", "_host")
            try:
                found.append((status, json.loads(shown)))
            except ValueError:
                found.append((status, shown))
        return found


def differences(a: Any, b: Any, place: str = "", most: int = 100) -> list[str]:
    """Where two answers differ beyond what the host leaves open."""
    if isinstance(a, dict) and isinstance(b, dict):
        found = [] if a.keys() == b.keys() else [f"{place}: keys {sorted(a.keys() ^ b.keys())}"]
        for key in a.keys() & b.keys() - RUN:
            found += _field(a[key], b[key], f"{place}.{key}", key, most)
        return found
    if isinstance(a, list) and isinstance(b, list):
        pairs = enumerate(zip_longest(a, b, fillvalue="nothing"))
        return [text for i, (x, y) in pairs for text in differences(x, y, f"{place}[{i}]", most)]
    return [] if a == b and type(a) is type(b) else [f"{place}: {a!r} and {b!r}"]


def _field(a: Any, b: Any, place: str, key: str, most: int) -> list[str]:
    if key in ("predictions", "final_predictions") and isinstance(a, list) and isinstance(b, list):
        return ranked(a, b, place, most)
    if key == "future_potentials" and isinstance(a, list) and isinstance(b, list):
        return differences(futures(a), futures(b), place)
    if key in SUMS and isinstance(a, float) and isinstance(b, float):
        return [] if near(a, b) else [f"{place}: {a!r} and {b!r}"]
    return differences(a, b, place, most)


def near(a: float, b: float) -> bool:
    return abs(a - b) <= LAST_DIGITS * max(abs(a), abs(b))


def futures(items: list) -> dict:
    """By future, events sorted: the spelling and the order of equal ones follow the candidates' order."""
    return {json.dumps([sorted(event) for event in item["future"]]): {**item, "future": 0} for item in items}


def ranked(a: list, b: list, place: str, most: int) -> list[str]:
    """Descending, and the same predictions by name; of the last tie before a cut any may be there."""
    found = [] if len(a) == len(b) else [f"{place}: {len(a)} and {len(b)} predictions"]
    for items in (a, b):
        potentials = [item["potential"] for item in items]
        if any(y > x and not near(x, y) for x, y in zip(potentials, potentials[1:])):
            found.append(f"{place}: not in order: {potentials}")
    ones, others = ({item["name"]: item for item in items} for items in (a, b))
    for name in sorted(ones.keys() | others.keys()):
        if name in ones and name in others:
            found += differences(ones[name], others[name], f"{place}<{name}>")
        elif not (ones and others and near((ones.get(name) or others[name])["potential"], a[-1]["potential"])):
            found.append(f"{place}<{name}>: only at one of them")
    return found


def documents(database: Any, *, stored: bool = True) -> dict:
    """The host's collections without their ids, in an order of their own."""
    found: dict = {}
    for name, key in (("patterns_kb", "name"), ("symbols_kb", "name"), ("metadata", "class")):
        found[name] = sorted(database[name].find({}, {"_id": 0}), key=lambda item: item[key])
    kept = database["predictions_kb"].find({}, {"_id": 0}).sort("_id") if stored else ()
    found["stored"] = [{"predictions": item["predictions"]} for item in kept]
    return found


def asked(source: Requests, pairs: dict[str, Pair], number: int, seen: Callable[[Any], Any] = lambda a: a) -> list[str]:
    """One generated request more, to both; which it was and how the answers differ, as seen, or nothing."""
    user = source.draw.choice(USERS)
    method, path, body = source.next()
    (status, one), (other_status, other) = pairs[user].ask(method, path, body)
    found = [] if status == other_status else [f"status {status} and {other_status}: {one} and {other}"]
    found = found or differences(seen(one), seen(other))
    if found:
        return [f"request {number} of {user}: {method} {path} {json.dumps(body)}", *found[:20]]
    if isinstance(one, dict) and one.get("pattern_name"):
        source.learned.append(one["pattern_name"])
    return []


def run(
    plain: Service,
    fast: Service,
    mongo: Any,
    requests: int,
    seed: int,
    *,
    every: int = 200,
    stored: bool = True,
    kinds: tuple = (Requests, Pair),
) -> list[str]:
    """Generated requests; databases are compared now and then. Returns the first differences.

    stored: also the documents of predictions_kb, of which the flag batch leaves out some. kinds: what generates the
    requests of this generation of hosts, and what sends them.
    """
    source = kinds[0](seed)
    pairs = {user: kinds[1](plain, fast, user) for user in USERS}
    try:
        for number in range(requests):
            found = asked(source, pairs, number)
            if found:
                return found
            if number % every == every - 1:
                found = compare_databases(mongo, plain, fast, stored)
                if found:
                    return [f"after request {number}", *found[:20]]
        return compare_databases(mongo, plain, fast, stored)
    finally:
        for pair in pairs.values():
            pair.close()


def compare_databases(mongo: Any, plain: Service, fast: Service, stored: bool = True) -> list[str]:
    found = []
    for user in USERS:
        name = user.replace("-", "_")
        a, b = (documents(mongo[f"{name}_{service.name}"], stored=stored) for service in (plain, fast))
        found += differences(a, b, f"database of {user}")
    return found
