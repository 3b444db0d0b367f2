"""What a receiver sends to the audit trail: its own entries, and cosignatures of the log's heads."""

from __future__ import annotations

from typing import Final

from wardlight.access.model import PrincipalKind, TokenScope
from wardlight.audit.actions import Action
from wardlight.trail import receiver_entries, receiver_witness
from wardlight.web.about import JSON, About, Parameter
from wardlight.web.routes import Api, Operation

_RECEIVERS: Final = frozenset({PrincipalKind.RECEIVER})
_SEND: Final = frozenset({TokenScope.RECEIVER_AUDIT})

_ENTRIES: Final = About(
    "Receiver entries",
    "Take in entries of the receiver's own trail, each once.",
    (JSON,),
    consumes=(JSON,),
    errors=(413, 415),
)
_OFFER: Final = About(
    "Witness",
    "The head to be cosigned next, with the proof that it extends the one the receiver holds.",
    (JSON,),
    query=(
        Parameter("origin", "Origin of the log that the receiver follows.", {"type": "string"}),
        Parameter(
            "size", "Size of the tree that it holds.", {"type": "integer", "minimum": 0, "maximum": 1 << 53}
        ),
    ),
)
_COSIGN: Final = About(
    "Cosignature",
    "Append the receiver's cosignature to a checkpoint.",
    (JSON,),
    consumes=(JSON,),
    errors=(409, 413, 415),
)

TRAIL_RECEIVER: Final[tuple[Operation, ...]] = (
    Api(
        "/api/v1/audit/receiver/entries",
        receiver_entries.store,
        Action.AUDIT_ENTRY_STORE,
        _RECEIVERS,
        _SEND,
        _ENTRIES,
        method="POST",
    ),
    Api(
        "/api/v1/audit/log/witness",
        receiver_witness.offer,
        Action.AUDIT_WITNESS_COSIGN,
        _RECEIVERS,
        _SEND,
        _OFFER,
    ),
    Api(
        "/api/v1/audit/log/cosignatures",
        receiver_witness.cosign,
        Action.AUDIT_WITNESS_COSIGN,
        _RECEIVERS,
        _SEND,
        _COSIGN,
        method="POST",
    ),
)
