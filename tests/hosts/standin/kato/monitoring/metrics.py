"""The collector: the CPU's figure costs a second of sleep, as in the host."""

import psutil


class MetricsCollector:
    def __init__(self):
        self.requests, self.cpu = 0, None

    async def collect_system_metrics(self):
        self.cpu = psutil.cpu_percent(interval=1)

    def record_request(self, method, path, status_code, duration, session_id=None):
        self.requests += 1
