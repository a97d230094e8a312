"""Playing a story: each step becomes requests, and what is not as the story says becomes a failure."""

from typing import Any, Protocol

from harness.client import Client, Refused, Unreachable
from harness.stories import expectation_check
from harness.stories.differences import table, unmatched, written
from harness.stories.expectations import Expect, ExpectedEnvironment, ExpectedParticipant, ExpectedRehearsal
from harness.stories.explanation import explain
from harness.stories.exported import read_export
from harness.stories.manual import Manual, act, apply
from harness.stories.outcomes import StoryFailure
from harness.stories.routes import Rejected, StoryRoute
from harness.stories.scenario import Scenario
from harness.stories.steps import STEPS, Advance, BatchOfEvents, ExpectedRefusal, PutGame, Send, SetClock, Step
from harness.stories.webhook_watch import Heard, hearing, wanted

Json = dict[str, Any]


class Watcher(Protocol):
    """Is told about the steps that aren't events."""

    def before(self, index: int, step: Manual) -> None:
        """Such a step is next; everything sent before has been processed."""

    def moved(self) -> None:
        """The clock was moved."""


class Stopped(Exception):
    """The story can't continue: the step was refused, or nobody answered."""

    def __init__(self, failure: StoryFailure) -> None:
        super().__init__(failure.text)
        self.failure = failure


