"""uvicorn's protocol on httptools, with limits that httptools has not, and with the bodies that it passes over.

httptools keeps a head until all of it has come, however long. Where a client would rather speak another protocol
(Java's asks each new server for HTTP/2), it ends the request with its head, and the body would be the next request.
"""

from __future__ import annotations

import asyncio
from typing import Any, Optional, Union

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kato_fast.service.serving import HEAD_BYTES

#: Requests that may wait on a connection behind the one that is answered.
WAITING = 1_000

Data = Union[bytes, memoryview]


class TooLong(Exception):
    """What has come is more than is taken; the parser makes an answer of 400 of it."""


class Protocol(HttpToolsProtocol):
    """Answers 400, as h11 does, and closes, where HEAD_BYTES and one read's more come without an end.

    No upgrade is taken, as HTTP allows: the request is answered in the protocol that it came in.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        """A client is there."""
        super().connection_made(transport)
        if type(transport).__module__.startswith("uvloop"):
            self.transport = _Together(transport, self.loop)

    #: Bytes since the parser last handed on something that is not kept: a head, a piece of a body, a message's end.
    _kept = 0

    def data_received(self, data: Data) -> None:
        """What the transport has read."""
        self._unset_keepalive_if_required()
        self._kept += len(data)
        try:
            while data:
                data = self._feed(data)
        except httptools.HttpParserError:
            self._refuse()
            return
        if self._kept > HEAD_BYTES:
            self._refuse()

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.send_400_response("Invalid HTTP request received.")

    def _feed(self, data: Data) -> Data:
        """What is left of it: what follows a wish to upgrade."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as wish:
            self._stay()
            return memoryview(data)[wish.args[0] :]
        return b""

    def _stay(self) -> None:
        """Another parser reads the body, if there is one: it is told the head again, without the wish."""
        sizes = [pair for pair in self.headers if pair[0] in (b"content-length", b"transfer-encoding")]
        if sizes:
            self.cycle.more_body = True
            self.cycle.message_event.clear()
            self.parser = httptools.HttpRequestParser(_Further(self))
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            lines = b"".join(b"%b: %b\r\n" % pair for pair in sizes)
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % lines)

    def on_headers_complete(self) -> None:
        """The parser has a whole head."""
        if self._kept > HEAD_BYTES and self._head() > HEAD_BYTES or len(self.pipeline) > WAITING:
            raise TooLong
        self._kept = 0
        super().on_headers_complete()

    def _head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        """The parser has a piece of a body."""
        self._kept = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The parser is at a message's end."""
        self._kept = 0
        super().on_message_complete()


class _Together:
    """uvloop's transport; a head and what follows it at once go out in one piece, which wakes the client once.

    Other loops would copy the two into one.
    """

    __slots__ = ("_to", "_loop", "_held", "is_closing")

    #: A head is not longer.
    SHORT = 4096

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._to = transport
        self._loop = loop
        self._held: Optional[bytes] = None
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._to, name)

    def write(self, data: Data) -> None:
        held = self._held
        if held is not None:
            self._held = None
            self._to.writelines((held, data))
        elif len(data) > self.SHORT:
            self._to.write(data)
        else:
            self._held = data
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._to.write(held)

    def close(self) -> None:
        self._flush()
        self._to.close()


class _Further:
    """A protocol's callbacks for a parser that begins with a head which the protocol has already."""

    def __init__(self, protocol: Protocol) -> None:
        self._to = protocol
        self._begun = False
        self.on_body = protocol.on_body
        self.on_message_complete = protocol.on_message_complete

    def on_message_begin(self) -> None:
        if self._begun:
            self._to.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._begun:
            self._to.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._begun:
            self._to.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._begun:
            self._to.on_headers_complete()
        self._begun = True
