"""Every function that the check accepts exists when an event comes, in UTC and in every form of a time zone."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bq_server.game.document.check import check
from bq_server.game.expressions.conditions import FUNCTIONS, ExpressionFailure, Formula, Variables
from bq_server.game.expressions.moment_parts import ACCESSORS, zone
from bq_server.game.facts import Fact
from tests.game.test_simple_expressions import fact_with

# Half past one in the afternoon on a Sunday in UTC, late in the evening in Tokyo, and Saturday nowhere.
MOMENT = datetime(2026, 5, 31, 16, 31, 7, 89_012, tzinfo=UTC)
AT = (MOMENT - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
ONE_CALL = {
    "size": ("size(properties.l)", 2),
    "contains": ('properties.s.contains("bc")', True),
    "startsWith": ('properties.s.startsWith("ab")', True),
    "endsWith": ('properties.s.endsWith("bc")', True),
    "matches": ('properties.s.matches("^[a-c]+$")', True),
    "int": ("int(properties.n)", 5),
    "uint": ("uint(properties.n)", 5),
    "double": ('double("1.5")', 1.5),
    "string": ("string(properties.n)", "5"),
    "bytes": ("bytes(properties.s)", b"abc"),
    "timestamp": ('timestamp("2026-05-31T16:31:07.089012Z") == occurred_at', True),
    "duration": ('occurred_at - duration("1h") < occurred_at', True),
    "type": ("type(properties.s)", "string"),
    "dyn": ("dyn(properties.n)", 5.0),
    "getFullYear": ("occurred_at.getFullYear()", 2026),
    "getMonth": ("occurred_at.getMonth()", 4),
    "getDate": ("occurred_at.getDate()", 31),
    "getDayOfMonth": ("occurred_at.getDayOfMonth()", 30),
    "getDayOfYear": ("occurred_at.getDayOfYear()", 150),
    "getDayOfWeek": ("occurred_at.getDayOfWeek()", 0),
    "getHours": ("occurred_at.getHours()", 16),
    "getMinutes": ("occurred_at.getMinutes()", 31),
    "getSeconds": ("occurred_at.getSeconds()", 7),
    "getMilliseconds": ("occurred_at.getMilliseconds()", 89),
}
TOKYO = {
    "getFullYear": 2026,
    "getMonth": 5,
    "getDate": 1,
    "getDayOfMonth": 0,
    "getDayOfYear": 151,
    "getDayOfWeek": 1,
    "getHours": 1,
    "getMinutes": 31,
    "getSeconds": 7,
    "getMilliseconds": 89,
}


def fact() -> Fact:
    return fact_with({"l": [1, 2], "s": "abc", "n": 5, "zone": "Asia/Tokyo"}, AT)


def errors(source: str) -> list[str]:
    game = {"points": [{"code": "p", "on": "e", "when": source, "award": 1}]}
    return [mistake.message for mistake in check(json.dumps(game)).errors]


def value(source: str) -> Any:
    return Formula(source).value(Variables(fact()))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_exists(name: str) -> None:
    source, expected = ONE_CALL[name]
    assert errors(source) == []
    assert value(source) == expected
    # And where the engine itself has to tell, which a macro takes.
    assert value(f"[1].map(one, {source})") == [expected]


@pytest.mark.parametrize("name", sorted(ACCESSORS))
@pytest.mark.parametrize("written", ['"Asia/Tokyo"', '"+09:00"', '"09:00"', "properties.zone"])
def test_every_accessor_takes_every_form_of_a_zone(name: str, written: str) -> None:
    source = f"occurred_at.{name}({written})"
    assert errors(source) == []
    assert value(source) == TOKYO[name]
    assert value(f"[1].map(one, {source})") == [TOKYO[name]]
    assert value(f'timestamp("2026-05-31T16:31:07.089012Z").{name}({written})') == TOKYO[name]


def test_an_offset_west_of_greenwich() -> None:
    assert value('occurred_at.getHours("-02:30")') == 14
    assert zone("-02:30").utcoffset(None) == -timedelta(hours=2, minutes=30)


def test_happy_hour_where_clocks_change() -> None:
    rule = Formula('occurred_at.getHours("Europe/Paris") >= 18')
    winter, summer = (datetime(2026, month, 1, 16, 30, tzinfo=UTC) for month in (1, 7))
    held = [rule.holds(Variables(fact_with({}, int(moment.timestamp()) * 1_000_000))) for moment in (winter, summer)]
    assert held == [False, True]


@pytest.mark.parametrize("edge", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)])
@pytest.mark.parametrize("offset", ["-12:00", "+14:00"])
def test_the_ends_of_the_calendar_have_a_value(edge: datetime, offset: str) -> None:
    at = (edge - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    variables = Variables(fact_with({}, at))
    assert isinstance(Formula(f'occurred_at.getHours("{offset}")').value(variables), int)
    assert isinstance(Formula(f'[1].map(one, occurred_at.getHours("{offset}"))').value(variables), list)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('occurred_at.getHours("Asia/Nowhere") > 1', "the time zone of getHours must be an IANA time zone"),
        ('occurred_at.getHours("25:00") > 1', "less than 24 hours"),
        ("occurred_at.getHours(1, 2) > 1", "getHours is called on"),
        ("getHours(occurred_at) > 1", "getHours is called on"),
        ('startsWith(properties.s, "a")', "startsWith is called on"),
        ('"1".int() > 1', "int takes"),
        ("size() > 1", "size takes"),
        ("Foo{a: 1} == 1", "no message types"),
    ],
)
def test_what_can_never_work_is_a_mistake(source: str, said: str) -> None:
    assert said in " ".join(errors(source))


def test_a_zone_that_only_the_event_knows_and_that_is_none() -> None:
    found = Formula("occurred_at.getHours(properties.s) > 1").holds(Variables(fact()))
    assert found == ExpressionFailure("must be an IANA time zone such as Europe/Paris")
