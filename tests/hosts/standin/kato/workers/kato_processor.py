"""The processor of one user."""

import uuid
from collections import deque
from multiprocessing import Lock

from kato.workers.pattern_operations import PatternOperations
from kato.workers.pattern_processor import PatternProcessor


class KatoProcessor:
    def __init__(self, genome_manifest, processor_id, settings=None, **kwargs):
        self.id, self.genome_manifest, self.settings = processor_id, genome_manifest, settings
        self.pattern_processor = PatternProcessor(kb_id=processor_id, **genome_manifest)
        self.pattern_operations = PatternOperations(self.pattern_processor)
        self.lock, self.predictions, self.time = Lock(), [], 0

    def set_stm(self, stm):
        self.pattern_processor.STM = deque(stm)

    def get_stm(self):
        return list(self.pattern_processor.STM)

    def observe(self, data=None):
        processor = self.pattern_processor
        with self.lock:
            symbols = sorted(data.get("strings") or [])
            if data.get("emotives"):
                processor.emotives.append(data["emotives"])
            self.time, found = self.time + 1, []
            if symbols:
                processor.trigger_predictions = True
                processor.STM.append(symbols)
                found = processor.processEvents(data.get("unique_id") or uuid.uuid4().hex)
        self.predictions = found
        return {"time": self.time}

    def learn(self):
        name = self.pattern_processor.learn()
        return f"PTRN|{name}" if name else ""

    def get_predictions(self, unique_id={}):  # noqa: B006 - the host's signature
        uid = unique_id.get("unique_id") if unique_id else None
        return self.pattern_operations.get_predictions(uid) if uid else self.predictions

    def clear_all_memory(self):
        self.pattern_processor.superkb.clear_all_memory()
        self.pattern_processor.clear_all_memory()
        self.predictions = []
