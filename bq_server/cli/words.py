"""Events and effects as lines for a person."""

import json
from collections.abc import Iterable
from typing import Any


def in_words(effect: dict[str, Any]) -> str:
    """An effect as a line for a person."""
    match effect["type"]:
        case "points":
            currency = effect.get("currency", "points")
            return f"{effect['amount']:+} {currency}, {effect['balance']} in total  ({effect['cause']})"
        case "badge":
            return f"badge {effect['name']} ({effect['rarity']})"
        case "objective":
            done = ", done" if effect["completed"] else ""
            return f"{effect['challenge']}: {effect['objective']} {effect['value']} of {effect['target']}{done}"
        case "challenge":
            return f"{effect['challenge']}: {effect['progress']:.0%}{', completed' if effect['completed'] else ''}"
        case "milestone":
            return f"milestone {effect['at']:g} of {effect['of']} {effect['code']}"
        case "streak":
            return f"streak {effect['code']}: {effect['current']}, longest {effect['longest']}"
        case "tier":
            return f"tier {effect['name']}"
        case "leaderboard":
            team = f" for {printable(effect['team'])}" if "team" in effect else ""
            return f"leaderboard {effect['code']}, {effect['period']}: {effect['score']:g}{team}"
        case "void":
            return f"{effect['voided_fact_id']} {'counts again' if effect['restored'] else 'is void'}"
        case "revocation":
            return f"taken back: {effect['badge'] or effect['cause']}"
        case "enrolment":
            return f"enrolled in {effect['challenge']}"
        case kind:
            return str(kind)


_FIRST = ("points", "badge", "tier", "milestone", "challenge", "streak")
"""What matters most, before the rest."""


def in_brief(effects: Iterable[dict[str, Any]]) -> str:
    """Effects on one line: awards first, each leaderboard once for all its windows."""
    ordered = sorted(effects, key=lambda each: _FIRST.index(each["type"]) if each["type"] in _FIRST else len(_FIRST))
    return ", ".join(dict.fromkeys(map(_briefly, ordered)))


def _briefly(effect: dict[str, Any]) -> str:
    match effect["type"]:
        case "points":
            return f"{effect['amount']:+} {effect.get('currency', 'points')}"
        case "badge":
            return f"badge {effect['name']}"
        case "streak":
            return f"streak {effect['code']} {effect['current']}"
        case "leaderboard":
            return f"leaderboard {effect['code']}"
        case _:
            return in_words(effect)


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON readable in any language, on one line unless indented. What controls a terminal is escaped, as JSON can."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def printable(text: str) -> str:
    """A text from outside without characters that control the terminal: those are written as escapes."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
