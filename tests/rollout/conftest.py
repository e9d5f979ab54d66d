"""Each test has a runtime directory and an environment of its own."""

from tests.runtime_folder import folder

__all__ = ["folder"]
