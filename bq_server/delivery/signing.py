"""Signatures according to Standard Webhooks (github.com/standard-webhooks/standard-webhooks, `v1`: HMAC-SHA256)."""

import base64
import hashlib
import hmac
from collections.abc import Iterable

from bq_server.ids import RandomBytes

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret(random_bytes: RandomBytes) -> str:
    """A secret to sign with: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(random_bytes(SECRET_BYTES)).decode()


def headers(secrets: Iterable[str], message_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """The headers of a request at a moment in whole seconds since the epoch, with a signature for each secret."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(_signature(secret, message_id, seconds, body) for secret in secrets),
    }


def vendor_headers(secret: str, delivery_id: str, event_type: str, tenant: str, body: bytes) -> dict[str, str]:
    """The headers of the vendor's webhooks (vendor notes, 2.13). The secret, as it is written, signs only the body."""
    return {
        "X-Bricqs-Signature": "sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex(),
        "X-Bricqs-Event": event_type,
        "X-Bricqs-Delivery": delivery_id,
        "X-Bricqs-Tenant": tenant,
    }


def _signature(secret: str, message_id: str, seconds: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = b"%s.%d.%s" % (message_id.encode(), seconds, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
