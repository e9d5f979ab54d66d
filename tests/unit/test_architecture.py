"""The house stays as docs/design.md draws it: imports point one way, includes keep to their folder, names agree."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "kato_fast"
CSRC = ROOT / "csrc"
HEADERS = CSRC / "include" / "kato_fast"

# A part may import its own layer and the layers below. What is not listed has no place yet: give it one.
LAYERS = (
    {"_version", "profiles", "emotives", "client", "flags", "observe"},
    {"_core", "reference", "_mongo", "_redis", "_cbor"},
    {"native"},
    {"stores", "redis_client", "cbor", "memory", "caches", "aggregation", "openfeature"},
    {"knowledge"},
    {"rollout", "otel"},
    {"hosts"},
    {"kato_fast", "plan"},  # the public names
    {"service"},
    {"cli", "__main__"},
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}
# Only native chooses between the two engines.
ENGINES = {"_core", "reference", "_mongo", "_redis", "_cbor"}

# What csrc/core and the headers may include beside their own: C11's library, threads, and the CPU's intrinsics.
SYSTEM_HEADERS = {
    *("assert ctype errno float inttypes limits math stdalign stdarg stdatomic stdbool stddef stdint".split()),
    *("stdio stdlib string threads time pthread unistd immintrin cpuid arm_neon".split()),
    *("fcntl signal sys/mman sys/stat".split()),
}

# A concept has the same name in header, C file and twin. These exist on one side only:
ONLY_C = {
    "alloc": "Python allocates by itself",
    "arena": "Python allocates by itself",
    "bucket": "kato_fast/flags/buckets.py, since flags use nothing",
    "buffer": "Python grows its own strings",
    "status": "Python has exceptions",
    "symbols": "the twin compares strings, C compares ids",
    "state": "the twin's state is the list of strings itself",
    "writer": "the twin writes a list of dicts with the modules json and cbor",
    "decimal": "float.__repr__ and round are the original",
    "emotives": "kato_fast/emotives.py averages for the twin",
    "cpu": "which kernels this processor runs",
    "align_local": "the twin has one way to align",
    "align_words": "the twin has one way to align",
    "columns": "the twin keeps all of a pattern in one object",
    "postings": "the twin looks at every pattern",
    "root": "the twin keeps a dict of patterns",
    "scan": "the twin looks at every pattern",
    "segment": "the twin keeps a dict of patterns",
    "spares": "Python allocates by itself",
    "workers": "the twin runs in the caller's thread",
    "loader": "the twin is fed pattern by pattern",
    "moment": "the twin reads a snapshot at once into what it is",
    "utf8": "bytes.decode checks for the twin",
}
ONLY_TWIN = {
    "__init__": "the public names of the twin",
    "recount": "C keeps its counters and finds its matches itself",
    "validate": "C checks while it converts, in csrc/python",
}
# Headers of which another file is the source.
NO_SOURCE: dict[str, str] = {}

LONGEST_FILE = 1000
TEXT = {".py", ".pyi", ".c", ".h", ".md", ".toml", ".cfg", ".txt", ".yml", ".yaml", ".html", ".js", ".css", ".sh", ""}
NOT_OURS = re.compile(
    r"^(\.venv.*|build|dist|.*\.egg-info|\..*_cache|\.git|\.hypothesis|__pycache__|data|demo-data|corpus|_build)$"
)


def project_files() -> Iterator[Path]:
    folders = [ROOT]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if NOT_OURS.match(path.name):
                continue
            if path.is_dir():
                folders.append(path)
            elif path.suffix in TEXT:
                yield path


# ---- Python ----


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return "kato_fast" if first == "__init__.py" else first.removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, part of the package) of every import, also of those inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        for name in imported_names(node, path):
            if name == "kato_fast" or name.startswith("kato_fast."):
                yield node.lineno, (name.split(".") + ["kato_fast"])[1]


def imported_names(node: ast.AST, path: Path) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{path}:{node.lineno}: write the import with its full name"
        if node.module == "kato_fast":
            return [submodule(alias.name) for alias in node.names]
        return [node.module or ""]
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
        return [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    return []


def submodule(name: str) -> str:
    """``from kato_fast import x``: the module x where there is one, else a public name."""
    is_module = (PACKAGE / f"{name}.py").exists() or (PACKAGE / name).is_dir() or name in RANK
    return f"kato_fast.{name}" if is_module else "kato_fast"


def only_for_types(path: Path) -> set[int]:
    """Lines under ``if TYPE_CHECKING:``, which do not run."""
    tree = ast.parse(path.read_text("utf-8"))
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    return {line for block in blocks for line in range(block.lineno, (block.end_lineno or block.lineno) + 1)}


def test_every_part_has_a_layer() -> None:
    homeless = {part_of(path) for path in modules()} - set(RANK)
    assert not homeless, f"give these a layer in {Path(__file__).name}: {sorted(homeless)}"


def test_imports_point_down() -> None:
    upwards = []
    for path in modules():
        for line, part in imported(path):
            if RANK[part] > RANK[part_of(path)]:
                upwards.append(f"{path.relative_to(ROOT)}:{line} imports {part}, which is above it")
    assert not upwards, "\n".join(upwards)


def test_only_native_chooses_the_engine() -> None:
    shortcuts = []
    for path in modules():
        if part_of(path) in {"native", *ENGINES}:
            continue
        silent = only_for_types(path)
        for line, part in imported(path):
            if part in ENGINES and line not in silent:
                shortcuts.append(f"{path.relative_to(ROOT)}:{line} imports {part}; ask kato_fast.native for it")
    assert not shortcuts, "\n".join(shortcuts)


# Clients in Python, imported only where they are to serve: what may come from outside is theirs.
FALLBACKS = {
    "redis_client/python.py": {"redis"},
    "stores/mongo_driver.py": {"pymongo", "bson"},
    "openfeature/source.py": {"openfeature"},
    "openfeature/provider.py": {"openfeature"},
    "observe/prometheus.py": {"prometheus_client"},  # the extra "service"
    **{f"otel/{name}.py": {"opentelemetry"} for name in ("calls", "figures", "providers", "requests", "session")},
}
# What a host brings with it: its replacements use the host's own libraries, when they run.
OF_HOSTS = {"pymongo", "redis", "starlette"}


def test_the_package_imports_nothing_from_outside() -> None:
    """Engine, knowledge and stores run without any dependency."""
    allowed = {"kato_fast", "__future__"}
    foreign = []
    for path in modules():
        if part_of(path) in {"service", "cli", "client", "__main__"}:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for name in imported_names(node, path):
                top = name.split(".")[0]
                if top in FALLBACKS.get(path.relative_to(PACKAGE).as_posix(), ()):
                    continue
                if part_of(path) == "hosts" and top in {*OF_HOSTS, "kato_fast_door"}:
                    continue
                if top not in allowed and not in_standard_library(top):
                    foreign.append(f"{path.relative_to(ROOT)}:{node.lineno} imports {name}")
    assert not foreign, "\n".join(foreign)


def in_standard_library(top: str) -> bool:
    spec = importlib.util.find_spec(top)
    return spec is not None and "site-packages" not in str(spec.origin)


# ---- C ----

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def includes(path: Path) -> list[tuple[str, str]]:
    return INCLUDE.findall(path.read_text("utf-8"))


def c_files(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.[ch]"))


def test_core_includes_only_its_own() -> None:
    wrong = []
    for path in c_files(CSRC / "core", HEADERS):
        for bracket, name in includes(path):
            if bracket == "<":
                good = name.removesuffix(".h") in SYSTEM_HEADERS
            else:
                good = any((base / name).exists() for base in (path.parent, CSRC / "include", CSRC / "core"))
            if not good:
                wrong.append(f"{path.relative_to(ROOT)} includes {name}")
    assert not wrong, "\n".join(wrong)


def test_python_header_stays_in_its_folder() -> None:
    homes = {path.parent for path in c_files(CSRC) if ("<", "Python.h") in includes(path)}
    assert homes <= {CSRC / "python"}


WIRES = {"mongo": ("mongoc/", "bson/"), "redis": ("hiredis/",), "cbor": ("cbor.h",)}


def test_drivers_stay_in_wire() -> None:
    """Each file of wire/ includes C's library, our own headers, and the one library that its name says."""
    wrong = []
    for path in c_files(CSRC):
        own = WIRES.get(re.split(r"[_.]", path.name)[0], ()) if path.parent.name == "wire" else ()
        for bracket, name in includes(path):
            foreign = name.startswith(tuple(driver for drivers in WIRES.values() for driver in drivers))
            if bracket == "<" and foreign and not name.startswith(own or "?"):
                wrong.append(f"{path.relative_to(ROOT)} includes {name}")
    assert not wrong, "\n".join(wrong)


