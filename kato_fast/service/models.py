"""The shapes of requests and responses. Responses are documentation: the routes write the bytes themselves."""

from __future__ import annotations

from typing import Any, Optional, Union

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat


def shown(example: Any) -> ConfigDict:
    """The configuration of a model that documents itself by an example."""
    return ConfigDict(json_schema_extra={"example": example})


_SESSION = "session-0f64a6a9b7f14f2f8c2b1f6d3c1f9d52-1795843187123"
_NAME = "35696b75b5a6dfec2a4f0595b72dce77215f24c7"
_PREDICTION = {
    "type": "prototypical",
    "name": _NAME,
    "frequency": 1,
    "emotives": {"mood": 0.4},
    "matches": ["wake", "coffee"],
    "past": [],
    "present": [["wake"], ["coffee", "news"]],
    "missing": ["news"],
    "extras": [],
    "potential": 0.4444444444444444,
    "evidence": 0.5,
    "similarity": 0.6666666666666666,
    "fragmentation": 0.0,
    "snr": 1.0,
    "entropy": 1.5,
    "hamiltonian": 0.792481250361,
    "grand_hamiltonian": 0.75,
    "confluence": 0.984375,
    "predictive_information": 0.6666666666666666,
    "sequence": [["wake"], ["coffee", "news"], ["train"]],
    "future": [["train"]],
    "confidence": 0.6666666666666666,
    "itfdf_similarity": 0.816496580928,
    "pattern_probability": 1.0,
    "weighted_strength": 0.6666666666666666,
    "pattern_name": f"PTRN|{_NAME}",
}
_FUTURE = {
    "future": [["train"]],
    "aggregate_potential": 1.0,
    "supporting_patterns": 1,
    "total_weighted_frequency": 0.6666666666666666,
}


class CreateSession(BaseModel):
    """Which user's session is wanted."""

    model_config = shown({"user_id": "ada", "metadata": {"from": "the docs"}, "ttl_seconds": 3600})

    user_id: str = Field(description="Users with the same id share knowledge and, while it lasts, the session")
    metadata: Optional[dict[str, Any]] = Field(default_factory=dict, description="Kept with a new session")
    ttl_seconds: Optional[int] = Field(None, description="Life of a new session; null or 0: 3600")


class SessionInfo(BaseModel):
    """A session. Times are ISO 8601, UTC."""

    model_config = shown(
        {
            "session_id": _SESSION,
            "user_id": "ada",
            "created_at": "2026-01-01T08:00:00Z",
            "expires_at": "2026-01-01T09:00:00Z",
            "ttl_seconds": 3600,
            "metadata": {"from": "the docs"},
            "session_config": {"recall_threshold": 0.3},
        }
    )

    session_id: str
    user_id: str
    created_at: str
    expires_at: str
    ttl_seconds: int
    metadata: dict[str, Any]
    session_config: dict[str, Any]


class ObservationData(BaseModel):
    """What is observed together: one event."""

    model_config = shown({"strings": ["coffee", "news"], "vectors": [], "emotives": {"mood": 0.4}})

    strings: list[str] = Field(default_factory=list, description="Symbols, sorted before they become an event")
    vectors: list[list[FiniteFloat]] = Field(
        default_factory=list, description="Added up to one, which gives one symbol"
    )
    emotives: dict[str, FiniteFloat] = Field(default_factory=dict, description="Name to number; no dots, no leading $")


class ObservationResult(BaseModel):
    """What became of an observation."""

    model_config = shown(
        {
            "status": "okay",
            "session_id": None,
            "processor_id": "ada_kato",
            "stm_length": None,
            "time": 1,
            "unique_id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
            "auto_learned_pattern": None,
        }
    )

    status: str
    session_id: Optional[str]
    processor_id: Optional[str]
    stm_length: Optional[int]
    time: int
    unique_id: Optional[str]
    auto_learned_pattern: Optional[str]


class ShortTermMemory(BaseModel):
    """Events, oldest first."""

    model_config = shown({"stm": [["wake"], ["coffee", "news"]], "session_id": None, "length": 2})

    stm: list[list[str]]
    session_id: Optional[str]
    length: int


class LearnResult(BaseModel):
    """``status`` is ``learned`` or ``insufficient_data``; ``pattern_name`` may be empty."""

    model_config = shown(
        {
            "status": "learned",
            "pattern_name": f"PTRN|{_NAME}",
            "session_id": None,
            "processor_id": "ada_kato",
            "message": "Pattern learned successfully",
        }
    )

    status: str
    pattern_name: str
    session_id: Optional[str]
    processor_id: Optional[str]
    message: Optional[str]


class Prediction(BaseModel):
    """One pattern that the state belongs to."""

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
    pattern_name: Optional[str] = Field(None, description="On user endpoints: PTRN| and the name")


class FuturePotential(BaseModel):
    """What several predictions agree will follow."""

    future: list[list[str]]
    aggregate_potential: float
    supporting_patterns: int
    total_weighted_frequency: float


class Predictions(BaseModel):
    """The predictions of the processor's last observation, best first."""

    model_config = shown(
        {
            "predictions": [_PREDICTION],
            "future_potentials": [_FUTURE],
            "session_id": None,
            "processor_id": "ada_kato",
            "count": 1,
            "time": 1767254400,
            "unique_id": None,
        }
    )

    predictions: list[Prediction]
    future_potentials: list[FuturePotential]
    session_id: Optional[str]
    processor_id: Optional[str]
    count: int
    time: Optional[int]
    unique_id: Optional[str]


