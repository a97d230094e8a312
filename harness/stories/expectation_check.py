"""Expectations: where the state of a participant or of the environment is not as the story says."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bq_server.game import TIMEZONE_CHANGED
from bq_server.moments import parse_timestamp
from harness.client import NOT_FOUND, Client, Refused, segment
from harness.stories.differences import ExpectationDifference, differ, same, unmatched, written
from harness.stories.expectations import (
    ExpectedContest,
    ExpectedEnvironment,
    ExpectedParticipant,
    ExpectedRehearsal,
    ExpectedWebhook,
    Points,
    Ranking,
)
from harness.stories.routes import Rejected
from harness.stories.steps import ExpectedRefusal, Rejection

Json = dict[str, Any]

MOST_ENTRIES = 100


def of_participant(client: Client, expected: ExpectedParticipant) -> list[ExpectationDifference]:
    """Where a participant is not as expected."""
    try:
        state = client.state(expected.participant)
    except Refused as refused:
        if refused.code != NOT_FOUND:
            raise
        return list(differ("exists", expected.exists is not False, False))
    if expected.exists is False:
        return [ExpectationDifference("exists", False, True)]
    found = list(state_differences(expected, state))
    if expected.timezone is not None:
        found += differ("timezone", expected.timezone, timezone_of(client, expected.participant))
    if expected.attributes is not None:
        profile = client.call("GET", f"/gamify/participants/{segment(expected.participant)}")
        found += differ("attributes", expected.attributes, profile["attributes"])
    return found


def state_differences(expected: ExpectedParticipant, state: Mapping[str, Any]) -> Iterator[ExpectationDifference]:
    """Where a state is not as expected."""
    if expected.facts is not None:
        yield from differ("facts", expected.facts, state["total_events"])
    if expected.points is not None:
        yield from _figures("points", _points(expected.points), state["points"])
    kept = {each["code"]: each for each in state["points"].get("currencies", ())}
    for code, points in expected.currencies.items():
        if code in kept:
            yield from _figures(f"currencies.{code}", _points(points), kept[code])
        else:
            yield ExpectationDifference(f"currencies.{code}", _points(points), None)
    if expected.badges is not None:
        held = sorted(badge["code"] for badge in state["badges"] if badge["earned"])
        yield from differ("badges", sorted(expected.badges), held)
    counts = {badge["code"]: badge["count"] for badge in state["badges"]}
    for code, count in expected.badge_counts.items():
        yield from differ(f"badge_counts.{code}", count, counts.get(code))
    claimed = Counter(each["reward_id"] for each in state.get("rewards") or () if each["status"] != "cancelled")
    for code, count in expected.rewards.items():
        yield from differ(f"rewards.{code}", count, claimed[code])
    if "tier" in expected.model_fields_set:
        tier = state["tier"]["current_tier"]
        yield from differ("tier", expected.tier, tier and tier["code"])
    yield from _challenges(expected, {each["code"]: each for each in state["challenges"]})
    streaks = {each["code"]: each for each in state["streaks"]}
    for code, streak in expected.streaks.items():
        yield from _figures(f"streaks.{code}", streak.model_dump(exclude_none=True), _streak(streaks.get(code)))
    places = {each["leaderboard_code"]: each for each in state["leaderboards"]}
    for code, place in expected.leaderboards.items():
        given = None if place is None else place.model_dump(exclude_none=True)
        if given is None or code not in places:
            actual = {key: places[code][key] for key in ("rank", "score")} if code in places else None
            yield from differ(f"leaderboards.{code}", given, actual)
        else:
            yield from _figures(f"leaderboards.{code}", given, places[code])


def of_environment(
    client: Client, expected: ExpectedEnvironment, totals: Mapping[str, Any]
) -> Iterator[ExpectationDifference]:
    """Where the environment is not as expected. `totals` is the answer of a drain."""
    for name in ("facts", "duplicates", "dead"):
        count = getattr(expected, name)
        if count is not None:
            yield from differ(name, count, totals[name])
    if expected.leaderboard is not None:
        yield from _ranking(client, expected.leaderboard)
    if expected.contest is not None:
        yield from _contest(client, expected.contest)
    if expected.warnings is not None:
        warned = {each["definition"] for each in client.call("GET", "/gamify/admin/game")["warnings"]}
        yield from differ("warnings", sorted(expected.warnings), sorted(warned))


def of_rehearsal(client: Client, expected: ExpectedRehearsal) -> list[str]:
    """Lines about what a dry run says otherwise; empty if all is well."""
    verdicts = client.call("POST", "/ingest/events/sync", expected.event, dry_run="true")["definitions"]
    missing = unmatched(expected.verdicts, verdicts)
    if not missing:
        return []
    told = [{name: value for name, value in each.items() if value is not None} for each in verdicts]
    return [f"missing  {written(each)}" for each in missing] + [f"told     {written(each)}" for each in told]


def of_webhooks(expected: Sequence[ExpectedWebhook], heard: Sequence[Json]) -> list[str]:
    """Lines about webhooks that are missing, or were sent although none should be; empty if all is well."""
    missing = unmatched([each.model_dump(exclude_unset=True) for each in expected], heard)
    if not missing and (expected or not heard):
        return []
    return [f"missing  {written(each)}" for each in missing] + (
        [f"told     {written(each)}" for each in heard] or ["nothing was told"]
    )


def of_refusal(expected: ExpectedRefusal, refused: Refused) -> Iterator[ExpectationDifference]:
    """Where a refusal differs from what was expected."""
    if expected.status is not None:
        yield from differ("status", expected.status, refused.status)
    if expected.code is not None:
        yield from differ("code", expected.code, refused.code)
    if expected.field is not None and expected.field not in refused.fields:
        yield ExpectationDifference("field", expected.field, refused.fields)


def of_rejections(expected: Iterable[Rejection], rejected: Rejected) -> Iterator[ExpectationDifference]:
    """Where not exactly those events of a batch were rejected, or for other reasons."""
    wanted: dict[int, list[Json]] = {}
    for each in expected:
        wanted.setdefault(each.index, []).append(each.model_dump(exclude_none=True, exclude={"index"}))
    for index in sorted({*wanted, *rejected}):
        if index not in rejected:
            yield ExpectationDifference(f"batch[{index}]", "rejected", "accepted")
        elif index not in wanted:
            yield ExpectationDifference(f"batch[{index}]", "accepted", f"rejected: {_errors(rejected[index])}")
        else:
            for told in unmatched(wanted[index], rejected[index]):
                yield ExpectationDifference(f"batch[{index}]", told, _errors(rejected[index]))


def timezone_of(client: Client, participant_id: str) -> str:
    """A participant's current zone: the newest one known, or UTC."""
    told = client.facts(participant_id=participant_id, fact_type=TIMEZONE_CHANGED)
    newest = max(told, key=lambda fact: parse_timestamp(fact["occurred_at"]), default=None)
    return "UTC" if newest is None else str(newest["properties"]["timezone"])


