"""The same requests to a plain KATO of September 2025 and beside it: the answers must be the same.

Beside the user endpoints of `tests.hosts.differential` it asks sessions, which belong to users too, monitoring whose
answers do not move, and requests that are refused. What docs/differences.md lists is left out.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.hosts import differential
from tests.hosts.differential import USERS
from tests.hosts.services import Service

UNKNOWN = "session-of-nobody"

PATHS = {
    "POST /sessions": 4,
    "GET /sessions/count": 1,
    "GET ": 3,
    "DELETE ": 0.4,
    "POST /config": 3,
    "POST /extend": 1,
    "POST /observe": 20,
    "GET /stm": 3,
    "POST /learn": 6,
    "POST /clear-stm": 2,
    "GET /predictions": 8,
}
SETTINGS = {
    **differential.GENES,
    "max_predictions": [1, 5, 100, None],
    "recall_threshold": [0.0, 0.1, 0.3, 1.0, None],
    "sort_symbols": [True, False],
    "process_predictions": [True, False],
    "indexer_type": ["VI", "LSH"],
    "nonsense": [1, "x"],
}
GENES = {
    **SETTINGS,
    "recall_threshold": [0.0, 0.1, 0.3, 1.0, None, -0.1, 1.1, "0.5"],
    "persistence": [1, 5, 100, 0, 101, None],
    "max_pattern_length": [0, 3, -1, None],
    "max_predictions": [1, 7, 10_000, 0, 10_001, None],
    "indexer_type": ["VI", "FAISS", "none"],
    "stm_mode": ["CLEAR", "ROLLING", "rolling", ""],
}
NUMBERS = [0, 1, -1, 0.5, 1.0, 1e-7, 1e22, True]
NAMES = ["recall_threshold", "persistence", "max_pattern_length", "stm_mode", "max_predictions", "sort"]
NAMES += ["process_predictions", "sort_symbols", "nonsense"]
#: Requests that are refused, or nearly.
WRONG = [
    ("POST", "/observe", {"strings": None}),
    ("POST", "/observe", {"strings": [1]}),
    ("POST", "/observe", {"strings": "a"}),
    ("POST", "/observe", {"emotives": {"joy": "much"}}),
    ("POST", "/observe", {"emotives": {"joy": "1.5"}}),
    ("POST", "/observe", {"emotives": {"joy": True}}),
    ("POST", "/observe", {"vectors": [["x"]]}),
    ("POST", "/observe", {"vectors": [1.0]}),
    ("POST", "/observe", []),
    ("POST", "/observe", None),
    ("POST", "/observe", {}),
    ("POST", "/observe", {"strings": ["a"], "more": 1}),
    ("POST", "/observe", {"vectors": [[1.0, 2.0]]}),
    ("POST", "/observe", {"strings": ["b"], "vectors": [[1, 2], [1.0, 2.0], [0.5, -1e-7]]}),
    ("POST", "/observe-sequence", {"observations": []}),
    ("POST", "/observe-sequence", {"observations": [{}, {"strings": ["a"]}]}),
    ("POST", "/observe-sequence", {"observations": [{"strings": ["a"], "unique_id": "mine"}], "learn_at_end": 1}),
    ("POST", "/observe-sequence", [1]),
    ("POST", "/genes/update", []),
    ("POST", "/genes/update", {}),
    ("POST", "/sessions", {}),
    ("POST", "/sessions", {"user_id": 1}),
    ("POST", "/sessions", {"user_id": "ann", "ttl_seconds": "x"}),
    ("GET", "/predictions?unique_id=x", None),
    ("GET", "/predictions?unique_id=", None),
    ("GET", "/nothing", None),
    ("GET", "/observe", None),
    ("DELETE", "/stm", None),
    ("HEAD", "/health", None),
    ("PUT", "/sessions", None),
    ("GET", "/test/x%20y", None),
    ("GET", "/pattern/PTRN%7Cnone", None),
    ("GET", "/pattern/none", None),
    ("GET", f"/sessions/{UNKNOWN}", None),
    ("DELETE", f"/sessions/{UNKNOWN}", None),
    ("GET", f"/sessions/{UNKNOWN}/stm", None),
    ("POST", f"/sessions/{UNKNOWN}/observe", {"strings": ["a"]}),
    ("POST", f"/sessions/{UNKNOWN}/nothing", None),
    ("POST", "/distributed-stm/stats", None),
    ("GET", "/metrics/nothing", None),
]


class Requests(differential.Requests):
    """A path of a session has {n} in the place of its id, the n-th that was made."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.sessions = 0

    def next(self) -> tuple[str, str, Any]:
        draw = self.draw
        kind = draw.random()
        if kind < 0.06:
            return draw.choice(WRONG)
        if kind < 0.09:
            return "GET", f"/gene/{draw.choice(NAMES)}", None
        if kind < 0.13:
            return "POST", "/genes/update", self.settings(GENES, "genes")
        if kind < 0.45:
            return self.of_session()
        return super().next()

    def observation(self) -> dict:
        draw = self.draw
        observed = super().observation()
        if draw.random() < 0.1:
            size = draw.choice([2, 2, 2, 3])
            observed["vectors"] = [[draw.choice(NUMBERS) for _ in range(size)] for _ in range(draw.randint(1, 2))]
        return observed

    def settings(self, choices: dict, key: str) -> dict:
        chosen = {name: self.draw.choice(choices[name]) for name in self.draw.sample(list(choices), 2)}
        return {key: chosen} if self.draw.random() < 0.7 else chosen

    def of_session(self) -> tuple[str, str, Any]:
        draw = self.draw
        method, _, path = draw.choices(list(PATHS), list(PATHS.values()))[0].partition(" ")
        if path == "/sessions" or not self.sessions:
            return "POST", "/sessions", self.session()
        if path == "/sessions/count":
            return method, path, None
        body = None
        if path == "/observe":
            body = self.observation()
        elif path == "/config":
            body = self.settings(SETTINGS, "config")
        elif path == "/extend":
            path = draw.choice(["/extend", "/extend?ttl_seconds=7200", "/extend?ttl_seconds=x"])
        return method, f"/sessions/{{{draw.randrange(self.sessions)}}}{path}", body

    def session(self) -> dict:
        draw = self.draw
        body: dict = {"user_id": draw.choice([*USERS, "dora", "ann ", "ä"])}
        if draw.random() < 0.5:
            body["metadata"] = draw.choice([{}, {"a": [1, None]}, None])
        if draw.random() < 0.5:
            body["ttl_seconds"] = draw.choice([None, 0, 60, 7200])
        return body


