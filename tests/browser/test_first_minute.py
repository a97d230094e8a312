"""The product's first minute: start, open, send, see, understand."""

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Opened, sign_in, visit
from tests.support.process import ServerProcess

GAME = """\
points:
  - {code: spend, on: purchase_completed, award: properties.amount}
badges:
  - {code: regular, name: Regular, criteria: {on: purchase_completed, target: 3}}
"""


def test_start_open_send_see_why(data_dir: Path, tmp_path: Path, opened: Opened) -> None:
    game = tmp_path / "game.yaml"
    game.write_text(GAME)
    with ServerProcess(data_dir, "--game", str(game)) as server:
        assert f"{server.url}/console" in server.banner
        page = opened(server)
        sign_in(page, server.key)
        page.get_by_role("link", name="Sandbox", exact=True).click()
        page.get_by_label("Event name").fill("purchase_completed")
        page.get_by_label("Participant", exact=True).fill("ada")
        page.get_by_label("Properties").fill('{"amount": 40')
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("Properties")
        page.get_by_label("Properties").fill('{"amount": 40}')
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.get_by_text("+40 points")).to_be_visible()

        page.get_by_role("link", name="ada").click()
        expect(page.get_by_role("heading", name="ada", level=1)).to_be_visible()
        expect(page.get_by_text("40 earned, 0 spent")).to_be_visible()
        page.get_by_role("link", name="Timeline").click()
        expect(page.get_by_text("+40 points")).to_be_visible()
        expect(page.get_by_text("amount: 40")).to_be_visible()

        page.get_by_role("link", name="Why?", exact=True).click()
        page.get_by_label("Event name").fill("purchase_completed")
        # As the last of its kind, without a word typed.
        expect(page.get_by_label("Properties")).to_have_value(re.compile('"amount": 40'))
        page.get_by_role("button", name="Rehearse").click()
        verdict = page.get_by_role("listitem").filter(has_text="regular")
        expect(verdict).to_contain_text("Counts")
        expect(verdict).to_contain_text("2 of 3")
        page.get_by_role("link", name="Points").click()
        expect(page.get_by_text("+40")).to_have_count(1)

        visit(page, "#/game/catalogue", "Game")
        expect(page.get_by_role("rowheader", name="purchase_completed")).to_be_visible()
        assert server.stop() == 0
