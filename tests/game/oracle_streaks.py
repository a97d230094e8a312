"""The second opinion about streaks."""

from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from bq_server.game.facts import Fact
from tests.game.oracle_calendar import WEEK, end_of_the_next, month_of, next_on, on, streak_period, wall
from tests.game.oracle_facts import matching, zones
from tests.game.oracle_outcome import Outcome, reward


def run_streak(streak: dict[str, Any], story: list[Fact], applied_seq: int, out: Outcome) -> None:
    kind = streak["period"]
    zone: tzinfo = UTC if streak["timezone"] == "participant" or kind == "hourly" else ZoneInfo(streak["timezone"])
    records: list[tuple[int, datetime]] = []
    wanted = matching(streak, story, applied_seq)
    hours, minutes = streak.get("day_starts_at", "00:00").split(":")
    begins = timedelta(hours=int(hours), minutes=int(minutes))
    rest = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"} - set(streak.get("on_days") or WEEK)
    times: dict[int, int] = {}
    bought: list[int] = []
    used: set[int] = set()
    frozen_by_hand = False
    grace = timedelta(hours=streak["grace_period_hours"])
    for fact in story:
        if fact.fact_type.startswith("system.streak_freeze") and fact.seq > applied_seq:
            if fact.properties["streak_code"] == streak["code"] and "freezes" in streak:
                frozen_by_hand = True
                shown = wall(fact.occurred_at, zone) - begins
                alive = oldest_alive(shown, streak_period(shown, kind), kind, rest, grace)
                savable = next_on(alive, kind, rest)
                if fact.fact_type.endswith("bought"):
                    bought.append(savable)
                else:
                    number = streak_period(wall(fact.properties["starts_at"], zone) - begins, kind)
                    number = number if kind != "daily" or on(number, rest) else next_on(number, kind, rest)
                    used |= {number} if number >= savable else set()
        elif streak["timezone"] == "participant" and kind != "hourly" and fact in zones(story):
            zone = ZoneInfo(fact.properties["timezone"])
        elif fact in wanted:
            # The wall clock, set back so that days begin at midnight on it.
            shown = wall(fact.occurred_at, zone) - begins
            if WEEK[shown.weekday()] in rest:
                continue
            number = streak_period(shown, kind)
            times[number] = times.get(number, 0) + 1
            if times[number] >= streak.get("required", 1):
                records.append((number, shown))
    periods = sorted({each for each, _ in records})
    group = {each: each for each in periods}
    for later, shown in records:
        for earlier in periods:
            if earlier < later and shown < end_of_the_next(earlier, kind, rest) + grace:
                old, new = group[later], group[earlier]
                group = {each: new if root == old else root for each, root in group.items()}
    if "freezes" in streak and periods:
        frozen(streak["freezes"], periods, records, group, bought, used, (kind, rest, grace))
    lengths = [sum(root == each for root in group.values()) for each in set(group.values())]
    if periods:
        longest = max(lengths)
        out.streaks[streak["code"]] = (sum(root == group[periods[-1]] for root in group.values()), longest)
        for each in streak["milestones"]:
            reward(out, each["rewards"] if each["at"] <= longest else [])
    elif wanted or frozen_by_hand:
        out.streaks[streak["code"]] = (0, 0)


def frozen(
    freezes: dict[str, Any],
    periods: list[int],
    records: list[tuple[int, datetime]],
    group: dict[int, int],
    bought: list[int],
    used: set[int],
    calendar: tuple[str, set[str], timedelta],
) -> None:
    """Join the groups between which freezes cover what was missed."""
    kind, rest, grace = calendar
    have, month = 0, month_of(periods[0], kind) - 1
    waiting = sorted(bought)
    for earlier, later in pairwise(periods):
        if group[earlier] == group[later]:
            continue
        members = [each for each in periods if each >= later and group[each] == group[later]]
        reach = min(oldest_alive(shown, number, kind, rest, grace) for number, shown in records if number in members)
        last, lost = earlier, False
        while last < reach and not lost:
            missed = next_on(last, kind, rest)
            came = [each for each in waiting if each <= missed]
            waiting = waiting[len(came) :]
            have += len(came) + freezes.get("monthly", 0) * (month_of(missed, kind) - month)
            have, month = min(have, freezes["max"]), month_of(missed, kind)
            if have and (freezes.get("automatic", True) or missed in used):
                have, last = have - 1, missed
            else:
                lost = True
        if last >= reach:
            old, new = group[later], group[earlier]
            group.update({each: new if root == old else root for each, root in group.items()})


def oldest_alive(shown: datetime, number: int, kind: str, rest: set[str], grace: timedelta) -> int:
    """The oldest last period of a streak that isn't lost when the wall clock shows this."""
    oldest = number
    while shown < end_of_the_next(oldest - 1, kind, rest) + grace:
        oldest -= 1
    while kind == "daily" and not on(oldest, rest):
        oldest -= 1
    return oldest
