"""Health of keys, deletions and backups, in words: what `wardlight doctor` says (security.md §2)."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

from wardlight import clock
from wardlight.archive import deletion_store
from wardlight.archive.backup import MADE
from wardlight.archive.deletion_work import ROLL_MS
from wardlight.db.engine import EVERYWHERE, Database
from wardlight.keys.copies import Copies
from wardlight.keys.epochs import Epochs
from wardlight.keys.keystore import Keystore

State = Literal["ok", "warning", "error"]

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
#: A deletion takes seconds; one that is so old is stuck.
_STUCK_MS: Final = 10 * 60_000
#: Copies are shipped each minute; beyond this somebody should look.
_SHIPPED_MS: Final = 5 * 60_000
_BACKUP_MS: Final = 2 * _DAY_MS
_SWAPS: Final = Path("/proc/swaps")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. code: stable. text: what it is, and what to do."""

    code: str
    state: State
    text: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What is looked at. mirrors: keyslot folders; root: file of the root key; copies: folder of keystore copies."""

    database: Database
    keystore: Keystore
    mirrors: tuple[Path, ...]
    root: Path
    data: Path
    copies: Path | None
    demo: bool


def examine(looked: Looked) -> list[Finding]:
    """Everything, the worst not first but in the order of the keys' chain: root, keyslots, keystore, deletions."""
    return [
        *_root(looked),
        *_mirrors(looked),
        *_slots(looked),
        *_rolls(looked),
        *_deletions(looked),
        *_backups(looked),
        *_process(),
    ]


def _root(looked: Looked) -> Iterator[Finding]:
    state: State = "ok" if looked.demo else "warning"
    where = "on the disk of the data" if _one_disk(looked.root, looked.data) else "on a disk of its own"
    text = f"the root key lies in a plain file {where}: whoever has that disk and the keyslots has every key"
    yield Finding("root-plain-file", state, text)


def _mirrors(looked: Looked) -> Iterator[Finding]:
    missing = [number for number, folder in enumerate(looked.mirrors, 1) if not folder.is_dir()]
    if missing:
        yield Finding("keyslot-folder", "error", f"keyslot folder {missing[0]} is not there")
    folders = {folder.absolute() for folder in looked.mirrors}
    if len(folders) < 2:
        state: State = "warning" if looked.demo else "error"
        yield Finding(
            "keyslot-mirrors", state, "keyslots are in one folder: its loss is the loss of all images"
        )
    elif len({_device(folder) for folder in folders}) < 2:
        yield Finding("keyslot-mirrors", "warning", "all keyslot folders are on one disk")
    else:
        yield Finding("keyslot-mirrors", "ok", f"keyslots are in {len(folders)} folders on different disks")


def _slots(looked: Looked) -> Iterator[Finding]:
    keystore, bad = looked.keystore, 0
    old: set[UUID] = set()
    institutions = keystore.institutions()
    for institution in institutions:
        epoch = keystore.epoch(institution)
        bad += keystore.keyslots.opens(institution, epoch).count(False)
        if any(one < epoch for one in keystore.keyslots.epochs(institution)):
            old.add(institution)
    if bad:
        text = f"{bad} keyslots are missing or do not open; a start of the platform copies them from a mirror"
        yield Finding("keyslots", "error", text)
    else:
        yield Finding("keyslots", "ok", f"keyslots of {len(institutions)} institutions open in every mirror")
    if old:
        yield Finding(
            "old-keyslots", "error", f"{len(old)} rolls were interrupted: run `wardlight keys roll`"
        )


def _rolls(looked: Looked) -> Iterator[Finding]:
    waiting = Epochs(looked.keystore, None).unrolled()
    late = [at for at in waiting.values() if at < clock.unix_ms() - _DAY_MS]
    if late:
        text = (
            f"{len(late)} institutions should have rolled: is the worker running? `wardlight keys roll --now`"
        )
        yield Finding("roll-late", "error", text)
    elif waiting:
        oldest = min(waiting.values())
        hours = max(0, (oldest + ROLL_MS - clock.unix_ms()) // _HOUR_MS)
        text = f"keys of {len(waiting)} institutions were destroyed since their last roll; next in {hours} h"
        yield Finding("roll-waiting", "ok", text)
    else:
        yield Finding("roll-waiting", "ok", "nothing that was destroyed lies in a backup that can be read")


def _deletions(looked: Looked) -> Iterator[Finding]:
    with looked.database.read(EVERYWHERE) as tx:
        rows = deletion_store.unfinished(tx)
    stuck = [row for row in rows if row.access_ended_ms < clock.unix_ms() - _STUCK_MS]
    if stuck:
        yield Finding("deletions", "error", f"{len(stuck)} deletions do not go on: see the worker's log")
    else:
        yield Finding("deletions", "ok", f"{len(rows)} deletions are under way")


def _backups(looked: Looked) -> Iterator[Finding]:
    now = clock.unix_ms()
    made = looked.keystore.noted(MADE)
    state: State = "ok" if made > now - _BACKUP_MS else "warning"
    when = f"{(now - made) // _HOUR_MS} h ago" if made else "never"
    yield Finding("backup-age", state, f"the last backup of the index was made {when}")
    if looked.copies is None:
        lost: State = "warning" if looked.demo else "error"
        text = "the keystore is copied nowhere (keystore_copies_dir): its loss is the loss of all images"
        yield Finding("keystore-copies", lost, text)
        return
    newest = next(iter(Copies(looked.keystore, looked.copies).listed()), None)
    if newest is None:
        yield Finding(
            "keystore-copies", "error", "there is no copy of the keystore yet: is the worker running?"
        )
        return
    at, sequence, _ = newest
    late = sequence != looked.keystore.sequence and at < now - _SHIPPED_MS
    text = f"the newest copy of the keystore is {max(0, now - at) // 60_000} min old"
    yield Finding(
        "keystore-copies", "error" if late else "ok", text + (", and keys came since" if late else "")
    )


def _process() -> Iterator[Finding]:
    try:
        swaps = [line.split()[0] for line in _SWAPS.read_text("ascii", "replace").splitlines()[1:]]
    except OSError:
        swaps = []
    plain = [one for one in swaps if not one.startswith(("/dev/zram", "/dev/dm-", "/dev/mapper/"))]
    if plain:
        yield Finding("swap", "warning", "swap is on and may not be encrypted: keys in memory may get there")
    else:
        yield Finding("swap", "ok", "no swap but on compressed memory or a mapped device")
    limit, _ = resource.getrlimit(resource.RLIMIT_CORE)
    text = "processes of the platform switch core dumps off for themselves"
    yield Finding("core-dumps", "ok", text + ("" if limit == 0 else "; this shell would allow them"))


def _device(path: Path) -> int:
    """The disk that a path is on, or would be."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path.stat().st_dev


def _one_disk(one: Path, other: Path) -> bool:
    return _device(one.absolute()) == _device(other.absolute())
