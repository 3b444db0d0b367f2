"""Results of applications, from a file to a file that the PACS can take (R3.8). Sending it there is another matter."""

from __future__ import annotations

import os
import secrets as stdlib_secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from wardlight.deid.restore import NotRestored
from wardlight.deid.result import Buffer, read_result
from wardlight.dicom.errors import DicomError
from wardlight.errors import WardlightError
from wardlight.keys.files import sync_folder
from wardlight.receiver.entries import Entries
from wardlight.receiver.model import Target
from wardlight.receiver.restore import origin_of
from wardlight.receiver.secrets import ReceiverSecrets
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.vault import Vault

_CHUNK: Final = 256 << 10


class Reidentifier:
    """Restores results, one file after the other. Each is in the trail before it is there."""

    def __init__(
        self, vault: Vault, store: ReceiverStore, entries: Entries, secrets: ReceiverSecrets
    ) -> None:
        self._vault = vault
        self._store = store
        self._entries = entries
        self._secrets = secrets

    def restore(self, file: Path, folder: Path) -> Path:
        """Write the restored result into the folder, named by its SOP Instance UID; nothing is overwritten.

        Raises NotRestored, with the refusal in the trail; OSError and WardlightError where something does not serve.
        """
        study: bytes | None = None
        target: Target | None = None
        try:
            result = read_result(lambda offset: _chunks(file, offset))
            origin = origin_of(self._vault, *result.names)
            study, target = self._secrets.study_token(origin.study_uid.decode("ascii")), origin.target
            pieces, name = result.restored(self._vault, origin)
            place = folder / f"{name}.dcm"
            if place.exists():
                raise NotRestored("already-exists")
        except DicomError as error:
            refusal = NotRestored(f"data-set:{error.code}")
            self._store.append([self._entries.reidentified(study, target, refusal.code)])
            raise refusal from None
        except NotRestored as refusal:
            self._store.append([self._entries.reidentified(study, target, refusal.code)])
            raise
        entry = self._entries.reidentified(study, target)
        _write(pieces, place, lambda: self._store.append([entry]))
        return place


def _chunks(file: Path, offset: int) -> Iterator[bytes]:
    with file.open("rb") as opened:
        opened.seek(offset)
        while chunk := opened.read(_CHUNK):
            yield chunk


def _write(pieces: Iterator[Buffer], place: Path, before: Callable[[], None]) -> None:
    """The file whole and durable in its place, for its owner only, or not at all."""
    temporary = place.with_name(f".{stdlib_secrets.token_hex(8)}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            for chunk in pieces:
                opened.write(chunk)
            opened.flush()
            os.fsync(opened.fileno())
        before()
        os.link(temporary, place)
    except FileExistsError:
        raise WardlightError("already-exists", "a file of this name is there already") from None
    finally:
        temporary.unlink()
    sync_folder(place.parent)
