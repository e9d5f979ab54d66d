"""How fast, against whom: one module per question, each a ratio against a named peer in one interleaved run.

``python -m benchmarks`` asks all of them, ``python -m benchmarks predict --help`` tells about one. A question is a
module with a docstring, EXAMPLE, OPTIONS (help of the keyword arguments of ``run``) and ``run(**options) -> Result``.
Answers are checked equal before anything is timed. Nothing here is imported by ``kato_fast``.
"""

#: In the order in which they are asked; a dotted name is a module of a folder.
QUESTIONS = ("predict", "ratio", "learn", "observe", "response", "redis", "mongo", "corpus")
