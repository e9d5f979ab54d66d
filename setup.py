"""Builds ``kato_fast._core``. Everything else is in pyproject.toml.

Environment: KATO_FAST_REQUIRE_C=1 makes a failed build fail the install (else the twin in Python serves);
KATO_FAST_WERROR=1 turns compiler warnings into errors. CC, CFLAGS and LDFLAGS work as everywhere.
"""

import os
import sys
from glob import glob

import setuptools
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

if int(setuptools.__version__.split(".")[0]) < 77:
    sys.exit("kato_fast needs setuptools 77 or newer to build: python -m pip install --upgrade setuptools")


def switched_on(variable):
    return os.environ.get(variable, "0") not in ("", "0")


REQUIRE_C = switched_on("KATO_FAST_REQUIRE_C")
WARNINGS = ["-Wall", "-Wextra"] + (["-Werror"] if switched_on("KATO_FAST_WERROR") else [])
# The digits must be the host's: no flag here may change the result of a float operation, and none may bind the
# build to this machine's CPU. Kernels for newer CPUs carry target attributes and are chosen at run time.
FLAGS = ["-std=gnu11", "-O3", "-fvisibility=hidden", "-ffp-contract=off", *WARNINGS]


class OptionalBuild(build_ext):
    """Without a working compiler the install goes on, says so in one line, and the twin serves."""

    def build_extension(self, ext):
        try:
            super().build_extension(ext)
        except (BaseError, CCompilerError, OSError) as error:
            if REQUIRE_C:
                raise
            self.remove_stale(ext)
            reason = " ".join(str(error).split())
            print(f"kato_fast: the C engine was not built, the slower Python twin serves: {reason}", file=sys.stderr)

    def remove_stale(self, ext):
        """An engine of an earlier build would answer for sources that it does not match."""
        for path in (self.get_ext_fullpath(ext.name), self.get_ext_filename(ext.name)):
            if os.path.exists(path):
                os.remove(path)


def files(*patterns):
    return sorted(path for pattern in patterns for path in glob(pattern, recursive=True))


core = Extension(
    "kato_fast._core",
    sources=files("csrc/python/*.c", "csrc/core/**/*.c"),
    depends=["setup.py", *files("csrc/**/*.h")],
    include_dirs=["csrc/include"],
    libraries=["m"],
    extra_compile_args=[*FLAGS, "-pthread"],
    extra_link_args=["-pthread"],
    optional=not REQUIRE_C,
)

setup(ext_modules=[core], cmdclass={"build_ext": OptionalBuild})
