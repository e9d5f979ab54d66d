"""As in the host; what is not here is the other stand-in's."""

from pathlib import Path

__path__.append(str(Path(__file__).parents[3] / "standin" / "kato" / "sessions"))
