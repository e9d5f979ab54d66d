"""The processor of one node, whose observations hold a lock of the process while they await."""

from collections import deque
from multiprocessing import Lock
from types import SimpleNamespace

from kato.workers.pattern_operations import PatternOperations
from kato.workers.pattern_processor import PatternProcessor


class KatoProcessor:
    def __init__(self, genome_manifest, processor_id, settings=None, **kwargs):
        self.id, self.genome_manifest = processor_id, genome_manifest
        self.pattern_processor = PatternProcessor(kb_id=processor_id, **genome_manifest)
        self.pattern_operations = PatternOperations(self.pattern_processor)
        self.observation_processor = SimpleNamespace(max_pattern_length=0)
        self.lock, self.predictions, self.time = Lock(), [], 0

    def set_stm(self, stm):
        self.pattern_processor.STM = deque(stm)

    def get_stm(self):
        return list(self.pattern_processor.STM)

    def set_emotives_accumulator(self, value):
        self.pattern_processor.emotives = list(value)

    def get_emotives_accumulator(self):
        return list(self.pattern_processor.emotives)

    def set_metadata_accumulator(self, value):
        self.pattern_processor.metadata = list(value)

    def get_metadata_accumulator(self):
        return list(self.pattern_processor.metadata)

    async def observe(self, data=None):
        processor = self.pattern_processor
        assert self.lock.acquire(timeout=5), "stopped for ever"
        try:
            symbols = sorted(data.get("strings") or [])
            if data.get("emotives"):
                processor.emotives.append(data["emotives"])
            if data.get("metadata"):
                processor.metadata.append(data["metadata"])
            self.time, found, learned = self.time + 1, [], None
            if symbols:
                processor.trigger_predictions = True
                processor.STM.append(symbols)
                found = await processor.processEvents(data["unique_id"])
                if 0 < self.observation_processor.max_pattern_length <= len(processor.STM):
                    learned = processor.learn()
        finally:
            self.lock.release()
        self.predictions = found
        return {"time": self.time, "auto_learned_pattern": learned}

    def learn(self):
        name = self.pattern_processor.learn()
        return f"PTRN|{name}" if name else ""

    def get_predictions(self, unique_id=None):
        uid = unique_id.get("unique_id") if unique_id else None
        return self.pattern_operations.get_predictions(uid) if uid else self.predictions

    def clear_stm(self):
        self.pattern_processor.STM = deque()
        self.predictions = []

    def clear_all_memory(self):
        self.pattern_processor.superkb.clear_all_memory()
        self.pattern_processor.clear_all_memory()
        self.predictions = []
