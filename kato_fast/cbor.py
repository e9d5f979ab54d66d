"""CBOR (RFC 8949) of what JSON has, and bytes: ``loads`` and ``dumps``, in C over libcbor where it was built.

What is read is checked whole before anything is built, with limits to depth, items and bytes; faults are ValueErrors
that name the byte. Tags, undefined, and keys that are no text are refused. What is written is the same whichever
implementation writes, and whichever version of libcbor is there.
"""

from __future__ import annotations

from kato_fast import native

_module = native.cbor()

loads = _module.loads
dumps = _module.dumps
#: "c" or "python"
implementation = "c" if _module.__name__ == "kato_fast._cbor" else "python"
