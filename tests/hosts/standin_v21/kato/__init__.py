"""A stand-in for KATO 2.1: its modules, classes and methods, written from their names, on the twin.

What both generations have alike is the other stand-in's.
"""

from pathlib import Path

__version__ = "2.1.0"
__path__.append(str(Path(__file__).parents[2] / "standin" / "kato"))
