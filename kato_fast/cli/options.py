"""How commands declare what they take: typer's own words where it is installed, else the same words for argparse.

data: Annotated[Optional[Path], Option("--data", metavar="FILE", help="...")] = None
"""

from __future__ import annotations

try:
    from typer import Argument, Option
except ImportError:
    from types import SimpleNamespace
    from typing import Any, Optional

    def _declared(
        positional: bool, names: tuple, help: str, metavar: Optional[str], min: Any, max: Any
    ) -> SimpleNamespace:
        return SimpleNamespace(
            positional=positional, param_decls=names, help=help, metavar=metavar, min=min, max=max, hidden=False
        )

    def Option(  # type: ignore[no-redef]
        *names: str, help: str = "", metavar: Optional[str] = None, min: Any = None, max: Any = None
    ) -> Any:
        """As typer.Option."""
        return _declared(False, names, help, metavar, min, max)

    def Argument(  # type: ignore[no-redef]
        *names: str, help: str = "", metavar: Optional[str] = None, min: Any = None, max: Any = None
    ) -> Any:
        """As typer.Argument."""
        return _declared(True, names, help, metavar, min, max)


__all__ = ["Argument", "Option"]