def headers() -> set[str]:
    return {path.stem for path in HEADERS.glob("*.h")}


def concept_of(stem: str) -> str:
    """The header's name; a larger concept has several files, header_part.c."""
    owners = [name for name in headers() if stem == name or stem.startswith(f"{name}_")]
    return max(owners, key=len, default=stem)


def sources() -> set[str]:
    return {concept_of(path.stem) for path in (CSRC / "core").glob("*.c")}


def test_every_core_file_has_its_header_and_includes_it_first() -> None:
    assert sources() <= headers(), f"without a header: {sorted(sources() - headers())}"
    for path in (CSRC / "core").glob("*.c"):
        assert includes(path)[0] == ('"', f"kato_fast/{concept_of(path.stem)}.h"), path.relative_to(ROOT)


def test_every_header_has_its_source() -> None:
    missing = headers() - sources() - set(NO_SOURCE)
    assert not missing, f"headers without a C file of that name: {sorted(missing)}"
    assert not sources() & set(NO_SOURCE), "an exception that is none any more"


@pytest.mark.parametrize("path", sorted(HEADERS.glob("*.h")), ids=lambda path: path.name)
def test_header_form(path: Path) -> None:
    text = path.read_text("utf-8")
    guard = f"KATO_FAST_{path.stem.upper()}_H"
    assert text.startswith("/* "), "opens with its concept, invariants and thread rule"
    assert f"#ifndef {guard}\n#define {guard}\n" in text


