"""What badges with criteria and challenges share: keeping a quest in a cell, in any order or as a course."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from bq_server.game.effects import Verdict
from bq_server.game.expressions.conditions import Variables
from bq_server.game.facts import CHALLENGE_ENROLLED, TIMEZONE_CHANGED, Fact, Moment
from bq_server.game.mechanics.course_hits import (
    ENROLMENT,
    amounts_of,
    earliest,
    enrols,
    fits,
    is_late,
    take,
    verdicts_of_late,
)
from bq_server.game.mechanics.limits import placed_hits
from bq_server.game.mechanics.measures import Amount, Hit, PartReading
from bq_server.game.mechanics.ordered_quest import Course
from bq_server.game.mechanics.quests import COMPLETE, Progress, Quest, freely
from bq_server.game.mechanics.rule import (
    Bounds,
    HistoryNeed,
    Rewards,
    Rule,
    RuleHistory,
    RuleOutcome,
    again,
    dues,
    explain,
    merge,
    reduced,
)
from bq_server.game.recipients import AwardTo
from bq_server.game.state import keys
from bq_server.game.state.keys import Cell, Cells


class QuestState(Struct):
    """A quest's state between loading and writing a cell."""

    progress: Progress
    newest: Moment | None = None
    """The newest fact that counted, if order is not kept."""
    course: Course | None = None

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        if self.course is not None:
            return self.course.dump()
        return {"p": self.progress.dump(), "k": list(self.newest) if self.newest is not None else None}