class Player:
    """Plays one story, once."""

    def __init__(
        self,
        scenario: Scenario,
        client: Client,
        route: StoryRoute,
        *,
        way: str = "",
        clock: str | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        """`way` names this play in failures; `clock` is where its clock stops, instead of the story's own moment."""
        self.scenario = scenario
        self.client = client
        self.failures: list[StoryFailure] = []
        self._route = route
        self._way = f" [{way}]" if way else ""
        self._clock = clock or scenario.story.clock
        self._watcher = watcher
        self._totals: Json | None = None
        self._settled = False
        """Whether everything sent is settled, as it is once a clock was moved, too."""
        self._explained: set[str] = set()
        self._heard = Heard()

    def play(self) -> list[StoryFailure]:
        """Play from an empty environment to the end, or to the first step that can't be carried out."""
        try:
            self.set_up()
            with hearing(self.client, wanted(self.scenario.steps)) as self._heard:
                for index, step in enumerate(self.scenario.steps):
                    self._take(index, step)
                self._look_for_dead()
        except Stopped as stopped:
            self.failures.append(stopped.failure)
        except (Refused, Unreachable) as error:
            self.failures.append(self.failure(None, str(error)))
        return self.failures

    def set_up(self) -> None:
        """Reset the environment, set its clock, and apply the story's first game."""
        self.client.reset(game=True, clock=self._clock)
        if self.scenario.game is not None:
            apply(self.client, self.scenario.game)

    def drain(self) -> Json:
        """Wait until everything sent is settled; returns the totals of the environment."""
        if self._totals is None:
            self._totals = self.client.drain()
            self._settled = True
        return self._totals

    def _wait(self) -> None:
        """As `drain`, without a request where a clock that was moved has waited."""
        if not self._settled:
            self.drain()

    def _changes(self) -> None:
        """Something is about to be sent or done."""
        self._totals, self._settled = None, False

    def act(self, index: int, step: Manual) -> None:
        """Carry out a step that isn't an event. Raises `Stopped`."""
        self._guarded(index, step.refused, lambda: self._act(index, step))

    def failure(self, index: int | None, what: str, lines: list[str] | None = None) -> StoryFailure:
        """A failure of a step, or of the whole."""
        details = "".join("\n" + f"    {line}".rstrip() for line in lines or ())
        path = self.scenario.path
        if index is None:
            return StoryFailure(f"{path}{self._way}: {what}{details}")
        line = self.scenario.lines[index]
        return StoryFailure(
            f"{path}:{line}: step {index + 1}, {self._told(index)}{self._way}: {what}{details}", line, index + 1
        )

    def _told(self, index: int) -> str:
        step = self.scenario.steps[index]
        kind = next(key for key, model in STEPS.items() if isinstance(step, model))
        match step:
            case Expect(expect=ExpectedParticipant(participant=participant)):
                return f"expect of {participant}"
            case Send(send={"event_name": str(name)}):
                return f"send {name}"
        return kind

    def _take(self, index: int, step: Step) -> None:
        match step:
            case Send():
                self._changes()
                self._send(index, step)
            case BatchOfEvents():
                self._changes()
                self._batch(index, step)
            case Advance() | SetClock():
                self._guarded(index, None, lambda: self._move(step))
            case Expect():
                self._guarded(index, None, lambda: self._expect(index, step))
            case _:
                # Manual actions take effect at once: don't let them overtake the events before them.
                self._guarded(index, None, self._wait)
                if self._watcher is not None:
                    self._watcher.before(index, step)
                self.act(index, step)

    def _send(self, index: int, step: Send) -> None:
        if step.refused is not None:
            for _ in range(step.times):
                self._guarded(index, step.refused, lambda: self._route.send_wrong(step.send))
            return
        sent: list[Json] = []
        for _ in range(step.times):
            event = step.send if step.caused is None else self._route.keyed(step.send)
            self._guarded(index, None, lambda event=event: sent.append(self._route.send(event)))
        if step.caused is not None:
            self._guarded(index, None, lambda: self._caused(index, step.caused or [], sent))

    def _caused(self, index: int, expected: list[Json], sent: list[Json]) -> None:
        self.drain()
        # A repeat is answered with the effects of the first one, which happened once.
        once: dict[str | int, Json] = {}
        for place, event in enumerate(sent):
            once.setdefault(event.get("idempotency_key") or place, event)
        effects = [effect for event in once.values() for effect in self._route.effects(event)]
        missing = unmatched(expected, effects)
        if missing or (not expected and effects):
            lines = [f"missing  {written(each)}" for each in missing]
            lines += [f"caused   {written(each)}" for each in effects] or ["it caused nothing"]
            self.failures.append(self.failure(index, "it didn't cause what was expected", lines))

    def _batch(self, index: int, step: BatchOfEvents) -> None:
        if step.refused is not None:
            # A batch can only be refused as a batch, whatever the route: its single events may be valid.
            self._guarded(
                index, step.refused, lambda: self.client.call("POST", "/ingest/events/batch", {"events": step.batch})
            )
            return
        wrong = frozenset(each.index for each in step.rejected)
        found: list[Rejected] = []
        self._guarded(index, None, lambda: found.append(self._route.send_batch(step.batch, wrong)))
        if found:
            differences = list(expectation_check.of_rejections(step.rejected, found[0]))
            if differences:
                self.failures.append(self.failure(index, "not the events expected were rejected", table(differences)))

    def _move(self, step: Advance | SetClock) -> None:
        self._changes()
        if isinstance(step, Advance):
            self.client.clock.advance(step.advance)
        else:
            self.client.clock.set(step.clock)
        self._settled = True  # before a clock moves, and what is due then was done
        if self._watcher is not None:
            self._watcher.moved()

    def _act(self, index: int, step: Manual) -> None:
        self._changes()
        if isinstance(step, PutGame):
            apply(self.client, self.scenario.games[index], backfill=step.backfill)
        else:
            act(self.client, step)

    def _look_for_dead(self) -> None:
        """No story expects an accepted event to be lost, unless it says so."""
        dead = self.drain()["dead"]
        expected = (step.expect for step in self.scenario.steps if isinstance(step, Expect))
        if dead and not any(isinstance(each, ExpectedEnvironment) and each.dead for each in expected):
            self.failures.append(
                self.failure(None, f"accepted events that could not be processed, dead letters: {dead}")
            )

    def _expect(self, index: int, step: Expect) -> None:
        self._wait()
        expected = step.expect
        if isinstance(expected, ExpectedRehearsal):
            lines = expectation_check.of_rehearsal(self.client, expected)
            if lines:
                self.failures.append(self.failure(index, "a dry run doesn't say what was expected", lines))
            return
        if isinstance(expected, ExpectedParticipant):
            differences = expectation_check.of_participant(self.client, expected)
        else:
            differences = list(expectation_check.of_environment(self.client, expected, self.drain()))
        if differences:
            lines = table(differences)
            if isinstance(expected, ExpectedParticipant) and expected.participant not in self._explained:
                self._explained.add(expected.participant)
                lines += ["", *self._why(expected.participant)]
            self.failures.append(self.failure(index, "not as expected", lines))
        if isinstance(expected, ExpectedEnvironment) and expected.webhooks is not None:
            self.client.drain(webhooks=True)
            lines = expectation_check.of_webhooks(expected.webhooks, self._heard.bodies())
            if lines:
                self.failures.append(self.failure(index, "not the webhooks expected were told", lines))

    def _why(self, participant: str) -> list[str]:
        try:
            return explain(read_export(self.client), participant)
        except (Refused, Unreachable) as error:
            return [f"why can't be told: {error}"]

    def _guarded(self, index: int, refused: ExpectedRefusal | None, request: Any) -> None:
        """Make a request that must succeed, or be refused as expected. Raises `Stopped` if it did neither."""
        try:
            request()
        except Refused as error:
            if refused is None:
                raise Stopped(self.failure(index, f"was refused: {error}")) from None
            differences = list(expectation_check.of_refusal(refused, error))
            if differences:
                self.failures.append(self.failure(index, f"was refused otherwise: {error}", table(differences)))
        except Unreachable as error:
            raise Stopped(self.failure(index, str(error))) from None
        else:
            if refused is not None:
                told = written(refused.model_dump(exclude_none=True))
                self.failures.append(self.failure(index, f"was accepted, and had to be refused: {told}"))
