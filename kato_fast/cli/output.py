"""What the commands share: JSON with a schema, messages, exit codes, the first and the second Ctrl-C."""

from __future__ import annotations

import functools
import json as _json
import signal
import sys
from typing import Any, Callable, Optional

OK, FINDING, USAGE, ENVIRONMENT, INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES = """Exit codes: 0 done, 1 a finding ({finding}), 2 wrong usage or input, 3 something is missing in the
environment (an extra, a file that cannot be opened, a service that does not answer), 130 interrupted."""


class Problem(Exception):
    """Ends the command with one clear line on stderr and this exit code."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


def help_text(what: str, finding: str, *examples: str) -> str:
    """The help of a command: what it does, examples, exit codes. A backspace keeps the lines of a paragraph."""
    shown = "\n".join(f"  {example}" for example in examples)
    word = "Example" if len(examples) == 1 else "Examples"
    return f"{what}\n\n\b\n{word}:\n{shown}\n\n{EXIT_CODES.format(finding=finding)}"


def print_json(command: str, **fields: Any) -> None:
    """One object on stdout, with the schema first."""
    text = _json.dumps({"schema": f"kato-fast/{command}/1", **fields}, ensure_ascii=False, indent=2)
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.flush()


def command(name: str) -> Callable:
    """Runs a command's function: its return value is the exit code, and every error is one line."""

    def decorate(function: Callable[..., int]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(**arguments: Any) -> None:
            code, message = _outcome(function, arguments)
            if message:
                print(f"kato-fast {name}: {message}", file=sys.stderr)
                if arguments.get("as_json"):
                    print_json(name, error=message, exit_code=code)
            sys.exit(code)

        return run

    return decorate


def _outcome(function: Callable[..., int], arguments: dict) -> tuple[int, Optional[str]]:
    import sqlite3

    try:
        return function(**arguments), None
    except KeyboardInterrupt:
        return INTERRUPTED, "interrupted"
    except Problem as problem:
        return problem.code, str(problem)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return ENVIRONMENT, f"{where}{error.strerror or error}"
    except ModuleNotFoundError as error:
        return ENVIRONMENT, f"{error}: pip install kato_fast[cli]" if error.name == "rich" else str(error)
    except (ImportError, sqlite3.Error) as error:
        return ENVIRONMENT, str(error)
    except (TypeError, ValueError, OverflowError) as error:
        return USAGE, str(error)
    except Exception as error:
        if sys.flags.dev_mode:  # python -X dev -m kato_fast ... shows where
            raise
        return ENVIRONMENT, f"unexpected {type(error).__name__}: {error}"


class Interrupts:
    """While entered, the first Ctrl-C only asks to stop (``asked()``); the second one interrupts at once."""

    def __init__(self) -> None:
        self._asked = False
        self._before: Any = None

    def asked(self) -> bool:
        """Whether there was a Ctrl-C."""
        return self._asked

    def __enter__(self) -> Interrupts:
        self._before = signal.getsignal(signal.SIGINT)
        if self._before is not signal.SIG_IGN:  # a shell's background job is not meant
            signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *exc_info: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, *_: object) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
