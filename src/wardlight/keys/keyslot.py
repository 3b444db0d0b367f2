"""Keyslots: the small store of wrapped institution epoch keys (IEK), mirrored, current state only (security.md §2).

One file an institution and epoch: `01 | institution 16 | epoch u32 | KMS blob` (with a local root: nonce 12 and
sealed 48 bytes, 81 in all). Overwriting or removing the last copy of a keyslot is what makes every older backup of
the keystore unreadable; therefore keyslots belong in no backup and no snapshot, and the mirrors are the backup.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from wardlight import log
from wardlight.errors import WardlightError
from wardlight.keys.files import create_private, private_folder, replace_private, sync_folder
from wardlight.keys.kms import Kms
from wardlight.keys.labels import Label, bind

_VERSION: Final = 1
_HEAD: Final = struct.Struct(">B16sI")
_MOST_BYTES: Final = 4096  # a blob of a remote KMS is some hundred bytes


class Keyslots:
    """The keyslots of all institutions, in one or more mirror folders."""

    def __init__(self, folders: Sequence[Path], kms: Kms) -> None:
        """`folders` are the mirrors, the first one read first. They are made where they do not exist."""
        if not folders:
            raise WardlightError("settings-unsafe", "keyslots need a folder")
        self._folders = tuple(folders)
        self._kms = kms
        for folder in self._folders:
            private_folder(folder)

    def create(self, institution: UUID, epoch: int) -> None:
        """Make an epoch key and put its slot into every mirror; durable on return.

        A slot that exists is kept: a crash between slot and keystore row must not leave two keys of one epoch.
        """
        if all(_read(folder / _file(institution, epoch)) is None for folder in self._folders):
            head = _head(institution, epoch)
            record = head + self._kms.wrap(_name(institution), bind(Label.KEYSLOT, head), os.urandom(32))
            create_private(self._folders[0] / _file(institution, epoch), record)
        self.mirror(institution, epoch)

    def mirror(self, institution: UUID, epoch: int) -> None:
        """Put the slot into the mirrors that lack it or hold a damaged one.

        Raises `WardlightError("key-destroyed")` when no mirror has it: a key is never made anew in its place.
        """
        _, record = self._open(institution, epoch)
        for folder in self._folders:
            file = folder / _file(institution, epoch)
            if _read(file) != record:
                replace_private(file, record)

    def key(self, institution: UUID, epoch: int) -> bytes:
        """The epoch key, from the first mirror whose slot opens.

        Raises `WardlightError("key-destroyed")` when no mirror has the slot, `"wrong-key"` when none opens.
        """
        return self._open(institution, epoch)[0]

    def epochs(self, institution: UUID) -> set[int]:
        """The epochs of which any mirror has a slot."""
        return {epoch for slots in self.held(institution) for epoch in slots}

    def held(self, institution: UUID) -> list[set[int]]:
        """The epochs of which each mirror has a slot, whether it opens or not."""
        prefix, suffix = f"{institution.hex}.", ".slot"
        return [
            {
                int(number)
                for file in folder.glob(f"{prefix}*{suffix}")
                if (number := file.name[len(prefix) : -len(suffix)]).isdecimal()
            }
            for folder in self._folders
        ]

    def opens(self, institution: UUID, epoch: int) -> list[bool]:
        """Of each mirror, whether its slot of this epoch opens."""
        return [
            Keyslots((folder,), self._kms).is_whole(institution, epoch) if folder.is_dir() else False
            for folder in self._folders
        ]

    def is_whole(self, institution: UUID, epoch: int) -> bool:
        """Whether a slot of this epoch opens."""
        try:
            self._open(institution, epoch)
        except WardlightError as error:
            if error.code not in ("key-destroyed", "wrong-key"):
                raise
            return False
        return True

    def destroy_before(self, institution: UUID, epoch: int) -> int:
        """End every older epoch: overwrite and remove its slots in each mirror, retire its wrapping key.

        From then on no copy of the keystore that was made in them can be read. Returns how many ended; safe to repeat
        after a crash.
        """
        ended = {one for one in self.epochs(institution) if one < epoch}
        for old in sorted(ended):
            for folder in self._folders:
                _overwrite(folder / _file(institution, old))
        # Also where nothing is left to overwrite: a crash may have come between the two.
        self._kms.retire(_name(institution), epoch)
        return len(ended)

    def _open(self, institution: UUID, epoch: int) -> tuple[bytes, bytes]:
        head = _head(institution, epoch)
        found = False
        for folder in self._folders:
            record = _read(folder / _file(institution, epoch))
            if record is None:
                continue
            found = True
            if not record.startswith(head):
                continue
            try:
                key = self._kms.unwrap(_name(institution), bind(Label.KEYSLOT, head), record[_HEAD.size :])
            except WardlightError as error:
                if error.code != "wrong-key":
                    raise
                log.error("keyslot-damaged", institution=str(institution), count=self._folders.index(folder))
                continue
            return key, record
        if found:
            raise WardlightError("wrong-key", "no keyslot of this epoch opens")
        raise WardlightError("key-destroyed", "there is no keyslot of this epoch")


def _head(institution: UUID, epoch: int) -> bytes:
    return _HEAD.pack(_VERSION, institution.bytes, epoch)


def _name(institution: UUID) -> str:
    return f"institution-{institution.hex}"


def _file(institution: UUID, epoch: int) -> str:
    return f"{institution.hex}.{epoch:010d}.slot"


def _overwrite(file: Path) -> None:
    """Put random bytes in the place of a file's content, then remove it; durable. On flash, remnants may stay."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        os.write(descriptor, os.urandom(os.fstat(descriptor).st_size))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    file.unlink(missing_ok=True)
    sync_folder(file.parent)


def _read(file: Path) -> bytes | None:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, _MOST_BYTES)
    finally:
        os.close(descriptor)
