"""What clients depend on besides routes and models: operation ids, which name functions in generated code, and tags."""

from collections.abc import Mapping

from pydantic import BaseModel

from bq_server.api.schemas.events import BatchAnswer, MessageEffectsAnswer, RehearsalAnswer, SyncEffectsAnswer
from bq_server.api.schemas.facts import FactsWithEffectsAnswer
from bq_server.api.schemas.gamify import ProcessedBatchAnswer

OPERATION_IDS: Mapping[tuple[str, str], str] = {
    ("POST", "/api/v1/ingest/events"): "ingestEvent",
    ("POST", "/api/v1/ingest/events/batch"): "ingestEventsBatch",
    ("POST", "/api/v1/ingest/events/sync"): "ingestEventSync",
    ("GET", "/api/v1/ingest/messages/{message_id}"): "getMessage",
    ("GET", "/api/v1/facts"): "listFacts",
    ("GET", "/api/v1/facts/{fact_id}"): "getFact",
    ("GET", "/api/v1/facts/{fact_id}/effects"): "getFactEffects",
    ("POST", "/api/v1/facts/{fact_id}/void"): "voidFact",
    ("GET", "/api/v1/feed"): "streamFeed",
    ("GET", "/api/v1/events/catalog"): "listCatalog",
    ("GET", "/api/v1/events/catalog/{event_name}"): "getCatalogEntry",
    ("POST", "/api/v1/gamify/events"): "processEvent",
    ("POST", "/api/v1/gamify/events/batch"): "processEventsBatch",
    ("POST", "/api/v1/gamify/participants"): "createParticipant",
    ("GET", "/api/v1/gamify/participants"): "listParticipants",
    ("GET", "/api/v1/gamify/participants/{participant_id}"): "getParticipant",
    ("PATCH", "/api/v1/gamify/participants/{participant_id}"): "updateParticipant",
    ("GET", "/api/v1/gamify/participants/{participant_id}/events"): "listParticipantEvents",
    ("GET", "/api/v1/gamify/participants/{participant_id}/state"): "getParticipantState",
    ("GET", "/api/v1/gamify/participants/{participant_id}/points"): "getParticipantPoints",
    ("GET", "/api/v1/gamify/participants/{participant_id}/points/expiring"): "listExpiringPoints",
    ("GET", "/api/v1/gamify/participants/{participant_id}/points/transactions"): "listPointsTransactions",
    ("GET", "/api/v1/gamify/participants/{participant_id}/badges"): "listParticipantBadges",
    ("GET", "/api/v1/gamify/participants/{participant_id}/streaks"): "listParticipantStreaks",
    ("GET", "/api/v1/gamify/participants/{participant_id}/streaks/{code}/calendar"): "getStreakCalendar",
    ("POST", "/api/v1/gamify/participants/{participant_id}/streaks/{code}/freezes/buy"): "buyFreeze",
    ("POST", "/api/v1/gamify/participants/{participant_id}/streaks/{code}/freezes/use"): "useFreeze",
    ("GET", "/api/v1/gamify/participants/{participant_id}/tier"): "getParticipantTier",
    ("GET", "/api/v1/gamify/participants/{participant_id}/challenges"): "listParticipantChallenges",
    ("GET", "/api/v1/gamify/challenges"): "listChallenges",
    ("GET", "/api/v1/gamify/challenges/{code}"): "getChallenge",
    ("GET", "/api/v1/gamify/challenges/{code}/leaderboard"): "getChallengeRanking",
    ("POST", "/api/v1/gamify/challenges/{code}/enrol"): "enrolInChallenge",
    ("GET", "/api/v1/gamify/leaderboards/{code}"): "getLeaderboard",
    ("GET", "/api/v1/gamify/leaderboards/{code}/around/{participant_id}"): "getLeaderboardNeighbours",
    ("GET", "/api/v1/gamify/leaderboards/{code}/rank/{participant_id}"): "getLeaderboardRank",
    ("POST", "/api/v1/admin/participants/visibility"): "changeVisibility",
    ("POST", "/api/v1/gamify/points/award"): "awardPoints",
    ("POST", "/api/v1/gamify/points/deduct"): "deductPoints",
    ("POST", "/api/v1/gamify/badges/award"): "awardBadge",
    ("GET", "/api/v1/gamify/rewards"): "listRewards",
    ("POST", "/api/v1/gamify/rewards/{reward_id}/claim"): "claimReward",
    ("GET", "/api/v1/gamify/participants/{participant_id}/rewards"): "listParticipantRewards",
    ("POST", "/api/v1/gamify/claims/{claim_id}/fulfil"): "fulfilClaim",
    ("POST", "/api/v1/gamify/claims/{claim_id}/cancel"): "cancelClaim",
    ("PUT", "/api/v1/gamify/admin/game"): "applyGame",
    ("GET", "/api/v1/gamify/admin/game"): "getGame",
    ("POST", "/api/v1/gamify/admin/game/check"): "checkGame",
    ("POST", "/api/v1/sandbox/drain"): "drainSandbox",
    ("GET", "/api/v1/sandbox/clock"): "getSandboxClock",
    ("PUT", "/api/v1/sandbox/clock"): "setSandboxClock",
    ("DELETE", "/api/v1/sandbox/clock"): "resetSandboxClock",
    ("POST", "/api/v1/sandbox/clock/advance"): "advanceSandboxClock",
    ("POST", "/api/v1/sandbox/reset"): "resetSandbox",
    ("GET", "/api/v1/sandbox/export"): "exportSandbox",
    ("POST", "/api/v1/sandbox/import"): "importSandbox",
    ("GET", "/api/v1/admin/dead-letters"): "listDeadLetters",
    ("GET", "/api/v1/admin/dead-letters/{message_id}"): "getDeadLetter",
    ("DELETE", "/api/v1/admin/dead-letters/{message_id}"): "dropDeadLetter",
    ("POST", "/api/v1/admin/dead-letters/{message_id}/retry"): "retryDeadLetter",
    ("GET", "/api/v1/admin/keys"): "listKeys",
    ("POST", "/api/v1/admin/keys"): "createKey",
    ("DELETE", "/api/v1/admin/keys/{key_id}"): "revokeKey",
    ("POST", "/api/v1/admin/keys/{key_id}/rotate"): "rotateKey",
    ("GET", "/api/v1/admin/activity"): "getActivity",
    ("GET", "/api/v1/admin/audit-log"): "listAuditLog",
    ("POST", "/api/v1/admin/participants/export"): "exportParticipant",
    ("POST", "/api/v1/admin/participants/erase"): "eraseParticipant",
    ("POST", "/api/v1/admin/participants/clean-up"): "cleanUpErasures",
    ("POST", "/api/v1/webhooks/endpoints"): "createWebhookEndpoint",
    ("GET", "/api/v1/webhooks/endpoints"): "listWebhookEndpoints",
    ("GET", "/api/v1/webhooks/endpoints/{endpoint_id}"): "getWebhookEndpoint",
    ("PATCH", "/api/v1/webhooks/endpoints/{endpoint_id}"): "updateWebhookEndpoint",
    ("DELETE", "/api/v1/webhooks/endpoints/{endpoint_id}"): "removeWebhookEndpoint",
    ("POST", "/api/v1/webhooks/endpoints/{endpoint_id}/secret"): "rotateWebhookSecret",
    ("POST", "/api/v1/webhooks/endpoints/{endpoint_id}/test"): "testWebhookEndpoint",
    ("GET", "/api/v1/webhooks/endpoints/{endpoint_id}/deliveries"): "listWebhookDeliveries",
    ("POST", "/api/v1/webhooks/endpoints/{endpoint_id}/deliveries/{delivery_id}/retry"): "retryWebhookDelivery",
    ("POST", "/api/v1/webhooks/endpoints/{endpoint_id}/replay"): "replayWebhooks",
    ("POST", "/api/v1/console/links"): "createConsoleLink",
    ("GET", "/api/v1/console/session"): "getConsoleSession",
    ("POST", "/api/v1/console/session"): "openConsoleSession",
    ("DELETE", "/api/v1/console/session"): "closeConsoleSession",
    ("GET", "/livez"): "getLiveness",
    ("GET", "/readyz"): "getReadiness",
    ("GET", "/metrics"): "getMetrics",
}
"""Of every route there is. They are kept: to change one breaks the code of whoever generated a client.

In one list, so that they can be seen to be alike; handlers may be called what suits their class.
"""

