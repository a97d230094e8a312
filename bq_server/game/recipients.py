"""Recipients: the participants whom a definition's `award_to` reads from a fact, to award them instead of its sender.

A fact is its sender's, and stands in the story of each recipient, too, as a received fact: only definitions with
`award_to` that name the recipient listen to it there, and none of them does in the sender's. So the state of a
participant stays the fold of one story, and follows from it in any order of arrival.

What makes a fact void is in every story that the fact is in; so is what makes that void, and so on.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from bq_server.game.effects import Explanation, RuleWarning
from bq_server.game.facts import POINTS_TRANSFERRED, Fact, PointsTransferred, system_properties
from bq_server.game.voids import named, names

MAX_RECIPIENTS = 20
"""Most participants that one property may name."""

MAX_NAME = 255
"""Characters of a participant's id (Events API, Event Schema)."""

_PATH = re.compile(r"properties(?:\.[A-Za-z_]\w*)+", re.ASCII)


def property_path(text: str) -> tuple[str, ...]:
    """The names that lead to a property: `properties.referrer.id` is `("referrer", "id")`. Raises `ValueError`."""
    if _PATH.fullmatch(text) is None:
        raise ValueError("must be the path of a property, such as properties.referrer_id")
    return tuple(text.split(".")[1:])


class AwardTo(Struct, frozen=True):
    """Which property of a fact names whom a definition awards."""

    path: tuple[str, ...]

    def recipients(self, fact: Fact) -> tuple[str, ...]:
        """Those who are named, each once, without the sender. A missing or empty value names nobody.

        Raises `ValueError`, with a sentence for the user, for a value that can't name anybody.
        """
        value: object = fact.properties
        for name in self.path:
            value = value.get(name) if isinstance(value, Mapping) else None
        given: list[str] = []
        for each in value if isinstance(value, list) else [value]:
            if each is None:
                continue
            if not isinstance(each, str) or len(each) > MAX_NAME:
                raise ValueError(f"{self} must be the id of a participant, or a list of ids")
            if each:
                given.append(fact.meant(each))
        found = tuple(dict.fromkeys(each for each in given if each != fact.author))
        if len(found) > MAX_RECIPIENTS:
            raise ValueError(f"{self} names {len(found)} participants, and at most {MAX_RECIPIENTS} are awarded")
        return found

    def names(self, fact: Fact) -> bool:
        """Whether a received fact names the participant in whose story it stands."""
        try:
            return fact.participant_id in self.recipients(fact)
        except ValueError:
            return False

    def __str__(self) -> str:
        """As in the document."""
        return ".".join(("properties", *self.path))


def award_to(path: str | None) -> AwardTo | None:
    """Compile the field of a definition."""
    return None if path is None else AwardTo(property_path(path))


def told_to(path: str | None) -> str:
    """What the field adds to a definition's revision; nothing where there is none."""
    return "" if path is None else f" to {path}"


class Deliveries(Struct):
    """Who receives facts, beside their senders."""

    recipients: dict[str, set[str]] = field(default_factory=dict)
    """By fact id; facts without recipients are left out."""
    warnings: dict[tuple[str, str], RuleWarning] = field(default_factory=dict)
    """By definition and message."""
    explanations: list[Explanation] = field(default_factory=list)
    """Of definitions that award nobody for a fact."""


class AwardingRule(Protocol):
    """A compiled definition that may award others."""

    @property
    def key(self) -> str:
        """`<kind>/<code>`."""
        ...

    @property
    def award_to(self) -> AwardTo | None:
        """Whom it awards; None for the sender."""
        ...

    @property
    def applied_seq(self) -> int:
        """It counts facts after this one."""
        ...


def deliveries(receiving: Mapping[str, Sequence[AwardingRule]], facts: Iterable[Fact]) -> Deliveries:
    """Whom facts name. `receiving` has the definitions with `award_to`, by fact type; a transfer names by itself."""
    found = Deliveries()
    for fact in facts:
        if fact.fact_type == POINTS_TRANSFERRED:
            given = system_properties(fact)
            if isinstance(given, PointsTransferred) and (who_gets := fact.meant(given.recipient_id)) != fact.author:
                found.recipients.setdefault(fact.fact_id, set()).add(who_gets)
        for each in receiving.get(fact.fact_type, ()):
            key, to = each.key, each.award_to
            if to is None or fact.seq <= each.applied_seq:
                continue
            try:
                who = to.recipients(fact)
            except ValueError as error:
                message = str(error)
                known = found.warnings.get((key, message))
                sample, count = (known.fact_id, known.count) if known is not None else (fact.fact_id, 0)
                found.warnings[key, message] = RuleWarning(key, message, sample, count + 1)
                found.explanations.append(Explanation(fact.fact_id, key, None, "no_recipient", message))
                continue
            if who:
                found.recipients.setdefault(fact.fact_id, set()).update(who)
            else:
                message = f"{to} names nobody else"
                found.explanations.append(Explanation(fact.fact_id, key, None, "no_recipient", message))
    return found


def spread(recipients: Mapping[str, Iterable[str]], facts: Sequence[Fact]) -> dict[str, set[str]]:
    """The recipients of facts and of what makes these void, by fact id.

    `recipients` are those of some of the facts, which may be of several senders.
    """
    found = {fact_id: set(who) for fact_id, who in recipients.items()}
    targets = {(fact.author, name): fact.fact_id for fact in facts for name in names(fact)}
    voiding = [(fact.fact_id, targets.get((fact.author, name))) for fact in facts if (name := named(fact)) is not None]
    moved = True
    while moved:
        moved = False
        for void, target in voiding:
            more = found.get(target, set()) - found.get(void, set()) if target is not None else set()
            if more and void != target:
                found.setdefault(void, set()).update(more)
                moved = True
    return found


def received(fact: Fact, participant_id: str) -> Fact:
    """The fact as it stands in a recipient's story."""
    return replace(fact, participant_id=participant_id, sender=fact.author)


def copies(facts: Iterable[Fact], recipients: Mapping[str, Iterable[str]]) -> Iterator[Fact]:
    """The facts as they stand in the stories of their recipients."""
    for fact in facts:
        for participant_id in sorted(recipients.get(fact.fact_id, ())):
            yield received(fact, participant_id)
