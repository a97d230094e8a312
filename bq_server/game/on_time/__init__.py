"""The on-time path: the short path that nearly every fact takes.

A fact is on time for a rule if no earlier fact has to be seen again: no replay, no game change under way. Each mechanic
has a track here, which does for such a fact what the rule's own `step` would do, directly on the cells, without models
and explanations. A track that can't raises `NotOnTime`, and the participant's facts go through the step. A property
test checks that both are equal.
"""

from bq_server.game.on_time.fact_reading import FactReading
from bq_server.game.on_time.tails import dump as dump_state
from bq_server.game.on_time.tails import load as load_state
from bq_server.game.on_time.tracks import Tracks, lay_tracks
from bq_server.game.on_time.turn import NotOnTime, Paid, ParticipantTurn

__all__ = ["FactReading", "NotOnTime", "Paid", "ParticipantTurn", "Tracks", "dump_state", "lay_tracks", "load_state"]
