"""A stand-in for KATO of September 2025: its module, class and method names, and the twin behind its original paths."""

__version__ = "1.0.0"
