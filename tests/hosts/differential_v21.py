"""Generated requests for KATO 2.1, which knows sessions of nodes alone; compared as in ``differential``."""

from __future__ import annotations

import json
from typing import Any

from tests.hosts.differential import Pair, Requests
from tests.hosts.services import Service

CONFIG = {
    "recall_threshold": [0.0, 0.1, 0.1, 0.25, 0.5, 1.0],
    "max_predictions": [1, 5, 100],
    "max_pattern_length": [0, 0, 4],
    "stm_mode": ["CLEAR", "ROLLING"],
    "process_predictions": [True, True, False],
    "use_token_matching": [True, True, True, False],
}
WEIGHTS = {
    "observe": 44,
    "POST /sessions/{}/learn": 12,
    "GET /sessions/{}/predictions": 16,
    "GET /cognition-data": 4,
    "GET /percept-data": 1,
    "GET /sessions/{}/stm": 3,
    "POST /sessions/{}/clear-stm": 3,
    "POST /sessions/{}/clear-all": 0.4,
    "sequence": 6,
    "config": 3,
    "pattern": 4,
    "session": 2,
}


class SessionRequests(Requests):
    """As there; ``{}`` in a path is the session that each service has made."""

    def observation(self) -> dict:
        made = super().observation()
        if self.draw.random() < 0.15:
            made["metadata"] = {self.draw.choice(["book", "page"]): self.draw.choice(["one", "two", 3])}
        return made

    def next(self) -> tuple[str, str, Any]:
        draw = self.draw
        kind = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind == "observe":
            return "POST", "/sessions/{}/observe", self.observation()
        if kind == "sequence":
            body = {"observations": [self.observation() for _ in range(draw.randint(0, 6))]}
            for option in ("learn_after_each", "learn_at_end", "clear_stm_between"):
                body[option] = draw.random() < 0.3
            return "POST", "/sessions/{}/observe-sequence", body
        if kind == "config":
            name, values = draw.choice(list(CONFIG.items()))
            return "POST", "/sessions/{}/config", {"config": {name: draw.choice(values)}}
        if kind == "pattern":
            name = draw.choice(self.learned) if self.learned else "PTRN|0"
            return "GET", f"/pattern/{name.replace('|', '%7C')}", None
        if kind == "session":
            return "POST", "/sessions", None
        method, path = kind.split(" ")
        return method, path, None


class SessionPair(Pair):
    """One node at both services, with the latest session of each."""

    def __init__(self, plain: Service, fast: Service, node: str) -> None:
        super().__init__(plain, fast, node)
        self.node = node
        for connection in self.connections:
            connection._headers["x-node-id"] = node
        self.sessions = ["", ""]
        self.ask("POST", "/sessions", None)

    def ask(self, method: str, path: str, body: Any) -> list:
        if path == "/sessions":
            body = {"node_id": self.node}
        found = []
        services, connections, sessions = self.services, self.connections, self.sessions
        for i in range(2):
            self.services, self.connections = services[i : i + 1], connections[i : i + 1]
            try:
                found += self.both(method, path.replace("{}", sessions[i]), body)
            finally:
                self.services, self.connections = services, connections
            if path == "/sessions":
                sessions[i] = found[i][1]["session_id"]
            found[i] = json.loads(json.dumps(found[i]).replace(sessions[i], "session"))
        return found


KINDS = (SessionRequests, SessionPair)
