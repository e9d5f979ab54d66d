"""Builds ``kato_fast._core`` and, where their libraries are found, ``_mongo``, ``_redis`` and ``_cbor``.

Everything else is in pyproject.toml. Environment: KATO_FAST_REQUIRE_C=1 makes a failed build fail the install (else
the twin in Python serves); KATO_FAST_WERROR=1 turns compiler warnings into errors; KATO_FAST_WITHOUT=mongo,redis,cbor
builds as if those libraries were not there. CC, CFLAGS, LDFLAGS, PKG_CONFIG and PKG_CONFIG_PATH work as everywhere.
"""

import os
import shlex
import subprocess
import sys
from glob import glob

import setuptools
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel
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

#: Per extension: pkg-config's names of its library, the best first; Debian's package; the client in Python.
WIRES = {
    "mongo": (("mongoc2", "libmongoc-1.0"), "libmongoc-dev", "pymongo"),
    "redis": (("hiredis",), "libhiredis-dev", "redis-py"),
    "cbor": (("libcbor",), "libcbor-dev", "the twin in Python"),
}
#: What wire/ may use of the core, compiled into each extension of its own: the hidden symbols do not meet.
SHARED = ("alloc", "buffer", "cbor", "status", "utf8")


class OptionalBuild(build_ext):
    """Without a working compiler the install goes on, says so in one line, and the twin serves."""

    def run(self):
        for name in WIRES:
            if name not in wires:
                self.remove_stale(Extension(f"kato_fast._{name}", []))
        super().run()

    def build_extension(self, ext):
        try:
            super().build_extension(ext)
        except (BaseError, CCompilerError, OSError) as error:
            if REQUIRE_C:
                raise
            self.remove_stale(ext)
            reason = " ".join(str(error).split())
            print(f"kato_fast: {what_serves(ext.name)}: {reason}", file=sys.stderr)

    def remove_stale(self, ext):
        """An engine of an earlier build would answer for sources that it does not match."""
        for path in (self.get_ext_fullpath(ext.name), self.get_ext_filename(ext.name)):
            if os.path.exists(path):
                os.remove(path)


#: Beside the package in site-packages: with KATO_FAST=1, a KATO service is attached to when it is imported.
DOOR = "kato_fast_door.pth"


class WithDoor(build_py):
    """The ``.pth`` file goes where the package's folder goes; setuptools knows no other way to install one."""

    def run(self):
        super().run()
        if not self.editable_mode:
            self.copy_file(DOOR, os.path.join(self.build_lib, DOOR), preserve_mode=False)

    def get_outputs(self, include_bytecode=True):
        return [*super().get_outputs(include_bytecode), os.path.join(self.build_lib, DOOR)]


class EditableWithDoor(editable_wheel):
    """An editable install has the door too: its wheel holds little else but ``.pth`` files."""

    def _run_build_commands(self, dist_name, unpacked_wheel, build_lib, tmp_dir):
        self.copy_file(DOOR, os.path.join(unpacked_wheel, DOOR), preserve_mode=False)
        return super()._run_build_commands(dist_name, unpacked_wheel, build_lib, tmp_dir)


def what_serves(name):
    if name == "kato_fast._core":
        return "the C engine was not built, the slower Python twin serves"
    return f"{name} was not built, {WIRES[name.rpartition('_')[2]][2]} serves"


def files(*patterns):
    return sorted(path for pattern in patterns for path in glob(pattern, recursive=True))


# ---- The libraries ----


def hidden(name):
    return name in os.environ.get("KATO_FAST_WITHOUT", "").replace(",", " ").split()


def asked(*arguments):
    """What pkg-config answers, or None where it does not know, or is not there."""
    command = [*shlex.split(os.environ.get("PKG_CONFIG", "pkg-config")), *arguments]
    try:
        found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return None
    return shlex.split(found.stdout.decode()) if found.returncode == 0 else None


def library(name):
    """(compiler's flags, linker's flags) of an extension's library, or None, said in one line."""
    modules, package, instead = WIRES[name]
    for module in () if hidden(name) else modules:
        compiling, linking = asked("--cflags", module), asked("--libs", module)
        if compiling is not None and linking is not None:
            # Warnings as errors are for our own headers.
            return [flag.replace("-I", "-isystem", 1) for flag in compiling], linking
    why = "KATO_FAST_WITHOUT" if hidden(name) else f"apt-get install pkg-config {package}"
    print(f"kato_fast: {name}: no library, {instead} serves ({why})", file=sys.stderr)
    return None


def wire(name):
    """The extension of one library, or None where it has no sources or no library."""
    own = files(f"csrc/wire/{name}*.c", f"csrc/python/{name}_*.c")
    found = library(name) if own else None
    if found is None:
        return None
    return Extension(
        f"kato_fast._{name}",
        sources=own + [f"csrc/core/{part}.c" for part in SHARED],
        depends=["setup.py", *files("csrc/**/*.h")],
        include_dirs=["csrc/include", "csrc"],
        extra_compile_args=[*FLAGS, *found[0], "-pthread"],
        extra_link_args=[*found[1], "-pthread", "-Wl,-Bsymbolic"],
        optional=not REQUIRE_C,
    )


of_wires = {path for name in WIRES for path in files(f"csrc/python/{name}_*.c")}
wires = {name: extension for name in WIRES for extension in [wire(name)] if extension is not None}
core = Extension(
    "kato_fast._core",
    sources=[path for path in files("csrc/python/*.c", "csrc/core/**/*.c") if path not in of_wires],
    depends=["setup.py", *files("csrc/**/*.h")],
    include_dirs=["csrc/include"],
    libraries=["m"],
    extra_compile_args=[*FLAGS, "-pthread"],
    extra_link_args=["-pthread"],
    optional=not REQUIRE_C,
)

commands = {"build_ext": OptionalBuild, "build_py": WithDoor, "editable_wheel": EditableWithDoor}
setup(ext_modules=[core, *wires.values()], cmdclass=commands)
