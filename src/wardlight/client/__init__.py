"""Python client for partner applications: events, grants, DICOMweb, results, audit entries, webhooks.

It uses nothing else of Wardlight, and needs `httpx` and `cryptography`; `Client.dicomweb` needs `dicomweb-client`.
"""

from wardlight.client.aio import AsyncClient
from wardlight.client.errors import (
    ApiError,
    Conflict,
    Forbidden,
    Interrupted,
    NotFound,
    NotStored,
    RateLimited,
    Unauthenticated,
    Unavailable,
    WardlightClientError,
)
from wardlight.client.keys import SigningKey
from wardlight.client.model import AuditEntry, Definition, Event, Grant, Recorded
from wardlight.client.sync import Client
from wardlight.client.webhooks import SeenIds, WebhookError, verify

__all__ = [
    "ApiError",
    "AsyncClient",
    "AuditEntry",
    "Client",
    "Conflict",
    "Definition",
    "Event",
    "Forbidden",
    "Grant",
    "Interrupted",
    "NotFound",
    "NotStored",
    "RateLimited",
    "Recorded",
    "SeenIds",
    "SigningKey",
    "Unauthenticated",
    "Unavailable",
    "WardlightClientError",
    "WebhookError",
    "verify",
]