def _points(expected: int | Points) -> Json:
    points = expected if isinstance(expected, Points) else Points(balance=expected)
    return points.model_dump(exclude_none=True)


def _figures(what: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[ExpectationDifference]:
    for name, value in expected.items():
        yield from differ(f"{what}.{name}", value, actual.get(name))


def _challenges(expected: ExpectedParticipant, actual: Mapping[str, Any]) -> Iterator[ExpectationDifference]:
    for code, challenge in expected.challenges.items():
        what = f"challenges.{code}"
        if code not in actual:
            yield ExpectationDifference(what, challenge.model_dump(exclude_unset=True), None)
            continue
        found = actual[code]
        figures = challenge.model_dump(exclude={"objectives", "milestones", "group"}, exclude_none=True)
        yield from _figures(what, figures, found)
        values = {each["code"]: each["value"] for each in found["objectives"]}
        for objective, value in challenge.objectives.items():
            yield from differ(f"{what}.objectives.{objective}", value, values.get(objective))
        if challenge.group is not None:
            group = found.get("group")
            if group is None:
                yield ExpectationDifference(f"{what}.group", challenge.group.model_dump(exclude_unset=True), None)
            else:
                yield from _figures(f"{what}.group", challenge.group.model_dump(exclude_none=True), group)
        if challenge.milestones is not None:
            reached = [each["at"] for each in found["milestones"] if each["reached"]]
            yield from differ(f"{what}.milestones", sorted(challenge.milestones), sorted(reached))


def _streak(state: Mapping[str, Any] | None) -> Json:
    if state is None:
        return {"current": 0, "longest": 0, "at_risk": False, "times": 0, "freezes": 0}
    return {
        "current": state["current_count"],
        "longest": state["longest_count"],
        "at_risk": state["is_at_risk"],
        "times": state.get("times"),
        "freezes": (state.get("freezes") or {}).get("available"),
    }


_OF_A_PLACE = ("rank", "score", "members", "change")


def _ranking(client: Client, expected: Ranking) -> Iterator[ExpectationDifference]:
    period = expected.period or expected.window
    asked: Json = {} if period is None else {"period": period}
    path = f"/gamify/leaderboards/{segment(expected.code)}"
    if expected.around is None:
        answer = client.call("GET", path, limit=MOST_ENTRIES, **asked)
    else:
        answer = client.call("GET", f"{path}/around/{segment(expected.around)}", n=1, **asked)
    told = [entry.model_dump(exclude_unset=True) for entry in expected.entries]
    who = "team" if "group_by" in answer else "participant"
    actual = [
        {who: entry["participant_id"], **{name: entry[name] for name in _OF_A_PLACE if name in entry}}
        for entry in answer["entries"]
    ]
    yield from _places(f"leaderboard.{expected.code}", told, actual)


def _places(what: str, told: Sequence[Json], actual: Sequence[Json]) -> Iterator[ExpectationDifference]:
    for place in range(max(len(told), len(actual))):
        wanted = told[place] if place < len(told) else None
        found = actual[place] if place < len(actual) else None
        if wanted is not None and found is not None:
            found = {name: found.get(name) for name in wanted}
        if not same(wanted, found):
            yield ExpectationDifference(f"{what}[{place}]", wanted, found)


def _contest(client: Client, expected: ExpectedContest) -> Iterator[ExpectationDifference]:
    path = f"/contests/{segment(expected.code)}"
    if expected.status is not None:
        yield from differ(f"contest.{expected.code}.status", expected.status, client.call("GET", path)["status"])
    if expected.entries is None:
        return
    answer = client.call("GET", f"{path}/leaderboard/public", limit=MOST_ENTRIES)
    told = [entry.model_dump(exclude_none=True) for entry in expected.entries]
    # Participants of stories seldom have another name than their id.
    actual = [
        {"participant": entry["display_name"], "rank": entry["rank"], "score": entry["score"]}
        for entry in answer["entries"]
    ]
    yield from _places(f"contest.{expected.code}", told, actual)


def _errors(errors: Iterable[Json]) -> str:
    return "; ".join(f"{each.get('field')} {each.get('code')}: {each.get('detail')}" for each in errors)
