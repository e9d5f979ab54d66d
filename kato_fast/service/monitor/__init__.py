"""What the service knows of itself over time, for ``/ui/``, ``/metrics`` and ``/alerts``."""