class SequenceItem(BaseModel):
    """One observation of a sequence."""

    strings: list[str] = Field(default_factory=list)
    vectors: list[list[float]] = Field(default_factory=list)
    emotives: Optional[dict[str, float]] = Field(default_factory=dict)
    unique_id: Optional[str] = None


class Sequence(BaseModel):
    """Observations in order; the short-term memory is emptied first."""

    model_config = shown(
        {"observations": [{"strings": ["wake"]}, {"strings": ["coffee", "news"]}], "learn_at_end": True}
    )

    observations: list[SequenceItem]
    learn_after_each: bool = False
    learn_at_end: bool = False
    clear_stm_between: bool = False


class SequenceResult(BaseModel):
    """What became of a sequence."""

    model_config = shown(
        {
            "status": "okay",
            "processor_id": "ada_kato",
            "observations_processed": 2,
            "patterns_learned": [],
            "individual_results": [],
            "final_predictions": [_PREDICTION],
            "performance_metrics": {},
        }
    )

    status: str
    processor_id: str
    observations_processed: int
    patterns_learned: list[str]
    individual_results: list[dict[str, Any]]
    final_predictions: list[Prediction]
    performance_metrics: dict[str, Any]


class Genes(BaseModel):
    """Configuration values; null means the default."""

    model_config = shown({"genes": {"recall_threshold": 0.3, "max_predictions": 10}})

    recall_threshold: Optional[float] = Field(None, description="0.0 to 1.0")
    persistence: Optional[int] = Field(None, description="1 to 100; takes effect when a processor is created")
    max_pattern_length: Optional[int] = Field(None, description="Events that trigger learning; 0: never")
    max_predictions: Optional[int] = Field(None, description="1 to 10000")
    stm_mode: Optional[str] = Field(None, description="CLEAR or ROLLING")
    indexer_type: Optional[str] = Field(None, description="VI, LSH, ANNOY or FAISS; without effect")
    sort_symbols: Optional[bool] = Field(None, description="Without effect")
    process_predictions: Optional[bool] = Field(None, description="Without effect")


class Error(BaseModel):
    """What went wrong."""

    model_config = shown({"detail": "Cannot learn from empty STM"})

    detail: Any


class SessionNotFound(BaseModel):
    """Paths of a session that is unknown or expired."""

    model_config = shown(
        {
            "error": {
                "code": "SESSION_NOT_FOUND",
                "message": f"Session {_SESSION} not found or expired",
                "session_id": _SESSION,
            }
        }
    )

    error: dict[str, str]


NotFound = Union[SessionNotFound, Error]


class Done(BaseModel):
    """It is done."""

    model_config = shown({"status": "okay", "message": "stm-cleared"})

    status: str
    message: str


class SessionDone(BaseModel):
    """It is done, in that session."""

    model_config = shown({"status": "cleared", "session_id": _SESSION})

    status: str
    session_id: str


class SessionExtended(SessionDone):
    """The session's new life, in seconds from now."""

    model_config = shown({"status": "extended", "session_id": _SESSION, "ttl_seconds": 3600})

    ttl_seconds: int


class SessionConfigured(SessionDone):
    """The values are set."""

    model_config = shown({"status": "okay", "message": "Configuration updated", "session_id": _SESSION})

    message: str


class SessionCount(BaseModel):
    """Unexpired sessions."""

    model_config = shown({"active_session_count": 3})

    active_session_count: int


class PatternAnswer(BaseModel):
    """``pattern`` is ``{"status": "okay", "pattern": {...}}`` or ``{"status": "error", "message": ...}``."""

    model_config = shown(
        {
            "pattern": {
                "status": "okay",
                "pattern": {
                    "name": f"PTRN|{_NAME}",
                    "frequency": 1,
                    "length": 4,
                    "pattern_data": [["wake"], ["coffee", "news"], ["train"]],
                    "emotives": [{"mood": 0.4}],
                },
            }
        }
    )

    pattern: dict[str, Any]


class PerceptData(BaseModel):
    """The last observation as it came in; empty before the first."""

    model_config = shown({"percept_data": {"strings": ["coffee"], "vectors": [], "emotives": {}}})

    percept_data: dict[str, Any]


class CognitionData(BaseModel):
    """What the processor made of the last observation."""

    model_config = shown({"cognition_data": {"predictions": [], "emotives": {}, "symbols": ["coffee"]}})

    cognition_data: dict[str, Any]


class Gene(BaseModel):
    """A configuration value."""

    model_config = shown({"gene": "recall_threshold", "value": 0.1})

    gene: str
    value: Any


class GenesUpdated(BaseModel):
    """``status`` is ``okay``, with the genes as sent, or ``error`` where one cannot be used."""

    model_config = shown({"status": "okay", "message": "genes-updated", "genes": {"recall_threshold": 0.3}})

    status: str
    message: str
    genes: Optional[Any] = None


def body(model: type[BaseModel], required: bool = True) -> dict:
    """The OpenAPI description of a request body that the route parses itself."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": _inline(schema)}}}}


def _inline(schema: dict) -> dict:
    """The schema with its definitions in place, since FastAPI only collects those of declared parameters."""
    defs = schema.pop("$defs", {})

    def resolve(node):
        if isinstance(node, dict):
            if "$ref" in node:
                return resolve(defs[node["$ref"].rsplit("/", 1)[1]])
            return {key: resolve(value) for key, value in node.items()}
        return [resolve(value) for value in node] if isinstance(node, list) else node

    return resolve(schema)
