"""The flags for OpenFeature's clients: ``api.set_provider(KatoFastProvider())``."""

from __future__ import annotations

from typing import Any, Optional

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import FlagNotFoundError, TargetingKeyMissingError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata

from kato_fast import flags
from kato_fast.openfeature.source import PREFIX


class KatoFastProvider(AbstractProvider):
    """Each flag as a boolean (does this targeting key get the candidate?), a text (its mode) or an object (all of it).

    Under canary a boolean needs a targeting key: the session or node that the path chooses by.
    """

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Called by the SDK."""
        flags.on_change(self._changed)

    def shutdown(self) -> None:
        """Called by the SDK."""
        flags.no_more(self._changed)

    def get_metadata(self) -> Metadata:
        """Its name."""
        return Metadata("kato_fast")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: Optional[EvaluationContext] = None
    ) -> FlagResolutionDetails[bool]:
        """Whether the candidate answers."""
        found = _resolution(flag_key)
        key = None if evaluation_context is None else evaluation_context.targeting_key
        if key is None and found.mode.kind == "canary":
            raise TargetingKeyMissingError(f"{flag_key} is on {found.mode}: name the session or node")
        return _details(flags.chosen(found.flag, key or ""), found)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: Optional[EvaluationContext] = None
    ) -> FlagResolutionDetails[str]:
        """The mode as it is written."""
        found = _resolution(flag_key)
        return _details(str(found.mode), found)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: Optional[EvaluationContext] = None
    ) -> FlagResolutionDetails[int]:
        """No flag is a number."""
        raise _no_number(flag_key)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: Optional[EvaluationContext] = None
    ) -> FlagResolutionDetails[float]:
        """No flag is a number."""
        raise _no_number(flag_key)

    def resolve_object_details(
        self, flag_key: str, default_value: Any, evaluation_context: Optional[EvaluationContext] = None
    ) -> FlagResolutionDetails[Any]:
        """Mode, percent, origin and detail."""
        found = _resolution(flag_key)
        mode = found.mode
        shown = {"mode": mode.kind, "percent": mode.percent, "origin": found.origin, "detail": found.detail}
        return _details(shown, found)

    def _changed(self, before: flags.Resolution, after: flags.Resolution) -> None:
        self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=[f"{PREFIX}{after.flag}"]))


def _resolution(key: str) -> flags.Resolution:
    flag = key.removeprefix(PREFIX)
    if flag == key or flag not in flags.FLAGS:
        raise FlagNotFoundError(f"{key} is no flag; they are {PREFIX} and one of {', '.join(flags.FLAGS)}")
    return flags.resolution(flag)


def _no_number(key: str) -> TypeMismatchError:
    _resolution(key)
    return TypeMismatchError(f"{key} is a boolean, a text or an object")


def _details(value: Any, found: flags.Resolution) -> FlagResolutionDetails[Any]:
    return FlagResolutionDetails(
        value, reason=_reason(found), variant=str(found.mode), flag_metadata={"origin": found.origin}
    )


def _reason(found: flags.Resolution) -> Reason:
    if found.origin in ("kill", "latch"):
        return Reason.DISABLED
    if found.mode.kind == "canary":
        return Reason.SPLIT
    return Reason.DEFAULT if found.origin == "default" else Reason.STATIC
