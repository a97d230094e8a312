"""Steps that aren't events: manual actions, each as its request."""

from typing import Any

from harness.client import Client, segment
from harness.stories.scenario import LoadedGame
from harness.stories.steps import (
    Alias,
    ClaimReward,
    Deduction,
    Enroll,
    EnterContest,
    Freeze,
    Gift,
    Give,
    Hide,
    PointsTransfer,
    PutGame,
    PutProfile,
    Refer,
    Take,
    Transfer,
    Void,
    VoidedFact,
)

Json = dict[str, Any]

ByHand = (
    Enroll | PutProfile | Give | Take | Transfer | Hide | Freeze | ClaimReward | EnterContest | Void | Alias | Refer
)
Manual = ByHand | PutGame


def participant_of(step: Manual) -> str | None:
    """Whom such a step is about; None for a game."""
    match step:
        case Enroll(enroll=about) | PutProfile(profile=about) | Give(give=about) | Take(take=about):
            return about.participant
        case Hide(hide=about) | ClaimReward(claim=about) | EnterContest(enter=about) | Void(void=about):
            return about.participant
        case Freeze(freeze=about) | Transfer(transfer=about) | Alias(alias=about) | Refer(refer=about):
            return about.participant
    return None


def act(client: Client, step: ByHand) -> None:
    """Carry out the step. Raises `Refused` and `Unreachable`."""
    match step:
        case Enroll(enroll=enrolment):
            path = f"/gamify/challenges/{segment(enrolment.challenge)}/enrol"
            client.call("POST", path, {"participant_id": enrolment.participant})
        case PutProfile(profile=profile):
            given = profile.model_dump(exclude_unset=True, exclude={"participant"})
            client.call("POST", "/gamify/participants", {"participant_id": profile.participant, **given})
        case Give(give=gift) if gift.badge is not None:
            body: Json = {"participant_id": gift.participant, "badge_code": gift.badge}
            if gift.reason is not None:
                body["metadata"] = {"reason": gift.reason}
            client.call("POST", "/gamify/badges/award", body)
        case Give(give=gift):
            client.call("POST", "/gamify/points/award", _points(gift))
        case Take(take=deduction):
            client.call("POST", "/gamify/points/deduct", _points(deduction))
        case Transfer(transfer=given):
            body = {"recipient_id": given.to, **_points(given)}
            client.call("POST", "/gamify/points/transfer", body)
        case Hide(hide=hidden):
            body = {"participant_id": hidden.participant, "hidden": hidden.hidden}
            client.call("POST", "/admin/participants/visibility", body)
        case Freeze(freeze=freeze):
            path = f"/gamify/participants/{segment(freeze.participant)}/streaks/{segment(freeze.streak)}/freezes"
            body = {} if freeze.date is None else {"date": freeze.date}
            client.call("POST", f"{path}/{freeze.action}", body)
        case ClaimReward(claim=claim):
            path = f"/gamify/rewards/{segment(claim.reward)}/claim"
            client.call("POST", path, {"participant_id": claim.participant})
        case EnterContest(enter=entry):
            client.call("POST", f"/contests/{segment(entry.contest)}/enter", {"participant_id": entry.participant})
        case Alias(alias=name):
            path = f"/gamify/participants/{segment(name.participant)}/alias"
            client.call("POST", path, {"from": name.source})
        case Refer(refer=referral):
            made = client.call("POST", "/referrals/generate", {"participant_id": referral.by})
            body = {"code": made["code"], "referred_session_id": referral.participant}
            client.call("POST", "/referrals/convert", body)
        case Void(void=about):
            client.drain()  # the event may still be on its way
            body = {} if about.reason is None else {"reason": about.reason}
            client.call("POST", f"/facts/{segment(_fact_id(client, about))}/void", body)


def apply(client: Client, game: LoadedGame, *, backfill: bool = False) -> None:
    """Apply a game, and wait until everything it changes is computed. Raises `Refused` and `Unreachable`."""
    if not backfill:
        client.apply(game.document)
    elif client.call("PUT", "/gamify/admin/game", game.document, backfill="true")["recomputed"]:
        client.drain()


def _points(about: Gift | Deduction | PointsTransfer) -> Json:
    body: Json = {"participant_id": about.participant, "amount": about.points}
    return body | about.model_dump(include={"currency", "reason"}, exclude_none=True)


def _fact_id(client: Client, about: VoidedFact) -> str:
    """The fact that a step names; a name that none has, so that the server refuses it, where there is none."""
    facts = client.facts(participant_id=about.participant)
    wanted = about.key or about.fact_type
    field = "idempotency_key" if about.key is not None else "fact_type"
    return next((str(fact["fact_id"]) for fact in facts if fact[field] == wanted), f"fact_of_{wanted}")
