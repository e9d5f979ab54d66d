"""One processor a user."""

from kato.workers.kato_processor import KatoProcessor


class ProcessorManager:
    def __init__(self, base_processor_id):
        self.base_processor_id, self.processors = base_processor_id, {}

    async def get_processor(self, user_id, session_config=None):
        name = f"{user_id}_{self.base_processor_id}"
        if name not in self.processors:
            genes = {"persistence": 5, "max_predictions": 100, "recall_threshold": 0.1}
            self.processors[name] = {"processor": KatoProcessor(genes, name)}
        return self.processors[name]["processor"]
