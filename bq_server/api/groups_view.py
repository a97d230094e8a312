"""The groups with which a participant shares challenges."""

from functools import partial

from bq_server.api.participant_view import team_now
from bq_server.events import Scope
from bq_server.game.challenge_states import GroupState
from bq_server.game.compiled_game import CompiledGame
from bq_server.game.mechanics.shared_challenges import SharedChallengeRule
from bq_server.game.state import keys
from bq_server.store import group_dues, state
from bq_server.store.database import Connection
from bq_server.store.participants import Participant


async def groups_now(
    connection: Connection, scope: Scope, game: CompiledGame, participant: Participant, now: int
) -> dict[str, GroupState]:
    """The groups of the participant at a moment, in microseconds, by the codes of the challenges that they share."""
    found: dict[str, GroupState] = {}
    for rule in game.rules.values():
        if isinstance(rule, SharedChallengeRule):
            name = await team_now(connection, participant, rule.groups, now)
            if name is not None:
                total, members = await connection.run(
                    partial(group_dues.total, scope=scope, challenge_code=rule.code, group=name)
                )
                key = keys.group_share(rule.code, name)
                own = (await state.cells_apart(connection, participant.reference, [key])).get(key)
                found[rule.code] = GroupState(
                    name,
                    rule.share.shown(total),
                    rule.share.shown(rule.quest.targets[0]),
                    members,
                    rule.share.shown(0 if own is None else own["score"]),
                )
    return found
