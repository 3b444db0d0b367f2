"""What of the platform the trail's handlers stand on."""

from __future__ import annotations

from dataclasses import dataclass

from wardlight.audit.log import AuditLog
from wardlight.audit.recorder import Recorder
from wardlight.audit.sessions import ReadSessions
from wardlight.db.engine import Database
from wardlight.identity.service import Identity
from wardlight.keys.keystore import Keystore


@dataclass(frozen=True, slots=True)
class Parts:
    """Built by `bootstrap`. host: the platform's public host, without scheme."""

    database: Database
    keystore: Keystore
    recorder: Recorder
    sessions: ReadSessions
    identity: Identity
    audit_log: AuditLog
    host: str