class QuestRule(Struct, Rule):
    """A definition that is a quest. Subclasses define what reaching something means."""

    key: str
    cell: str
    quest: Quest
    bounds: Bounds
    revision: str
    fact_types: frozenset[str]
    rewards: Rewards
    explicit: bool = False
    rolling: int | None = None
    revocable: bool = False
    """Whether what was given is taken back when a void fact leaves it not reached."""
    ordered: bool = False
    """Whether order decides the outcome even without falling sums."""
    award_to: AwardTo | None = None

    def read(self, fact: Fact, variables: Variables) -> tuple[PartReading, ...]:
        """What the parts read; an enrolment counts however early it is."""
        if fact.fact_type == TIMEZONE_CHANGED:
            return ()
        if fact.fact_type == CHALLENGE_ENROLLED:
            verdict: Verdict = "matched" if fact.seq > self.bounds.applied_seq else "outside_window"
            return (PartReading(ENROLMENT, verdict),)
        measures = [measure for measure in self.quest.measures if fact.fact_type in measure.fact_types]
        if not self.bounds.admits(fact.moment):
            return tuple(PartReading(measure.part, "outside_window") for measure in measures)
        return tuple(measure.read(fact, variables) for measure in measures)

    def cells(self, hits: Sequence[Hit]) -> Iterable[str]:
        """Its own cell and, if sets are kept beside it, the members that these hits name."""
        yield self.cell
        if TIMEZONE_CHANGED in self.fact_types:
            yield keys.ZONE
        if not self.ordered:
            for hit in hits:
                for reading in hit.readings:
                    if reading.verdict == "matched" and self.quest.keeps_set(reading.part):
                        yield keys.member(self.key, str(reading.part), reading.amount)

    def is_current(self, hits: Sequence[Hit], cells: Cells) -> bool | None:  # noqa: ARG002
        """Whether the cell is of this definition."""
        cell = cells.get(self.cell)
        return None if cell is None else cell.get("rev") == self.revision

    def whole(self) -> HistoryNeed:
        """All facts that it listens to, the members of its sets and, if anything pays, what was paid."""
        since = None if self.explicit or self.rolling is not None else self.bounds.starts_at
        return HistoryNeed(self._past_types(), since, (keys.members(self.key),), ledger=bool(self.steps()))

    def late(self, hits: Sequence[Hit], cells: Cells) -> HistoryNeed | None:
        """The past, if a fact comes before what is kept and may change more than that, or an enrolment moves."""
        cell = cells.get(self.cell)
        if self._in_order(hits, cell):
            return None
        state = self._load(cell)
        if self._moves(hits, state.course):
            return self.whole()
        hits = placed_hits(hits, self.quest.quotas, cells.get(keys.ZONE, ()))
        if state.course is None:
            if not self._first_fall(hits, state):
                return None
            if self._has_open_set(state):
                return self.whole() if is_late(hits, state.newest) else self._sets()
            state = self._converted(state)
        course = state.course
        if course is None:
            return None
        restart = self._restarts(hits, course)
        if restart is not None:
            return None if self._starts_alone(restart, course) else self._since(restart, course)
        return None if fits(hits, course) else self._past_of(hits, cell)

    def step(self, hits: Sequence[Hit], cells: Cells, history: RuleHistory | None) -> RuleOutcome:
        """Fold the hits into the quest."""
        outcome = RuleOutcome()
        old = cells.get(self.cell)
        timeline = cells.get(keys.ZONE, ())
        hits = placed_hits(hits, self.quest.quotas, timeline)
        if history is not None:
            history = replace(history, hits=placed_hits(history.hits, self.quest.quotas, timeline))
        before = self._load(old)
        state, story = self._opened(hits, old, history)
        if history is not None:
            outcome.cells.update(dict.fromkeys(history.cells))
        verdicts = self._take(story, state, cells, outcome)
        by = history.by if history is not None else None
        if by is None and before.course is not None:
            verdicts |= verdicts_of_late(self.quest, hits, before.progress, state.progress, verdicts)
        for hit in hits:
            for reading in hit.readings:
                if reading.part != ENROLMENT:
                    verdict = verdicts.get((hit.fact.fact_id, reading.part), reading.verdict)
                    way = self.quest.way(state.progress, reading.part)
                    message = reading.message or self.quest.said(reading.part, verdict)
                    outcome.explanations.append(explain(self, hit.fact, reading.part, verdict, message, way))
                elif reading.verdict != "matched":
                    outcome.explanations.append(explain(self, hit.fact, reading.part, reading.verdict))
        awarded: dict[str, Any] = old.get("given", {}) if old is not None else {}
        revoked: list[str] = old.get("revoked", []) if old is not None else []
        if by is not None and self.revocable:
            lost = self._lost(awarded, state)
            outcome.lost = [cause for _, cause in lost]
            awarded = {name: each for name, each in awarded.items() if name not in dict(lost)}
            revoked = sorted({*revoked, *(name for name, _ in lost)})
        due = dues(self.steps(), awarded, old, cells, history)
        given = {name: each for name, each in awarded.items() if name not in due.rewards}
        self._reached(outcome, story, hits, before, state, given, by)
        outcome.grants = again(reduced(outcome.grants, self.steps(), due), self.steps(), revoked)
        cell = {"rev": self.revision, **state.dump()}
        if given or awarded:
            cell["given"] = given | awarded  # the time of the first award stays
        if owed := due.left(self.steps(), given):
            cell["owed"] = owed
        if revoked:
            cell["revoked"] = revoked
        # A replay leaves a cell even if nothing counted, as a sign that the past has been examined.
        if cell != old and (
            history is not None
            or old is not None
            or state.dump() != self._fresh(ordered=state.course is not None).dump()
        ):
            outcome.cells[self.cell] = cell
        return outcome

    def open(self, cell: Cell | None) -> QuestState:
        """The state in a cell of this definition. Raises if it can't be read."""
        state = self._load(cell)
        if state.course is not None:
            state.course.check()
        return state

    def place(self, cell: Cell) -> tuple[Fraction, int | None]:
        """The progress in a cell of this definition, and since when; None before anything counted or an enrolment."""
        if cell.get("rev") != self.revision:
            return Fraction(0), None
        progress = Progress.load(cell["p"])
        enrolled = cell.get("e")
        at = progress.at if progress.at is not None or enrolled is None else enrolled[0]
        return progress.fraction(self.quest), at

    def _reached(
        self,
        outcome: RuleOutcome,
        story: Sequence[Hit],
        batch: Sequence[Hit],
        before: QuestState,
        state: QuestState,
        given: dict[str, Any],
        by: Fact | None,
    ) -> None:
        raise NotImplementedError

    def _lost(self, awarded: Mapping[str, Any], state: QuestState) -> list[tuple[str, str]]:
        """The steps given that are not reached any more, with their causes."""
        return [
            (name, cause) for name, cause, _ in self.steps() if name in awarded and name not in state.progress.marks
        ]

    def _take(
        self, story: Sequence[Hit], state: QuestState, cells: Cells, outcome: RuleOutcome
    ) -> dict[tuple[str, int], Verdict]:
        if state.course is not None:
            verdicts = take(story, state.course)
            state.progress = state.course.tip
            return verdicts
        verdicts = {}

        def is_new(part: int, member: Amount) -> bool:
            key = keys.member(self.key, str(part), member)
            if outcome.cells.get(key) is not None or (key in cells and key not in outcome.cells):
                return False
            outcome.cells[key] = 1
            return True

        for hit in story:
            amounts = amounts_of(hit)
            counted = freely(self.quest, state.progress, hit.fact.moment, amounts, is_new)
            if counted and (state.newest is None or hit.fact.moment > state.newest):
                state.newest = hit.fact.moment
            for part, _ in amounts:
                verdicts[hit.fact.fact_id, part] = "matched" if part in counted else "already_complete"
        return verdicts

    def _in_order(self, hits: Sequence[Hit], cell: Cell | None) -> bool:
        """Whether a glance at the cell shows that nothing is late, as with nearly all facts: it saves parsing it."""
        if cell is None or cell.get("rev") != self.revision or not cell.get("e") or COMPLETE in cell["p"].get("m", {}):
            return False
        newest = max(cell["e"], cell["t"][-1][:2] if cell["t"] else cell["k"] or cell["e"])
        return bool(hits) and list(hits[0].fact.moment) > newest

    def _moves(self, hits: Sequence[Hit], course: Course | None) -> bool:
        """Whether the participant's zone changed before something that a limit has placed."""
        if TIMEZONE_CHANGED not in self.fact_types or course is None or course.end is None:
            return False
        return any(hit.fact.fact_type == TIMEZONE_CHANGED and hit.fact.moment < course.end for hit in hits)

    def _past_of(self, hits: Sequence[Hit], cell: Cell | None) -> HistoryNeed:
        """What follows the newest checkpoint before the hits."""
        course = self._load(cell).course
        start = earliest(hits, course)
        checkpoint = None if course is None else course.checkpoints.before(start)
        if course is None or checkpoint is None:
            return self._since(start, course)
        return HistoryNeed(self.fact_types, checkpoint.at, until=course.expires_at)

    def _opened(
        self, hits: Sequence[Hit], cell: Cell | None, history: RuleHistory | None
    ) -> tuple[QuestState, Sequence[Hit]]:
        """The state that the step starts from, and the hits to fold into it."""
        if history is not None and history.by is not None:
            return self._anew(hits, history)
        state = self._load(cell)
        if hits and state.course is None and self._is_own(cell) and self._first_fall(hits, state):
            if not self._has_open_set(state):
                state = self._converted(state)
            elif not is_late(hits, state.newest):
                return self._converted(state, history.cells if history is not None else {}), hits
        course = state.course
        if history is None:
            restart = self._restarts(hits, course) if course is not None else None
            alone = course is not None and restart is not None and self._starts_alone(restart, course)
            if alone or (course is None and self._first_fall(hits, state)):
                state = self._fresh(ordered=True)
            return state, hits
        course = self._resumed(hits, course) if self._is_own(cell) else None
        if course is not None:
            # The answers include facts with the checkpoint's own event time, and it knows those up to its moment.
            past = [hit for hit in history.hits if course.base_end is None or hit.fact.moment > course.base_end]
            return QuestState(course.tip, course=course), merge(past, hits)
        return self._anew(hits, history)

    def _anew(self, hits: Sequence[Hit], history: RuleHistory) -> tuple[QuestState, Sequence[Hit]]:
        """The state before all facts, and all of them."""
        story = merge(history.hits, hits)
        falls = any(self.quest.falls(*amount) for hit in story for amount in amounts_of(hit))
        return self._fresh(ordered=self.ordered or falls), story

    def _restarts(self, hits: Sequence[Hit], course: Course) -> Moment | None:
        """The first hit that makes an enrolment earlier, if that changes which known facts count."""
        enrolled = course.enrolled
        for hit in hits:
            moment = hit.fact.moment
            early = enrolled is not None and moment < enrolled
            if self.explicit:
                if enrols(hit) and (enrolled is None or early):
                    return moment
            elif early and (enrols(hit) or amounts_of(hit)) and course.would_lose(moment):
                return moment
        return None

    def _starts_alone(self, restart: Moment, course: Course) -> bool:
        """Whether a course that starts earlier ends before the first known fact, which started it until now."""
        ends = course.ends(restart)
        return not self.explicit and ends is not None and course.enrolled is not None and ends <= course.enrolled.at

    def _resumed(self, hits: Sequence[Hit], course: Course | None) -> Course | None:
        """The course back at the checkpoint from which `late` requested the past; None to start from scratch."""
        if course is None or not course.checkpoints.rows or self._restarts(hits, course) is not None or not hits:
            return None
        if self._moves(hits, course):
            return None
        return course if course.go_back(earliest(hits, course)) else None

    def _since(self, moment: Moment, course: Course | None) -> HistoryNeed:
        whole = self.whole()
        if not self.explicit and self.rolling is None:
            return whole
        since = moment if course is None or course.enrolled is None else min(moment, course.enrolled)
        return HistoryNeed(whole.fact_types, since.at, whole.prefixes, until=self._course().ends(since))

    def _sets(self) -> HistoryNeed:
        """The members of the sets kept in cells, but no facts."""
        return HistoryNeed(frozenset(), None, (keys.members(self.key),))

    def _first_fall(self, hits: Sequence[Hit], state: QuestState) -> bool:
        """Whether an amount makes order matter that didn't before. One after its part was met never counts."""
        late = is_late(hits, state.newest)
        return any(
            self.quest.falls(part, amount) and (late or state.progress.done[part] is None)
            for hit in hits
            for part, amount in amounts_of(hit)
        )

    def _has_open_set(self, state: QuestState) -> bool:
        progress = state.progress
        return any(
            self.quest.keeps_set(part) and progress.done[part] is None and progress.values[part] is not None
            for part in range(self.quest.size)
        )

    def _converted(self, state: QuestState, members: Cells | None = None) -> QuestState:
        """The course equal to a state kept in any order, which only knows the latest moment of reaching something."""
        end = state.newest
        if end is None:
            return self._fresh(ordered=True)
        progress = state.progress
        progress.done = [None if done is None else end for done in progress.done]
        progress.marks = dict.fromkeys(progress.marks, end)
        course = self._course(end)
        course.base, course.base_end = progress, end
        for key in members or ():
            part, _, member = key.removeprefix(keys.members(self.key)).partition("/")
            if progress.done[int(part)] is None:
                course.take_member(int(part), member)
        course.tip = progress.copy()
        return QuestState(course.tip, course=course)

    def _course(self, enrolled: Moment | None = None) -> Course:
        return Course(self.quest, self.explicit, self.rolling, enrolled, self.bounds.starts_at)

    def _is_own(self, cell: Cell | None) -> bool:
        return cell is not None and cell.get("rev") == self.revision

    def _past_types(self) -> frozenset[str]:
        return self.fact_types

    def _fresh(self, *, ordered: bool) -> QuestState:
        if not ordered:
            return QuestState(Progress.empty(self.quest))
        course = self._course()
        return QuestState(course.tip, course=course)

    def _load(self, cell: Cell | None) -> QuestState:
        if cell is None or cell.get("rev") != self.revision:
            return self._fresh(ordered=self.ordered)
        if "e" not in cell:
            newest = Moment(*cell["k"]) if cell["k"] is not None else None
            return QuestState(Progress.load(cell["p"]), newest)
        course = self._course()
        course.load(cell)
        return QuestState(course.tip, course=course)
