"""The shapes of requests and responses. Responses are documentation: the routes write the bytes themselves."""

from __future__ import annotations

from typing import Any, Optional

from pydantic import BaseModel, Field, FiniteFloat


class CreateSession(BaseModel):
    """Which user's session is wanted."""

    user_id: str = Field(description="Users with the same id share knowledge and, while it lasts, the session")
    metadata: Optional[dict[str, Any]] = Field(default_factory=dict, description="Kept with a new session")
    ttl_seconds: Optional[int] = Field(None, description="Life of a new session; null or 0: 3600")


class SessionInfo(BaseModel):
    """A session. Times are ISO 8601, UTC."""

    session_id: str
    user_id: str
    created_at: str
    expires_at: str
    ttl_seconds: int
    metadata: dict[str, Any]
    session_config: dict[str, Any]


class ObservationData(BaseModel):
    """What is observed together: one event."""

    strings: list[str] = Field(default_factory=list, description="Symbols, sorted before they become an event")
    vectors: list[list[FiniteFloat]] = Field(
        default_factory=list, description="Added up to one, which gives one symbol"
    )
    emotives: dict[str, FiniteFloat] = Field(default_factory=dict, description="Name to number; no dots, no leading $")


class ObservationResult(BaseModel):
    """What became of an observation."""

    status: str
    session_id: Optional[str]
    processor_id: Optional[str]
    stm_length: Optional[int]
    time: int
    unique_id: Optional[str]
    auto_learned_pattern: Optional[str]


class ShortTermMemory(BaseModel):
    """Events, oldest first."""

    stm: list[list[str]]
    session_id: Optional[str]
    length: int


class LearnResult(BaseModel):
    """``status`` is ``learned`` or ``insufficient_data``; ``pattern_name`` may be empty."""

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

    observations: list[SequenceItem]
    learn_after_each: bool = False
    learn_at_end: bool = False
    clear_stm_between: bool = False


class SequenceResult(BaseModel):
    """What became of a sequence."""

    status: str
    processor_id: str
    observations_processed: int
    patterns_learned: list[str]
    individual_results: list[dict[str, Any]]
    final_predictions: list[Prediction]
    performance_metrics: dict[str, Any]


class Genes(BaseModel):
    """Configuration values; null means the default."""

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

    detail: Any


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
