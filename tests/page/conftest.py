"""A real server with something to show, and Debian's Chromium to look at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from tests.http.conftest import Server, httpx

playwright = pytest.importorskip("playwright.sync_api", reason="the tests of the page need playwright")

#: No sandbox as root; nothing that asks the network by itself.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ROOT = Path(__file__).parents[2]
#: KATO_FAST_SCREENSHOTS=1 makes the pictures of the documentation anew.
IMAGES = ROOT / "docs" / "images"
DESKTOP, PHONE = (1280, 900), (390, 844)
USER = "demo"
LEARNED = (
    [["kettle"], ["water"], ["tea", "cup"], ["milk"], ["biscuit"]],
    [["kettle"], ["water"], ["coffee", "cup"], ["sugar"]],
    [["pan"], ["water"], ["salt"], ["pasta"], ["plate"]],
)


def teach(url: str, user: str = USER) -> None:
    """Learn a few sequences, then observe the beginning of one, with a symbol that belongs to none."""
    with httpx.Client(base_url=url, headers={"x-user-id": user}, timeout=30, trust_env=False) as client:
        for events in LEARNED:
            for event in events:
                client.post("/observe", json={"strings": event}).raise_for_status()
            client.post("/learn").raise_for_status()
        for event in (["water"], ["cup", "rain"], ["milk"]):
            client.post("/observe", json={"strings": event}).raise_for_status()
        client.get("/gene/nonsense")


def find_chromium() -> Optional[str]:
    return shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Chromium. Its driver keeps an event loop running in this thread, so it ends before other tests want theirs."""
    path = find_chromium()
    if path is None:
        pytest.skip("Chromium is not installed (Debian's package chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that has been used."""
    folder = tmp_path_factory.mktemp("page")
    running = Server(folder / "log", "c", folder / "data", KATO_FAST_RUNTIME_DIR=str(folder / "run"))
    teach(running.url)
    yield running
    running.stop()


class Opened:
    """A page, and what went wrong on it."""

    def __init__(self, browser, url: str, size: tuple = DESKTOP, scheme: str = "light") -> None:
        width, height = size
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and self.faults.append(message.text))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.set_default_timeout(10_000)
        self.url = url

    def go(self, query: str = "") -> object:
        """Open it and wait for its first answer."""
        self.page.goto(f"{self.url}/ui/{query}")
        playwright.expect(self.page.locator("#is-on .answer")).not_to_have_text("…")
        return self.page

    def query(self) -> dict:
        """What the address says."""
        return self.page.evaluate("Object.fromEntries(new URLSearchParams(location.search))")

    def picture(self, name: str, **options) -> Path:
        """A screenshot; into the documentation where that was asked for."""
        folder = IMAGES if os.environ.get("KATO_FAST_SCREENSHOTS") == "1" else Path(os.environ["PAGE_PICTURES"])
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        self.page.screenshot(path=path, **options)
        return path


@pytest.fixture(scope="session", autouse=True)
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    os.environ["PAGE_PICTURES"] = str(tmp_path_factory.mktemp("pictures"))
    yield
    del os.environ["PAGE_PICTURES"]


@pytest.fixture
def opened(browser, server: Server) -> Iterator[Opened]:
    """The page on a desktop, in light; nothing may go wrong on it."""
    one = Opened(browser, server.url)
    yield one
    one.context.close()
    assert not one.faults
