"""Folding hits into a course, in the order of their moments, among those that it keeps."""

from collections.abc import Mapping, Sequence

from bq_server.game.effects import Verdict
from bq_server.game.facts import Moment
from bq_server.game.mechanics.insertions import insert, met_later
from bq_server.game.mechanics.measures import Amount, Hit
from bq_server.game.mechanics.ordered_quest import Course
from bq_server.game.mechanics.quests import Parts, Progress, Quest

ENROLMENT = -1
"""The part of a reading that stands for an enrolment."""


def take(story: Sequence[Hit], course: Course) -> dict[tuple[str, int], Verdict]:
    """Fold hits into a course; returns what became of each part of each fact. The past must be there, see `fits`."""
    verdicts: dict[tuple[str, int], Verdict] = {}
    entries: list[tuple[Moment, Parts]] = []
    fact_ids: dict[Moment, str] = {}
    for hit in story:
        if enrols(hit):
            course.enrol(hit.fact.moment)
        elif amounts := amounts_of(hit):
            entries.append((hit.fact.moment, amounts))
            fact_ids[hit.fact.moment] = hit.fact.fact_id
    while entries and not course.final and course.base_end is not None and entries[0][0] < course.base_end:
        moment, parts = entries.pop(0)
        found = _inserted(course, moment, parts)
        if found is None:
            raise ValueError(f"the step needs the past of {story[0].fact.participant_id}, see Plan.requests")
        verdicts.update({(fact_ids[moment], part): verdict for part, verdict in found})
    if course.tip.complete:
        if entries and course.rolling is not None and not course.explicit:
            course.enrol(entries[0][0])
        verdicts.update(
            {(fact_ids[moment], part): "already_complete" for moment, parts in entries for part, _ in parts}
        )
    else:
        for moment, part, verdict in _push(course, entries):
            if moment in fact_ids:
                verdicts[fact_ids[moment], part] = verdict
    return verdicts


def verdicts_of_late(
    quest: Quest,
    hits: Sequence[Hit],
    before: Progress,
    after: Progress,
    verdicts: Mapping[tuple[str, int], Verdict],
) -> dict[tuple[str, int], Verdict]:
    """Those of a batch to be told otherwise, so that it is nobody's concern how much of the past was replayed for it.

    What comes before the moment at which its part is met is not needed where that was known before the batch, unless it
    takes something away, others wait for the part, or a limit may prefer it. Otherwise it counted.
    """
    found: dict[tuple[str, int], Verdict] = {}
    for hit in hits:
        for part, amount in amounts_of(hit):
            which, was, done = (hit.fact.fact_id, part), before.done[part], after.done[part]
            told = verdicts.get(which)
            may_matter = quest.leads_on(part) or quest.falls(part, amount) or quest.is_limited(part)
            if told == "matched" and was is not None and was >= hit.fact.moment and not may_matter:
                found[which] = "already_complete"
            elif told == "already_complete" and was is None and done is not None and done >= hit.fact.moment:
                found[which] = "matched"
    return found


def _inserted(course: Course, moment: Moment, parts: Parts) -> list[tuple[int, Verdict]] | None:
    if course.is_before_entry(moment):
        return [(part, "not_enrolled") for part, _ in parts]
    return insert(course, moment, parts)


def fits(hits: Sequence[Hit], course: Course) -> bool:
    """Whether the hits can be folded without the past. Try it on a course that is no longer needed."""
    entries = [(hit.fact.moment, amounts) for hit in hits if (amounts := amounts_of(hit))]
    while entries and not course.final and course.base_end is not None and entries[0][0] < course.base_end:
        if _inserted(course, *entries.pop(0)) is None:
            return False
    if not entries or course.tip.complete or not course.may_fall(parts for _, parts in entries):
        return True
    before = list(course.tip.done)
    _push(course, entries)
    return not met_later(before, course.tip.done)


def _push(course: Course, entries: Sequence[tuple[Moment, Parts]]) -> list[tuple[Moment, int, Verdict]]:
    """Fold facts from after the base, in order, among those of the tail."""
    entries = list(entries)
    if entries and course.end is not None and entries[0][0] < course.end:
        entries = sorted([*entries, *course.rewind()], key=lambda entry: entry[0])
    return [(moment, part, verdict) for moment, parts in entries for part, verdict in course.push(moment, parts)]


def earliest(hits: Sequence[Hit], course: Course | None) -> Moment:
    """The moment from which a replay must count again. Its changes may make any other hit of the batch count."""
    moments = [hit.fact.moment for hit in hits if amounts_of(hit)]
    return min(moment for moment in moments if course is None or not course.is_before_entry(moment))


def is_late(hits: Sequence[Hit], newest: Moment | None) -> bool:
    """Whether one of the hits comes before the newest that counted; no two facts share a moment."""
    return newest is not None and hits[0].fact.moment < newest


def amounts_of(hit: Hit) -> list[tuple[int, Amount]]:
    """The parts for which the fact counts, and how much."""
    return [
        (reading.part, reading.amount)
        for reading in hit.readings
        if reading.verdict == "matched" and reading.part != ENROLMENT
    ]


def enrols(hit: Hit) -> bool:
    """Whether the fact is an enrolment that counts."""
    return any(reading.part == ENROLMENT and reading.verdict == "matched" for reading in hit.readings)
