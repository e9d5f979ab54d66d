"""Client and AsyncClient: KATO's HTTP API, typed. Both need the extra ``kato_fast[client]``.

They speak to ``kato-fast serve`` and to any KATO of September 2025. One call is one request; nothing is retried, since
a learn that is sent twice counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, TypedDict, cast
from urllib.parse import quote

try:
    import httpx
except ImportError as error:  # pragma: no cover - the message is what counts
    raise ImportError("kato_fast.Client needs the extra: pip install kato_fast[client]") from error

DEFAULT_URL = "http://127.0.0.1:8000"


class Observed(TypedDict):
    """What became of an observation."""

    status: str
    session_id: Optional[str]
    processor_id: Optional[str]
    stm_length: Optional[int]
    time: int
    unique_id: Optional[str]
    auto_learned_pattern: Optional[str]


class Learned(TypedDict):
    """``status`` is ``learned`` or ``insufficient_data``; ``pattern_name`` may be empty."""

    status: str
    pattern_name: str
    session_id: Optional[str]
    processor_id: Optional[str]
    message: Optional[str]


class Prediction(TypedDict, total=False):
    """One pattern that the state belongs to. Only user endpoints send ``pattern_name``."""

    type: str
    name: str
    frequency: int
    emotives: dict[str, float]
    matches: list[str]
    past: list[list[str]]
    present: list[list[str]]
    missing: list[str]
    extras: list[str]
    potential: float
    evidence: float
    similarity: float
    fragmentation: float
    snr: float
    entropy: float
    hamiltonian: float
    grand_hamiltonian: float
    confluence: float
    predictive_information: float
    sequence: list[list[str]]
    future: list[list[str]]
    confidence: float
    itfdf_similarity: float
    pattern_probability: float
    weighted_strength: float
    pattern_name: Optional[str]


class FuturePotential(TypedDict):
    """What several predictions agree will follow."""

    future: list[list[str]]
    aggregate_potential: float
    supporting_patterns: int
    total_weighted_frequency: float


class Predictions(TypedDict):
    """The predictions of the last observation, best first."""

    predictions: list[Prediction]
    future_potentials: list[FuturePotential]
    session_id: Optional[str]
    processor_id: Optional[str]
    count: int
    time: Optional[int]
    unique_id: Optional[str]


class ShortTermMemory(TypedDict):
    """Events, oldest first."""

    stm: list[list[str]]
    session_id: Optional[str]
    length: int


class SessionInfo(TypedDict):
    """A session. Times are ISO 8601, UTC."""

    session_id: str
    user_id: str
    created_at: str
    expires_at: str
    ttl_seconds: int
    metadata: dict[str, Any]
    session_config: dict[str, Any]


class SequenceResult(TypedDict):
    """What became of a sequence."""

    status: str
    processor_id: str
    observations_processed: int
    patterns_learned: list[str]
    individual_results: list[dict[str, Any]]
    final_predictions: list[Prediction]
    performance_metrics: dict[str, Any]


class ServiceError(Exception):
    """The service answered with an error. status: HTTP's. detail: what it said, parsed where that is JSON."""

    def __init__(self, status: int, detail: Any, where: str) -> None:
        super().__init__(f"{where} answers {status}: {detail}")
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class _Call:
    method: str
    path: str
    body: Optional[Mapping[str, Any]] = None
    query: Optional[Mapping[str, Any]] = None


def _observe(
    where: str,
    strings: Sequence[str],
    vectors: Sequence[Sequence[float]],
    emotives: Optional[Mapping[str, float]],
) -> _Call:
    body = {"strings": list(strings), "vectors": [list(v) for v in vectors], "emotives": dict(emotives or {})}
    return _Call("POST", f"{where}/observe", body)


def _sequence(
    observations: Sequence[Any], learn_after_each: bool, learn_at_end: bool, clear_stm_between: bool
) -> _Call:
    items = [item if isinstance(item, Mapping) else {"strings": list(item)} for item in observations]
    options = {"learn_after_each": learn_after_each, "learn_at_end": learn_at_end}
    return _Call(
        "POST", "/observe-sequence", {"observations": items, **options, "clear_stm_between": clear_stm_between}
    )


def _create_session(user_id: str, metadata: Optional[Mapping[str, Any]], ttl_seconds: Optional[int]) -> _Call:
    return _Call(
        "POST", "/sessions", {"user_id": user_id, "metadata": dict(metadata or {}), "ttl_seconds": ttl_seconds}
    )


class _Place:
    """Whom the requests are about: a user by header, or a session by path."""

    def __init__(self, user: Optional[str], session_id: Optional[str]) -> None:
        if user is not None and session_id is not None:
            raise ValueError("user and session_id are two places; name one")
        self._headers = {} if user is None else {"x-user-id": user}
        self._where = "" if session_id is None else f"/sessions/{quote(session_id, safe='')}"

    def _checked(self, response: httpx.Response) -> Any:
        kind = response.headers.get("content-type", "")
        said = response.json() if kind.startswith("application/json") else response.text
        if response.status_code >= 400:
            detail = said.get("detail", said.get("error", said)) if isinstance(said, dict) else said
            raise ServiceError(response.status_code, detail, f"{response.request.method} {response.request.url.path}")
        return said


