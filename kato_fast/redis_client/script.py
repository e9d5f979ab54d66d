"""A Lua script: sent whole once per server, by its digest from then on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

from kato_fast.redis_client.errors import ResponseError

if TYPE_CHECKING:
    from kato_fast.redis_client import Argument, Client


class Script:
    """All of it happens or nothing, and nobody else's command in between."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def short(self, keys: Sequence[Argument], args: Sequence[Argument]) -> list:
        """The command; answered with NOSCRIPT by a server that has not seen the text."""
        return ["EVALSHA", self.digest, len(keys), *keys, *args]

    def whole(self, keys: Sequence[Argument], args: Sequence[Argument]) -> list:
        """The command with the text."""
        return ["EVAL", self.text, len(keys), *keys, *args]

    def call(
        self, client: Client, keys: Sequence[Argument], args: Sequence[Argument], timeout: Optional[float] = None
    ) -> Any:
        """Run it. NOSCRIPT means that nothing was done, so the text may follow."""
        try:
            return client.command(*self.short(keys, args), timeout=timeout)
        except ResponseError as error:
            if error.code != "NOSCRIPT":
                raise
        return client.command(*self.whole(keys, args), timeout=timeout)
