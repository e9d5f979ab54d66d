"""An error that is an answer: what a path raises on purpose, so that nobody runs the other path after it."""

from __future__ import annotations

from typing import Any


class Raised:
    """A path's way to raise the caller's own error: as a value, which result_of() raises outside of the Choice."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def result_of(answer: Any) -> Any:
    """The answer, or its error raised."""
    if type(answer) is Raised:
        raise answer.error
    return answer
