"""Failures that KATO is known to answer with 500, in its words; the service reproduces them."""

from __future__ import annotations


class HostError(Exception):
    """Its text is what KATO says; endpoints put their own words before it."""


def coded(code: str, message: str, context: dict) -> HostError:
    """KATO's form: ``CODE: message | Context: {...}``."""
    return HostError(f"{code}: {message} | Context: {context}")


def validation_error(message: str, field: str, value: str, rule: str) -> HostError:
    """An observation of a sequence that KATO's core refuses."""
    return coded("VALIDATION_ERROR", message, {"field_name": field, "field_value": value, "validation_rule": rule})


def vector_error(text: str, count: int) -> HostError:
    """Vectors of one observation that cannot be added."""
    context = {"observation_data": {"vector_count": count}}
    return coded("OBSERVATION_ERROR", f"Failed to process vectors: {text}", context)


def observation_error(text: str, unique_id, data: dict) -> HostError:
    """Anything else that fails inside an observation. data: as KATO holds it."""
    context = {} if not unique_id else {"observation_id": unique_id}
    context["observation_data"] = {k: str(v)[:100] if isinstance(v, (list, dict)) else v for k, v in data.items()}
    return coded("OBSERVATION_ERROR", f"Failed to process observation: {text}", context)


def learning_error(text: str) -> HostError:
    """A pattern that cannot be learned. KATO has emptied its short-term memory by then."""
    context = {"stm_length": 0, "auto_learn": False}
    return coded("LEARNING_ERROR", f"Failed to learn pattern: {text}", context)
