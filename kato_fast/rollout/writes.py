"""Writes are compared as sets of what would be written; nothing is ever written twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable


@dataclass(frozen=True)
class Writes:
    """How the writes of one place can be seen on both sides.

    watched: from (arguments, list), arguments with which the original writes as ever and leaves each write in the list.
    planned: from the arguments, what the candidate would write; it writes nothing and changes nothing. A candidate that
        carries out the same plan has been compared.
    effect: a list of writes as plain data, the same for writes that leave the same. Raises Declined where what was
        written is not known.
    record: from the arguments, plain data of which replan makes the plan again.
    replan, recorded: two functions at module level for a replay: the plan, and what the original had written.
    """

    watched: Callable[[tuple, list], tuple]
    planned: Callable[..., list]
    effect: Callable[[list], Any]
    record: Callable[..., dict]
    replan: Callable[[dict], Any]
    recorded: Callable[[dict], Any]
