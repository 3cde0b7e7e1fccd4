"""The pages of the server around accounts: by keyboard, on a narrow screen, in light and dark."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.support.server import LabServer
from tests.ui.people import PASSWORD, PATIENCE, People
from tests.ui.test_changes import call

pytestmark = pytest.mark.timeout(240)

LONG = "a" * 64

#: The contrast of each field's border to what it stands on, as of WCAG 2.2, 1.4.11.
_CONTRASTS = """() => {
  const light = colour => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const card = light(getComputedStyle(document.querySelector('main')).backgroundColor);
  return [...document.querySelectorAll('input:not([type=hidden])')].map(field => {
    const border = light(getComputedStyle(field).borderTopColor);
    return (Math.max(card, border) + 0.05) / (Math.min(card, border) + 0.05);
  });
}"""


async def is_sound(page: Page) -> None:
    """The page needs no scrolling to the side, and its fields can be seen and are named."""
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 320, f"{page.url} is {width} px wide"
    assert min(await page.evaluate(_CONTRASTS), default=3) >= 3, page.url
    fields = page.locator("input:not([type=hidden])")
    for number in range(await fields.count()):
        assert await fields.nth(number).evaluate("field => field.labels.length") == 1


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
async def test_one_joins_by_keyboard_on_a_narrow_screen(
    lab: LabServer, people: People, scheme: str
) -> None:
    links = []
    for path in ("a.py", "b.py"):
        wanted = {"name": LONG, "path": path, "content": "x = 1\n"}
        session = call(lab, "POST", "sessions", wanted)["id"]
        invitation = {"session_id": session, "role": "viewer"}
        links.append(call(lab, "POST", "sessions/invite", invitation)["url"])
    narrow = {"width": 320, "height": 640}
    cleo = await people.come("cleo", viewport=narrow, color_scheme=scheme)
    page, keys = cleo.page, cleo.page.keyboard
    await page.goto(links[0])
    await is_sound(page)
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(page.locator("#username")).to_be_focused(timeout=PATIENCE)
    await is_sound(page)
    for text in (LONG, LONG, PASSWORD, "another one"):
        await keys.type(text)
        await keys.press("Tab")
    await keys.press("Enter")

    # One goes on at the field that is wrong, and is told beside it what is.
    again = page.locator("#password_again")
    await expect(again).to_have_attribute("aria-invalid", "true", timeout=PATIENCE)
    await expect(again).to_be_focused()
    await expect(again).to_have_accessible_description("The two passwords differ.")
    assert (await page.title()).startswith("Problem: ")
    await is_sound(page)
    await keys.type(PASSWORD)
    await keys.press("Shift+Tab")
    await keys.type(PASSWORD)
    await keys.press("Enter")
    await page.wait_for_url("**/lab/**")

    await page.goto(links[1])
    await cleo.appears("Join as")
    await is_sound(page)
    await page.goto(lab.base_url + "collab-ai/account")
    await cleo.appears("Where you are signed in")
    await is_sound(page)
    await page.get_by_text("Change the password").click()
    await expect(page.get_by_label("Current password")).to_be_visible()
    await is_sound(page)
    await page.goto(lab.base_url + "logout")
    await page.goto(lab.base_url + "login")
    await is_sound(page)
    await keys.type(LONG)
    await keys.press("Tab")
    await keys.type("wrong")
    await keys.press("Enter")
    await cleo.appears("The username or the password is wrong.")
    await expect(page.get_by_label("Password or token")).to_be_focused()
    await is_sound(page)