class Pair(differential.Pair):
    """One user at both services. sessions: ids at either, of all users, in the order in which they were made."""

    def __init__(self, plain: Service, other: Service, user: str, sessions: list[list[str]]) -> None:
        super().__init__(plain, other, user)
        self.sessions = sessions

    def both(self, method: str, path: str, body: Any) -> list[tuple[int, Any]]:
        found = []
        for connection, known in zip(self.connections, self.sessions):
            number = re.search(r"{(\d+)}", path)
            asked = path if number is None else path.replace(number[0], known[int(number[1])])
            status, text = connection.send(method, asked, body)
            found.append((status, shown(text.decode(), known)))
        return found


def shown(text: str, known: list[str]) -> Any:
    """The answer with what names the process and the sessions told in words that both share."""
    text = re.sub(r"ObjectId\[\w+\]", "ObjectId", text)
    for made in re.findall(r"session-\w+-\w+", text):
        if made not in known:
            known.append(made)
        text = text.replace(made, f"session {known.index(made)}")
    try:
        return json.loads(text)
    except ValueError:
        return text


def cleaned(answer: Any) -> Any:
    """Without the texts of the host's database, what versions of its libraries add, and what depends on the process."""
    detail = answer.get("detail") if isinstance(answer, dict) else None
    if isinstance(detail, list):
        return [(item["type"], item["loc"], item["msg"]) for item in detail]
    if isinstance(detail, str):
        return detail.partition("LEARNING_ERROR")[0]
    if isinstance(answer, dict) and "ttl_seconds" in answer:  # what remains of it
        return {**answer, "ttl_seconds": round(answer["ttl_seconds"], -2)}
    return answer


def run(plain: Service, other: Service, requests: int, seed: int) -> list[str]:
    """Where the first answer differs, of so many generated requests."""
    source = Requests(seed)
    sessions: list[list[str]] = [[], []]
    pairs = {user: Pair(plain, other, user, sessions) for user in USERS}
    try:
        for number in range(requests):
            found = differential.asked(source, pairs, number, cleaned)
            if found:
                return found
            source.sessions = len(sessions[0])
        return []
    finally:
        for pair in pairs.values():
            pair.close()