SERVERS = (
    {"url": "/", "description": "The server that this document comes from."},
    {
        "url": "{origin}",
        "description": "Any server.",
        "variables": {"origin": {"default": "http://127.0.0.1:8080", "description": "Scheme, host and port."}},
    },
)

VARIANTS: Mapping[tuple[str, int], tuple[type[BaseModel], ...]] = {
    ("ingestEventSync", 200): (RehearsalAnswer, SyncEffectsAnswer),
    ("listFacts", 200): (FactsWithEffectsAnswer,),
    ("getMessage", 200): (MessageEffectsAnswer,),
    ("ingestEventsBatch", 422): (BatchAnswer,),
    ("processEventsBatch", 422): (ProcessedBatchAnswer,),
}
"""Answers of an operation with that status beside the one it is declared with, those that say more first.

Whoever tries them in this order finds the right one: an answer with effects passes for one without.
"""

TAGS = {
    "Ingest": "Send events, and follow what became of them.",
    "Facts": "What events became.",
    "Feed": "What happens, told as it is committed.",
    "Catalogue": "Every event name that was seen, and its properties.",
    "Gamify": "Send events by the route of the gamification API, and list a participant's.",
    "Participants": "Profiles, and what their facts came to.",
    "Challenges": "The challenges of the game, and who takes part.",
    "Leaderboards": "Who leads.",
    "Awards": "Points and badges that are given by hand.",
    "Rewards": "What points can be spent on, and who claimed it.",
    "Game": "The rules in force.",
    "Sandbox": "Test environments: wait, move the clock, empty, export, import.",
    "Dead letters": "What was accepted and could not be processed.",
    "Keys": "The API keys of the environment.",
    "Audit log": "Who did what that is no event.",
    "Personal data": "A person's rights: everything that is kept of one, told or erased.",
    "Webhooks": "Endpoints that are told what happened, and what they were sent.",
    "Console": "Sign in to the page at `/console`.",
    "Health": "Whether the server lives and is ready, and its numbers for Prometheus.",
}
"""Every tag and its description, in reading order."""
