"""Every page in a real browser: seen, heard, printed, zoomed, by keyboard alone, without scripts."""

from functools import cache
from pathlib import Path

import pytest

from sandbox.node import find_node, install_packages
from tests.auth_callback.browser import ORIGIN
from tests.browser.site import MICROSOFT, PAGES, approval_answered, begin, begin_approval, heading

every_page = pytest.mark.parametrize("name", PAGES)


@cache
def axe() -> str:
    return (install_packages(find_node(), Path(__file__).parent, "axe-core") / "axe-core/axe.min.js").read_text()


def findings(page) -> list[str]:
    """What axe-core finds, one line each: all of its rules, best practices too."""
    page.evaluate(axe())
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in found]


def overflow(page) -> int:
    """CSS pixels by which a page is wider than its window."""
    return page.evaluate("document.scrollingElement.scrollWidth - window.innerWidth")


@every_page
@pytest.mark.parametrize(
    ("width", "look"),
    [(1280, {"color_scheme": "light"}), (390, {"color_scheme": "dark"}), (320, {"forced_colors": "active"})],
    ids=["wide and light", "phone and dark", "narrow and in forced colours"],
)
def test_axe_finds_nothing_and_nothing_is_cut_off(tab, site, name, width, look):
    page = tab(width, **look)
    PAGES[name](page, site.world)
    assert findings(page) == []
    assert overflow(page) <= 0


@every_page
def test_at_twice_the_size_nothing_is_cut_off(tab, site, name):
    page = tab(640, 400, device_scale_factor=2)  # what 200 % makes of 1280
    PAGES[name](page, site.world)
    assert overflow(page) <= 0
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert overflow(page) <= 0


@pytest.mark.parametrize(("width", "height"), [(390, 664), (360, 640)], ids=["iPhone 14", "small Android"])
@pytest.mark.parametrize("path", ["/connect", "/connect/approval"])
def test_what_earns_trust_and_the_button_are_seen_without_scrolling(tab, path, width, height):
    page = tab(width, height)
    page.goto(f"{ORIGIN}{path}")
    lines = page.locator(".trust li")
    assert lines.count() == 3
    boxes = [lines.nth(number).bounding_box() for number in range(3)] + [page.get_by_role("button").bounding_box()]
    assert [box["y"] for box in boxes] == sorted(box["y"] for box in boxes)
    assert all(box["y"] + box["height"] <= height for box in boxes)


@every_page
def test_every_control_is_reached_by_keyboard_in_order_and_shows_it(tab, site, name):
    page = tab()
    PAGES[name](page, site.world)
    wanted = page.locator("a[href], button, textarea").evaluate_all("all => all.map(each => each.outerHTML)")
    reached = []
    for _ in wanted:
        page.keyboard.press("Tab")
        html, outline = page.evaluate(
            "[document.activeElement.outerHTML, getComputedStyle(document.activeElement).outlineStyle]"
        )
        reached.append(html)
        assert outline == "solid", html
    assert reached == wanted


def test_the_owner_goes_on_by_keyboard_alone(tab):
    page = tab()
    page.goto(f"{ORIGIN}/connect")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{MICROSOFT}/**")


def test_without_scripts_an_owner_begins_and_an_administrator_approves(tab):
    page = tab(java_script_enabled=False)
    begin(page)
    assert page.url.startswith(f"{MICROSOFT}/authorize?")
    approval_answered(page, begin_approval(page))
    assert heading(page) == "Approved: inboxes can be connected now"
    page.reload()
    assert heading(page) == "Approved: inboxes can be connected now"


def test_from_the_first_page_to_the_administrators_and_back_to_the_owners(tab):
    page = tab()
    page.goto(f"{ORIGIN}/connect")
    page.get_by_role("link", name="a page to hand on").click()
    assert heading(page) == "Siftrock asks for your approval"
    assert page.get_by_label("Address of the page").input_value() == page.url
    approval_answered(page, begin_approval(page))
    assert page.get_by_label("Link for the owner").input_value() == f"{ORIGIN}/connect"


@every_page
def test_in_print_there_is_ink_for_words_alone(tab, site, name):
    page = tab(color_scheme="dark")
    PAGES[name](page, site.world)
    page.emulate_media(media="print")
    assert page.locator("button:visible, a.button:visible").count() == 0
    colours = (
        "[...document.querySelectorAll('html, body, main, textarea')].map(e => getComputedStyle(e).backgroundColor)"
    )
    assert set(page.evaluate(colours)) <= {"rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"}
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(0, 0, 0)"
    assert page.pdf(format="A4").startswith(b"%PDF-")


def test_every_page_says_in_which_language_it_is_and_what_a_preview_may_say(tab, site):
    page = tab()
    for way in PAGES.values():
        way(page, site.world)
        assert page.locator("html").get_attribute("lang") == "en"
        said = page.locator('meta[name="description"]').get_attribute("content")
        assert said
        assert page.locator('meta[property="og:title"]').get_attribute("content") in page.title()
        assert page.locator('meta[property="og:description"]').get_attribute("content") == said