class Client(_Place):
    """One user of a KATO, or one session, over HTTP.

    Args:
        url: where the service is.
        user: sent as ``x-user-id``; without it and without session_id, the service tells users apart by address.
        session_id: talk in that session instead (see create_session).
        timeout: seconds for each request.

    Any thread may call it. Use as a context manager, or call close(). Raises ServiceError for error answers, and
    httpx.TransportError where none comes.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        user: Optional[str] = None,
        session_id: Optional[str] = None,
        timeout: float = 30.0,
    ) -> None:
        super().__init__(user, session_id)
        self._http = httpx.Client(base_url=url, headers=self._headers, timeout=timeout)

    def _send(self, call: _Call) -> Any:
        return self._checked(self._http.request(call.method, call.path, json=call.body, params=call.query))

    def observe(
        self,
        strings: Sequence[str] = (),
        *,
        vectors: Sequence[Sequence[float]] = (),
        emotives: Optional[Mapping[str, float]] = None,
    ) -> Observed:
        """Observe one event."""
        return cast(Observed, self._send(_observe(self._where, strings, vectors, emotives)))

    def observe_sequence(
        self,
        observations: Sequence[Any],
        *,
        learn_after_each: bool = False,
        learn_at_end: bool = False,
        clear_stm_between: bool = False,
    ) -> SequenceResult:
        """Observe events in order; an item is a list of strings, or a map as observe() sends it."""
        call = _sequence(observations, learn_after_each, learn_at_end, clear_stm_between)
        return cast(SequenceResult, self._send(call))

    def learn(self) -> Learned:
        """Learn the short-term memory."""
        return cast(Learned, self._send(_Call("POST", f"{self._where}/learn")))

    def predictions(self) -> Predictions:
        """The predictions of the last observation."""
        return cast(Predictions, self._send(_Call("GET", f"{self._where}/predictions")))

    def stm(self) -> ShortTermMemory:
        """The short-term memory."""
        return cast(ShortTermMemory, self._send(_Call("GET", f"{self._where}/stm")))

    def clear_stm(self) -> None:
        """Empty the short-term memory."""
        self._send(_Call("POST", f"{self._where}/clear-stm"))

    def clear_all(self) -> None:
        """Forget everything that this user has learned."""
        self._send(_Call("POST", "/clear-all"))

    def pattern(self, name: str) -> dict[str, Any]:
        """One learned pattern as the service shows it."""
        return cast("dict[str, Any]", self._send(_Call("GET", f"/pattern/{quote(name, safe='')}")))

    def update_genes(self, **genes: Any) -> dict[str, Any]:
        """Set configuration values of the user's session."""
        return cast("dict[str, Any]", self._send(_Call("POST", "/genes/update", {"genes": genes})))

    def create_session(
        self, user_id: str, *, metadata: Optional[Mapping[str, Any]] = None, ttl_seconds: Optional[int] = None
    ) -> SessionInfo:
        """The user's session, or a new one."""
        return cast(SessionInfo, self._send(_create_session(user_id, metadata, ttl_seconds)))

    def get(self, path: str, **query: Any) -> Any:
        """Any other GET, such as ``get("/health")`` or ``get("/stats", minutes=5)``."""
        return self._send(_Call("GET", path, None, query))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class AsyncClient(_Place):
    """Client for asyncio: the same arguments and methods, each awaited; close with ``await aclose()``."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        user: Optional[str] = None,
        session_id: Optional[str] = None,
        timeout: float = 30.0,
    ) -> None:
        super().__init__(user, session_id)
        self._http = httpx.AsyncClient(base_url=url, headers=self._headers, timeout=timeout)

    async def _send(self, call: _Call) -> Any:
        return self._checked(await self._http.request(call.method, call.path, json=call.body, params=call.query))

    async def observe(
        self,
        strings: Sequence[str] = (),
        *,
        vectors: Sequence[Sequence[float]] = (),
        emotives: Optional[Mapping[str, float]] = None,
    ) -> Observed:
        """Observe one event."""
        return cast(Observed, await self._send(_observe(self._where, strings, vectors, emotives)))

    async def observe_sequence(
        self,
        observations: Sequence[Any],
        *,
        learn_after_each: bool = False,
        learn_at_end: bool = False,
        clear_stm_between: bool = False,
    ) -> SequenceResult:
        """Observe events in order; an item is a list of strings, or a map as observe() sends it."""
        call = _sequence(observations, learn_after_each, learn_at_end, clear_stm_between)
        return cast(SequenceResult, await self._send(call))

    async def learn(self) -> Learned:
        """Learn the short-term memory."""
        return cast(Learned, await self._send(_Call("POST", f"{self._where}/learn")))

    async def predictions(self) -> Predictions:
        """The predictions of the last observation."""
        return cast(Predictions, await self._send(_Call("GET", f"{self._where}/predictions")))

    async def stm(self) -> ShortTermMemory:
        """The short-term memory."""
        return cast(ShortTermMemory, await self._send(_Call("GET", f"{self._where}/stm")))

    async def clear_stm(self) -> None:
        """Empty the short-term memory."""
        await self._send(_Call("POST", f"{self._where}/clear-stm"))

    async def clear_all(self) -> None:
        """Forget everything that this user has learned."""
        await self._send(_Call("POST", "/clear-all"))

    async def pattern(self, name: str) -> dict[str, Any]:
        """One learned pattern as the service shows it."""
        return cast("dict[str, Any]", await self._send(_Call("GET", f"/pattern/{quote(name, safe='')}")))

    async def update_genes(self, **genes: Any) -> dict[str, Any]:
        """Set configuration values of the user's session."""
        return cast("dict[str, Any]", await self._send(_Call("POST", "/genes/update", {"genes": genes})))

    async def create_session(
        self, user_id: str, *, metadata: Optional[Mapping[str, Any]] = None, ttl_seconds: Optional[int] = None
    ) -> SessionInfo:
        """The user's session, or a new one."""
        return cast(SessionInfo, await self._send(_create_session(user_id, metadata, ttl_seconds)))

    async def get(self, path: str, **query: Any) -> Any:
        """Any other GET, such as ``await get("/health")``."""
        return await self._send(_Call("GET", path, None, query))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()
