"""What a participant token says, and that nothing else is taken for one."""

import base64
import hmac
import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bq_server.api.participant_tokens import MOST_CHARACTERS, PREFIX, ParticipantToken, ParticipantTokens, signed
from bq_server.events import Scope
from bq_server.moments import SECOND
from bq_server.store.participant_tokens import SECRET_BYTES, TokenSecret

LIVE, TEST = Scope("default", "live"), Scope("default", "test")
SECRET = TokenSecret("toksec_1", LIVE, b"s" * SECRET_BYTES, 0)
OTHER = TokenSecret("toksec_2", TEST, b"t" * SECRET_BYTES, 0)
TOKEN = ParticipantToken("tok_1", LIVE, "toksec_1", "key_1", "ada/🎲", "5e1e5", 1_000)
TEXT = signed(TOKEN, SECRET)


class Now:
    at = 0

    def __call__(self) -> int:
        return self.at


@pytest.fixture(scope="module")
def now() -> Now:
    return Now()


@pytest.fixture(scope="module")
def tokens(now: Now) -> ParticipantTokens:
    made = ParticipantTokens(cast("Any", None), now)
    made.know([SECRET, OTHER])
    return made


def claims_of(text: str) -> list[Any]:
    claims = text.removeprefix(PREFIX).partition(".")[0]
    found: list[Any] = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return found


def test_a_token_says_what_was_signed(tokens: ParticipantTokens) -> None:
    assert tokens.read(TEXT) == TOKEN
    assert claims_of(TEXT)[3] == "ada/🎲"


@pytest.mark.parametrize("place", range(len(TEXT)))
def test_no_character_can_be_changed(tokens: ParticipantTokens, place: int) -> None:
    for other in "Aa-.=\n":
        if other != TEXT[place]:
            assert tokens.read(TEXT[:place] + other + TEXT[place + 1 :]) is None


def test_a_token_has_one_text(tokens: ParticipantTokens) -> None:
    """The last character holds more bits than the signature needs."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert [each for each in alphabet if tokens.read(TEXT[:-1] + each)] == [TEXT[-1]]


@given(text=st.text(max_size=200))
def test_nothing_else_is_a_token(tokens: ParticipantTokens, text: str) -> None:
    for each in (text, PREFIX + text, f"{PREFIX}{text}.{text}", TEXT + text[1:] + "x"):
        assert tokens.read(each) is None


NO_CLAIMS = [
    "[]",
    "{}",
    "null",
    '["toksec_1"]',
    '["toksec_1","t","k","p","s","1000"]',
    '["toksec_1","t","k","p","s",-1]',
]


@pytest.mark.parametrize("claims", [*NO_CLAIMS, "\xff"])
def test_claims_of_another_shape_are_not_read_whoever_signed(tokens: ParticipantTokens, claims: str) -> None:
    text = PREFIX + base64.urlsafe_b64encode(claims.encode("latin-1")).decode().rstrip("=")
    signature = hmac.digest(SECRET.secret, text.encode(), "sha256")
    assert tokens.read(f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}") is None


def test_one_that_is_too_long_is_not_read(tokens: ParticipantTokens) -> None:
    assert tokens.read(PREFIX + "A" * MOST_CHARACTERS + TEXT) is None
    longest = ParticipantToken("tok_1", LIVE, "toksec_1", "key_" + "1" * 26, "🎲" * 255, "5" * 24, 1_000)
    assert tokens.read(signed(longest, SECRET)) == longest


def test_another_secret_signs_nothing_for_this_environment(tokens: ParticipantTokens) -> None:
    assert tokens.read(signed(TOKEN, OTHER)) is None, "it names the secret of the live environment"
    forged = ParticipantToken("tok_1", LIVE, "toksec_2", "key_1", "ada", "5e1e5", 1_000)
    read = tokens.read(signed(forged, OTHER))
    assert read is not None
    assert read.scope == TEST, "whose environment it is of, the secret says"


def test_it_expires_at_its_second_and_its_secret_at_its_end(tokens: ParticipantTokens, now: Now) -> None:
    now.at = 1_000 * SECOND - 1
    assert not tokens.has_expired(TOKEN)
    now.at += 1
    assert tokens.has_expired(TOKEN)
    tokens.know([TokenSecret(SECRET.secret_id, LIVE, SECRET.secret, 0, now.at + 1), OTHER])
    assert tokens.read(TEXT) == TOKEN
    now.at += 1
    assert tokens.read(TEXT) is None
    tokens.know([SECRET, OTHER])
    now.at = 0
