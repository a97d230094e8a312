"""The on-time path: what nearly every fact takes, straight and short.

A fact is on time for a rule when nothing that was seen before has to be seen again: no replay, no change of the game
under way. Each mechanic has a track here, which does for such a fact what the rule's own `step` would do, on the cells
themselves, without models and explanations. A track that can't raises `NotOnTime` and the participant's facts go
through the step. A property test holds both equal.
"""

from bq_server.game.on_time.fact_reading import FactReading
from bq_server.game.on_time.tails import dump as dump_state
from bq_server.game.on_time.tails import load as load_state
from bq_server.game.on_time.tracks import Tracks, lay_tracks
from bq_server.game.on_time.turn import NotOnTime, Paid, ParticipantTurn

__all__ = ["FactReading", "NotOnTime", "Paid", "ParticipantTurn", "Tracks", "dump_state", "lay_tracks", "load_state"]
