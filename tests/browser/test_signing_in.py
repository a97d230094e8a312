"""Signing in by key and by link, and what a browser then keeps."""

from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Opened, create_key, session_of, sign_in
from tests.support.process import ServerProcess, run


def test_a_wrong_key_is_told_in_words(played: ServerProcess, opened: Opened) -> None:
    page = opened(played)
    page.get_by_label("API key").fill("bq_test_" + "0" * 32)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("No valid key")


def test_a_key_stays_in_its_tab(played: ServerProcess, opened: Opened, context: BrowserContext) -> None:
    page = opened(played, played.key)
    page.reload()
    expect(page.get_by_role("navigation", name="Views")).to_be_visible()
    assert context.cookies() == []
    assert page.evaluate("localStorage.length") == 0
    other = opened(played)
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_the_link_of_the_command_signs_in_once(played: ServerProcess, opened: Opened, context: BrowserContext) -> None:
    made = run("console", "--url", played.url, "--data-dir", str(played.data_dir), "--no-open")
    assert made.returncode == 0, made.stderr
    where = made.stdout.strip().removeprefix(f"{played.url}/console")
    page = opened(played, where=where)
    expect(page.get_by_role("navigation", name="Views")).to_be_visible()
    assert "link" not in page.url, "neither the address nor the history keeps it"
    (cookie,) = context.cookies(f"{played.url}/api/v1/facts")
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert page.evaluate("document.cookie") == ""
    assert context.cookies(f"{played.url}/console") == []
    expect(opened(played).get_by_role("navigation", name="Views")).to_be_visible()
    with context.browser.new_context() if context.browser else context as stranger:
        late = stranger.new_page()
        late.goto(played.url + "/console" + where)
        expect(late.get_by_role("alert")).to_contain_text("was used")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert context.cookies() == []
    assert session_of(played, Cookie=f"{cookie['name']}={cookie['value']}", **{"X-Console": "1"}).status_code == 401


def test_what_a_key_may_not_do_is_not_shown(played: ServerProcess, opened: Opened) -> None:
    page = opened(played, create_key(played, "live", "read"))
    expect(page.get_by_text("Live environment")).to_be_visible()
    views = page.get_by_role("navigation", name="Views").get_by_role("link")
    expect(views).to_have_text(["Now", "Participants", "Game"])


def test_a_session_that_ends_is_told(played: ServerProcess, opened: Opened) -> None:
    page = opened(played)
    sign_in(page, create_key(played, "test", "read"))
    with played.client() as client:
        keys = client.get("/admin/keys").json()["keys"]
        (key_id,) = [each["key_id"] for each in keys if each["valid"] and each["name"] == "test read"]
        assert client.delete(f"/admin/keys/{key_id}").status_code == 200
    page.evaluate("location.hash = '#/participants'")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("has expired")


def test_the_address_is_followed_from_the_first_moment(played: ServerProcess, opened: Opened) -> None:
    page = opened(played)
    page.evaluate(
        """() => new MutationObserver((_, observer) => {
            if (!document.querySelector("nav")) return;
            observer.disconnect();
            location.hash = "#/participants";
        }).observe(document.body, { childList: true, subtree: true })"""
    )
    sign_in(page, played.key)
    expect(page.get_by_role("heading", name="Participants", level=1)).to_be_visible()