def test_a_concept_has_one_name() -> None:
    twin = {path.stem for path in (PACKAGE / "reference").glob("*.py")}
    assert headers() - set(ONLY_C) == twin - set(ONLY_TWIN)
    assert not twin & set(ONLY_C), "an exception that is none any more"
    assert not headers() & set(ONLY_TWIN), "an exception that is none any more"


@pytest.mark.parametrize("module", ["_core", "_mongo", "_redis", "_cbor"])
def test_built_module_exports_only_its_init_function(module: str) -> None:
    if not list((CSRC / "python").glob(f"{module[1:]}_*.c")) and module != "_core":
        return
    spec = importlib.util.find_spec(f"kato_fast.{module}")
    if spec is None:
        pytest.skip(f"kato_fast.{module} is not built")
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed (binutils)")
    lines = subprocess.check_output(["nm", "-D", "--defined-only", str(spec.origin)], text=True).splitlines()
    assert [line.split()[-1] for line in lines] == [f"PyInit_{module}"]


# ---- Every file ----

FORBIDDEN = {
    "a path of somebody's machine": re.compile(r"(?<![\w.])/(?:work|root|tmp|home)/\w", re.ASCII),
    "a package registry's host": re.compile(
        r"\b(?:pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|crates\.io|maven\.org|proxy\.golang\.org|debian\.org)\b"
    ),
    "who or what wrote it": re.compile(
        r"\b(?:claude|anthropic|chatgpt|openai|copilot|language model)\b", re.IGNORECASE
    ),
    "an issue number": re.compile(r"\bissues? #?\d+\b|(?<=[\s(])#\d{1,2}\b", re.IGNORECASE),
}


def test_no_file_mentions_what_is_not_the_project() -> None:
    found = []
    for path in project_files():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            for what, pattern in FORBIDDEN.items():
                if pattern.search(line):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {what}: {line.strip()[:80]}")
    assert not found, "\n".join(found)


def test_files_are_short() -> None:
    lengths = {path: path.read_text("utf-8").count("\n") for path in project_files()}
    long = [f"{path.relative_to(ROOT)}: {lines} lines" for path, lines in lengths.items() if lines >= LONGEST_FILE]
    assert not long, "find the noun that wants its own file: " + ", ".join(long)
