"""The twelve flags in this service: for each one place that chooses between its original path and its replacement.

``matching`` (native_matching, incremental_metrics), ``counting`` (pattern_cache, aggregation), ``storing``
(native_store, indexes), ``starting`` (stream_memory, connection_pools), ``answering`` (batch, native_responses).
``effects`` says which of them can change nothing where a service runs as it does, and why.
"""

from __future__ import annotations

from kato_fast import flags

#: Where nobody says otherwise, this service runs its own paths.
DEFAULTS = dict.fromkeys(flags.FLAGS, "on")
