"""The 22 scenarios recorded from KATO's own application, over real HTTP on each engine."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

SCENARIOS = json.loads((Path(__file__).parents[1] / "data/http-scenarios-2025-09.json").read_text(encoding="utf-8"))
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PLACEHOLDER = re.compile(r"<([^<>]+)>")


class Names:
    """What the placeholders stand for; a session's id is learned from its first appearance."""

    def __init__(self) -> None:
        self.sessions: dict[str, str] = {}

    def fill(self, text: str) -> str:
        """A recorded path with real session ids."""
        return PLACEHOLDER.sub(lambda found: self.sessions[found[1]], text)

    def matches(self, recorded: object, got: object) -> bool:
        """Whether a value is the recorded one, or of the placeholder's kind."""
        if isinstance(recorded, dict):
            return (
                isinstance(got, dict)
                and recorded.keys() == got.keys()
                and all(self.matches(recorded[key], got[key]) for key in recorded)
            )
        if isinstance(recorded, list):
            return isinstance(got, list) and len(recorded) == len(got) and all(map(self.matches, recorded, got))
        if isinstance(recorded, str) and PLACEHOLDER.search(recorded):
            return self._placeholder(recorded, got)
        return type(recorded) is type(got) and recorded == got

    def _placeholder(self, recorded: str, got: object) -> bool:
        if recorded == "<volatile>":
            return isinstance(got, (str, float, dict)) and bool(got)
        if recorded == "<epoch seconds>":
            return type(got) is int and abs(got - time.time()) < 60
        if recorded == "<remaining seconds>":
            return type(got) is int and got >= 0
        return isinstance(got, str) and re.fullmatch(self._pattern(recorded), got) is not None

    def _pattern(self, recorded: str) -> str:
        parts = re.split(r"(<[^<>]+>)", recorded)
        return "".join(self._kind(part) if part.startswith("<") else re.escape(part) for part in parts)

    def _kind(self, placeholder: str) -> str:
        name = placeholder[1:-1]
        if name == "uuid":
            return UUID
        if name == "hex32":
            return "[0-9a-f]{32}"
        return re.escape(self.sessions[name])

    def learn(self, recorded: object, got: object) -> None:
        """Take over the ids of sessions that appear for the first time."""
        name = recorded.get("session_id") if isinstance(recorded, dict) else None
        if isinstance(name, str) and PLACEHOLDER.fullmatch(name) and name[1:-1] not in self.sessions:
            assert re.fullmatch(r"session-[0-9a-f]{32}-[0-9]{13}", got["session_id"])
            self.sessions[name[1:-1]] = got["session_id"]


def test_all_are_there() -> None:
    assert len(SCENARIOS) == 22
    assert sum(len(scenario["steps"]) for scenario in SCENARIOS) == 201


def test_a_wrong_answer_is_noticed() -> None:
    names = Names()
    assert names.matches({"a": ["<uuid>", 1.0]}, {"a": ["123e4567-e89b-12d3-a456-426614174000", 1.0]})
    for wrong in ({"a": ["x", 1.0]}, {"a": ["123e4567-e89b-12d3-a456-426614174000", 1]}, {"a": []}, {}, None):
        assert not names.matches({"a": ["<uuid>", 1.0]}, wrong)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario["id"] for scenario in SCENARIOS])
def test_scenario(client, scenario: dict) -> None:
    names = Names()
    for number, step in enumerate(scenario["steps"]):
        request = step["request"]
        body = request.get("body")
        response = client.request(
            request["method"],
            names.fill(request["path"]),
            headers={key: names.fill(value) for key, value in request.get("headers", {}).items()},
            **({} if body is None else {"json": body}),
        )
        place = f"{scenario['id']} step {number}: {request['method']} {request['path']}"
        assert response.status_code == step["status"], f"{place}: {response.text}"
        if "response" in step:
            recorded = step["response"]
            got = response.text if isinstance(recorded, str) else response.json()
            names.learn(recorded, got)
            assert names.matches(recorded, got), f"{place}\nrecorded {json.dumps(recorded)}\ngot      {json.dumps(got)}"
        header = step.get("response_header_x_session_id")
        assert response.headers.get("x-session-id") == (header and names.fill(header)), place
