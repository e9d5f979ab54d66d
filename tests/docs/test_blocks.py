"""Every code block of the documentation does what the page says."""

from __future__ import annotations

import functools
import json
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("markdown_it", reason="the documentation's tests need the extra kato_fast[cli]")
from tests.docs.blocks import ROOT, Block, agrees, blocks_of, pages, run_python, run_shell  # noqa: E402

SHOWN = {"text", "c", "ini", "yaml"}
RUN = {"python", "sh"}
DIRECTIVE = re.compile(r"\{[a-z-]+\}")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_blocks_have_a_known_language(page: Path) -> None:
    for block in blocks_of(page):
        known = block.language in SHOWN | RUN | {"json", "toml"} or DIRECTIVE.match(block.language)
        assert known, f"{page}:{block.line}: say what kind of block it is; {block.language!r} is none"


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_blocks_of_data_parse(page: Path) -> None:
    for block in blocks_of(page):
        if block.language == "json":
            json.loads(block.source)
        if block.language == "toml" and sys.version_info >= (3, 11):
            import tomllib

            tomllib.loads(block.source)


def with_language(*languages: str) -> list[Path]:
    return [page for page in pages() if any(block.language in languages for block in blocks_of(page))]


@pytest.mark.parametrize("page", with_language("python"), ids=name_of)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    run_python(page, blocks_of(page), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", with_language("sh"), ids=name_of)
def test_shell_blocks_run(page: Path, tmp_path: Path) -> None:
    run_shell(page, blocks_of(page), tmp_path)


# ---- the runner itself ----


def page_with(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text)
    return page


def test_an_output_belongs_to_the_block_above(tmp_path: Path) -> None:
    page = page_with(tmp_path, "```python\nprint(1)\n```\n\n```\n1\n```\n\nText.\n\n```text\nshown\n```\n")
    assert blocks_of(page) == [Block(1, "python", "print(1)\n", "1\n"), Block(11, "text", "shown\n")]


def test_text_between_parts_a_block_from_the_next(tmp_path: Path) -> None:
    page = page_with(tmp_path, "```python\nprint(1)\n```\n\nText.\n\n```\n1\n```\n")
    assert [block.output for block in blocks_of(page)] == [None, None]


def test_dots_stand_for_anything() -> None:
    assert agrees("a 17 b\nc\n", "a ... b\nc")
    assert not agrees("a 17 b\nd\n", "a ... b\nc")


def test_wrong_output_is_found(tmp_path: Path) -> None:
    page = page_with(tmp_path, "```python\nx = 1\n```\n\n```python\nprint(x)\n```\n```\n2\n```\n")
    with pytest.raises(AssertionError, match="page.md:5 prints"):
        run_python(page, blocks_of(page), tmp_path)


def test_failing_python_names_its_line(tmp_path: Path) -> None:
    page = page_with(tmp_path, "Text\n\n```python\nx = 1\ny = z\n```\n")
    with pytest.raises(AssertionError, match=r"page.md.*line 5"):
        run_python(page, blocks_of(page), tmp_path)


def test_a_failing_command_is_found(tmp_path: Path) -> None:
    page = page_with(tmp_path, "```sh\nfalse | true\n```\n")
    with pytest.raises(AssertionError, match="page.md:1 ends with 1"):
        run_shell(page, blocks_of(page), tmp_path)


# ---- the troubleshooting page ----


def texts_of_troubleshooting() -> list[str]:
    page = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
    first_columns = re.findall(r"^\| ([^|]*) \|", page, re.MULTILINE)
    return [text for column in first_columns for text in re.findall(r"`([^`]+)`", column)]


@pytest.mark.parametrize("text", texts_of_troubleshooting())
def test_troubleshooting_quotes_what_the_code_says(text: str) -> None:
    """What stands between the dots is in the code, values as %s or {name}; a part may span two of its literals."""
    code = spoken()
    parts = re.sub(r"\[\d+\]|\d+|\bint\b", "...", text).split("...")
    for part in parts:
        assert part.strip() in code, f"no code says {part.strip()!r}"


@functools.cache
def spoken() -> str:
    """All source texts, literals that follow each other joined."""
    return re.sub(r'"\s*f?"', "", "".join(path.read_text("utf-8") for path in sources()))


def sources() -> list[Path]:
    kinds = (("kato_fast", "*.py"), ("csrc", "*.[ch]"))
    return [ROOT / "setup.py", *(path for folder, kind in kinds for path in (ROOT / folder).rglob(kind))]
