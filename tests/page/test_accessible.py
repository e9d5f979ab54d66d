"""WCAG 2.2 AA by axe-core, in light, dark and on a phone; everything by keyboard; the documentation's pictures."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.page.conftest import DESKTOP, PHONE, USER, Opened

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LOOKS = {"light": (DESKTOP, "light"), "dark": (DESKTOP, "dark"), "phone": (PHONE, "light")}


@pytest.mark.parametrize("look", LOOKS)
def test_no_violation(browser, server, look: str) -> None:
    size, scheme = LOOKS[look]
    one = Opened(browser, server.url, size, scheme)
    page = one.go(f"?user={USER}")
    expect(page.locator("#predictions > li").first).to_be_visible()
    page.wait_for_timeout(500)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0], "scrolls sideways"
    one.picture(f"page-{look}", full_page=True)
    page.get_by_role("button", name="Kill switch").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.locator("#predictions > li").first.scroll_into_view_if_needed()
    one.picture(f"session-{look}") if look == "light" else None
    one.context.close()
    assert not one.faults


def violations(page) -> list:
    found = Axe().run(page, options=RULES).response["violations"]
    return [(rule["id"], [node["html"][:200] for node in rule["nodes"]]) for rule in found]


def test_everything_by_keyboard(opened: Opened) -> None:
    """Tab reaches every control once around, each visibly in focus, and leaves none out."""
    page = opened.go(f"?user={USER}")
    expect(page.locator("#predictions > li").first).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    page.locator("body").evaluate("node => { node.tabIndex = -1; node.focus(); }")
    reachable = page.evaluate(
        """[...document.querySelectorAll('a[href], button, input, select, [tabindex="0"]')]
           .filter(node => node.checkVisibility() && !node.disabled && !node.closest('dialog')).length"""
    )
    seen = []
    for _ in range(reachable + 5):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => { const node = document.activeElement, style = getComputedStyle(node);
            return [node === document.body ? '' : [...document.querySelectorAll('*')].indexOf(node),
                    style.outlineStyle + ' ' + style.outlineWidth]; }"""
        )
        if name == "" or name in seen:
            break
        assert outline.startswith("solid 3px"), f"element {name} does not show that it has the focus"
        seen.append(name)
    assert len(seen) == reachable


def test_skip_link(opened: Opened) -> None:
    page = opened.go()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the answers")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "answers"
