"""What to measure, and its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from bq_server.stream.consumer import BACKLOG_BATCH
from bq_server.stream.consumer_group import BATCH
from loadtests.processing_cost.games import LISTENING

REPORTS = Path(__file__).parents[1] / "report"

PARTS = ("throughput", "size", "growth", "late", "holds", "webhooks", "postgresql")

TEN_MILLION = 10_000_000

EPILOG = """\
The whole takes some 20 minutes and 3 GB of temporary files, --quick some 2 minutes; --ten-million adds about an hour
and 15 GB.
A cell is the median of its rounds with the extremes in parentheses. Ratios are computed round by round, from turns a
moment apart: trust those, and processor time (of all threads) where wall time varies.
"""


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What to measure, and how long."""

    parts: tuple[str, ...]
    rounds: int
    """Of the tables whose turns are short: growth and late facts."""
    long_rounds: int
    """Of the others."""
    warm_up: int
    batch: int
    """Events in a batch."""
    backlog: int
    """Batches that are handed over at once in the throughput."""
    turn: int
    """Batches in a short turn."""
    long_turn: int
    """Batches in a turn of the throughput, the webhooks and the two stores."""
    participants: int
    """Of the throughput, the size, the webhooks and the two stores."""
    facts: tuple[int, ...]
    """Stored facts in the first table of the growth."""
    definitions: tuple[int, ...]
    filling: int
    """Stored facts in the second table of the growth."""
    history: int
    """Facts of each participant in the table of late facts."""
    busy: tuple[int, ...]
    """Facts of the one participant in the other table of late facts."""
    hot: int
    """Facts of the one participant among the holds."""
    costly: int
    """Events in a turn with an expensive expression."""
    seed: int


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m loadtests.processing_cost",
        description="Prints what processing an event costs, as ratios within one run, and writes it as Markdown.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("--quick", action="store_true", help="smaller sizes and fewer rounds, to check that it works")
    add("--only", type=_names, default=PARTS, metavar="PART,...", help=f"which of {', '.join(PARTS)} (default all)")
    add("--participants", type=int, metavar="N", help="of throughput, size, webhooks and postgresql (10000)")
    add("--facts", type=_numbers, metavar="N,...", help="growth: stored facts (1000,100000,1000000)")
    add("--ten-million", action="store_true", help="growth: also over 10,000,000 stored facts, which takes long")
    add("--definitions", type=_numbers, metavar="N,...", help="growth: multiples of 10 (10,100,1000)")
    add("--history", type=int, metavar="N", help="late: facts of each of 20 participants (10000)")
    add("--busy", type=_numbers, metavar="N,...", help="late: facts of the one participant (100,100000)")
    add("--hot", type=int, metavar="N", help="holds: facts of the hot participant (20000)")
    add("--rounds", type=int, metavar="N", help="rounds that count (15; throughput, holds, webhooks and postgresql 5)")
    add("--batch", type=int, default=BATCH, metavar="N", help=f"events in a batch ({BATCH}, as the consumer reads)")
    add("--backlog", type=int, metavar="N", help="throughput: batches handed over at once (5, as with a backlog)")
    add("--turn", type=int, metavar="N", help="batches in a turn (3; throughput, webhooks and postgresql 100)")
    add("--seed", type=int, default=1, metavar="N", help="seed of all randomness (default 1)")
    add("--directory", type=Path, metavar="DIR", help="directory for the databases (default: that of temporary files)")
    add("--out", type=Path, default=REPORTS, metavar="DIR", help="directory of the report (default loadtests/report)")
    return found


def plan_of(options: argparse.Namespace) -> BenchPlan:
    """What the options ask for. Raises `ValueError` if it can't be measured."""
    quick: bool = options.quick
    facts = options.facts or ((1000, 5000, 20_000) if quick else (1000, 100_000, 1_000_000))
    plan = BenchPlan(
        parts=options.only,
        rounds=_given(options.rounds, 4 if quick else 15),
        long_rounds=_given(options.rounds, 3 if quick else 5),
        warm_up=1 if quick else 2,
        batch=options.batch,
        backlog=_given(options.backlog, BACKLOG_BATCH // BATCH),
        turn=_given(options.turn, 2 if quick else 3),
        long_turn=_given(options.turn, 10 if quick else 100),
        participants=_given(options.participants, 1000 if quick else 10_000),
        facts=(*facts, TEN_MILLION) if options.ten_million and TEN_MILLION not in facts else facts,
        definitions=options.definitions or (10, 100, 1000),
        filling=2000 if quick else 10_000,
        history=_given(options.history, 500 if quick else 10_000),
        busy=options.busy or ((100, 2000) if quick else (100, 100_000)),
        hot=_given(options.hot, 2000 if quick else 20_000),
        costly=10 if quick else 50,
        seed=options.seed,
    )
    if not set(plan.parts) <= set(PARTS):
        raise ValueError(f"the parts are {', '.join(PARTS)}")
    if any(number % LISTENING for number in plan.definitions):
        raise ValueError(f"definitions come in multiples of {LISTENING}")
    counts = (plan.batch, plan.backlog, plan.rounds, plan.turn, plan.participants, plan.history, plan.hot, *plan.busy)
    if min(counts) < 1 or min(plan.participants, *plan.facts) < plan.batch:
        raise ValueError(f"there must be at least {plan.batch} facts and participants, and one of everything else")
    return plan


def _given(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.replace("_", "").split(","))
