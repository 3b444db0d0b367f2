"""Objects that must not leave the hospital: encrypted whole files of kind 5, with the reasons in a row."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from wardlight import clock, log
from wardlight.audit.actions import Action
from wardlight.audit.model import Outcome
from wardlight.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from wardlight.dicom.part10 import write_meta
from wardlight.errors import WardlightError
from wardlight.objects.format import ObjectKind
from wardlight.objects.local import LocalObjectStore
from wardlight.receiver.body import Reader
from wardlight.receiver.entries import Entries
from wardlight.receiver.model import Quarantined, Work
from wardlight.receiver.secrets import ReceiverSecrets
from wardlight.receiver.store import ReceiverStore

FOLDER: Final = "quarantine"
"""Name of the folder in the receiver's data folder."""

_LOCK_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class Quarantine:
    """The quarantine of one receiver. Several processes may use it at once."""

    def __init__(
        self, store: ReceiverStore, folder: Path, secrets: ReceiverSecrets, entries: Entries
    ) -> None:
        self._store = store
        self._folder = folder
        self._objects = LocalObjectStore(folder)
        self._key = secrets.quarantine
        self._key_id = UUID(
            bytes=hashlib.sha256(b"wardlight/receiver/quarantine-key-id\0" + self._key).digest()[:16]
        )
        self._entries = entries

    def put(self, work: Work, read: Reader, sop_uid: str, reasons: tuple[str, ...]) -> None:
        """Keep the object as it came, encrypted, and end its upload. May be repeated after a crash.

        reasons: codes with tags and kinds of findings. Raises WardlightError if the object cannot be read or kept.
        """
        with self._objects.create(self._key, self._key_id, ObjectKind.QUARANTINE) as writer:
            writer.write(
                write_meta(
                    work.sop_class,
                    sop_uid,
                    work.transfer_syntax,
                    implementation_class_uid=IMPLEMENTATION_CLASS_UID,
                    implementation_version=IMPLEMENTATION_VERSION,
                )
            )
            for chunk in read(0):
                writer.write(chunk)
            stored = writer.commit()
        row = Quarantined(
            stored.object_id,
            stored.size,
            work.target,
            work.sop_class,
            work.transfer_syntax,
            reasons,
            clock.unix_ms(),
        )
        entry = self._entries.study(
            Action.RECEIVER_STUDY_QUARANTINE,
            work.study,
            work.target,
            {"instances": 1},
            outcome=Outcome.DENIED,
            reason=reasons[0] if reasons else "",
        )
        try:
            added = self._store.add_quarantine(row, work, [entry])
        except BaseException:
            self._drop_unless_known(stored.object_id)
            raise
        if added:
            log.warning(
                "receiver.quarantined", sop_class=work.sop_class, reason=reasons[0] if reasons else ""
            )
        else:
            self._objects.delete(stored.object_id)

    def _drop_unless_known(self, identifier: UUID) -> None:
        """The row could not be written: the next try makes another object. A commit may be done although it failed,
        so the database is asked; if it does not answer, the object stays until `sweep`."""
        with suppress(WardlightError, SQLAlchemyError):
            if all(entry.id != identifier for entry in self._store.quarantined()):
                self._objects.delete(identifier)

    def discard(self, entry: Quarantined) -> bool:
        """Remove an object for good. False if it is not there any more."""
        audit = self._entries.discarded(entry.target, str(entry.id))
        found = self._store.drop_quarantine(entry.id, [audit])
        # The row goes first: a crash here leaves an object without a row, which `sweep` removes.
        self._objects.delete(entry.id)
        return found

    def purge(self, before_ms: int) -> int:
        """Remove every object that came before this time. Returns how many."""
        return sum(self.discard(entry) for entry in self._store.quarantined() if entry.at < before_ms)

    def share(self) -> None:
        """Say that this process puts objects in, as long as it lives: nothing is swept meanwhile."""
        self._lock_file = os.open(self._folder / "quarantine.lock", _LOCK_FLAGS, 0o600)
        fcntl.flock(self._lock_file, fcntl.LOCK_SH)

    def sweep(self) -> int:
        """Remove objects without a row, which a crash left; nothing while another process puts objects in."""
        descriptor = os.open(self._folder / "quarantine.lock", _LOCK_FLAGS, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._sweep()
        except BlockingIOError:
            return 0
        finally:
            os.close(descriptor)

    def _sweep(self) -> int:
        known = {entry.id for entry in self._store.quarantined()}
        orphans = [identifier for identifier, _ in self._objects.list() if identifier not in known]
        for identifier in orphans:
            self._objects.delete(identifier)
        return len(orphans) + self._objects.sweep(0.0)

    def read(self, entry: Quarantined) -> bytes:
        """The whole file, for the tests and for a person with that right. Raises WardlightError if it is damaged."""
        with self._objects.open(entry.id, self._key, entry.size) as reader:
            return reader.read(0, reader.plaintext)
