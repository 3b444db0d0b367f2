"""Rolls: keys open before, during and after; old copies do not; nothing is destroyed without proof."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from wardlight import clock
from wardlight.errors import WardlightError
from wardlight.keys.copies import Copies
from wardlight.keys.epochs import Epochs, open_copy
from wardlight.keys.keystore import Keystore, Tombstone
from wardlight.keys.kms import KeyringKms
from wardlight.keys.wrap import KeyKind

OWN, OTHER = UUID(int=1), UUID(int=2)


class Recording(KeyringKms):
    """Notes what is retired."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.retired: list[tuple[str, int]] = []

    def retire(self, name: str, before_version: int) -> None:
        self.retired.append((name, before_version))


@pytest.fixture
def kms(tmp_path: Path) -> Recording:
    return Recording(tmp_path / "root" / "root.key")


@pytest.fixture
def keystore(tmp_path: Path, kms: Recording) -> Iterator[Keystore]:
    made = opened(tmp_path, kms)
    for institution in (OWN, OTHER):
        made.ensure_institution(institution)
    yield made
    made.close()


def opened(folder: Path, kms: Recording) -> Keystore:
    return Keystore(folder / "ks" / "keystore.db", [folder / "one", folder / "two"], kms)


def refused(run: object) -> str:
    with pytest.raises(WardlightError) as error:
        run()  # type: ignore[operator]
    return error.value.code


def test_a_roll(keystore: Keystore, kms: Recording, tmp_path: Path) -> None:
    keys = dict(keystore.create_keys(OWN, KeyKind.STUDY, 50))
    theirs, key = keystore.create_key(OTHER, KeyKind.STUDY)
    gone = next(iter(keys))
    old = tmp_path / "old.db"
    keystore.copy(old)
    keystore.destroy_key(OWN, gone)
    epochs = Epochs(keystore, None)
    assert list(epochs.unrolled()) == [OWN]
    sequence = keystore.sequence
    roll = epochs.roll(OWN)
    assert (roll.epoch, roll.keys) == (2, 49) and epochs.unrolled() == {} and keystore.sequence > sequence
    assert kms.retired == [(f"institution-{OWN.hex}", 2)]
    assert keystore.keyslots.held(OWN) == [{2}, {2}] and keystore.keyslots.held(OTHER) == [{1}, {1}]
    fresh = opened(tmp_path, kms)
    for key_id, value in keys.items():
        if key_id != gone:
            assert fresh.get_key(OWN, key_id) == value
    assert fresh.get_key(OTHER, theirs) == key
    fresh.close()
    assert refused(lambda: open_copy(old, keystore.keyslots, OWN, 1)) == "key-destroyed"
    assert refused(lambda: open_copy(old, keystore.keyslots, OWN, 2)) == "wrong-key"
    assert open_copy(old, keystore.keyslots, OTHER, 1) == 1
    assert not list((tmp_path / "ks").glob(".keystore*"))
    assert epochs.roll(OWN).epoch == 3


def test_another_process_follows_a_roll_that_it_meets(
    keystore: Keystore, kms: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read a row, and before it reads the keyslot the epoch is over."""
    key_id, key = keystore.create_key(OWN, KeyKind.STUDY)
    other = opened(tmp_path, kms)
    real, rolled = other.keyslots.key, []

    def slow(institution: UUID, epoch: int) -> bytes:
        if not rolled:
            rolled.append(Epochs(keystore, None).roll(OWN))
        return real(institution, epoch)

    monkeypatch.setattr(other.keyslots, "key", slow)
    assert other.get_key(OWN, key_id) == key and rolled
    other.close()


@pytest.mark.parametrize("damage", ["copy", "mirror"])
def test_the_old_keyslot_stays_without_proof(
    keystore: Keystore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    key_id, key = keystore.create_key(OWN, KeyKind.STUDY)
    if damage == "copy":
        real = keystore.copy

        def broken(file: Path) -> None:
            real(file)
            content = bytearray(file.read_bytes())
            content[4096:] = bytes(len(content) - 4096)
            file.write_bytes(content)

        monkeypatch.setattr(keystore, "copy", broken)
    else:
        (tmp_path / "two").rename(tmp_path / "away")
    with pytest.raises((WardlightError, OSError)):
        Epochs(keystore, None).roll(OWN)
    assert 1 in keystore.keyslots.epochs(OWN)
    monkeypatch.undo()
    if damage == "mirror":
        (tmp_path / "away").rename(tmp_path / "two")
    Epochs(keystore, None).roll(OWN)
    assert len(keystore.keyslots.epochs(OWN)) == 1 and keystore.get_key(OWN, key_id) == key


def test_two_rolls_at_once(keystore: Keystore) -> None:
    keystore.create_key(OWN, KeyKind.STUDY)
    keystore.keyslots.create(OWN, 2)
    assert keystore.rewrap(OWN, 1) == 1
    assert refused(lambda: keystore.rewrap(OWN, 1)) == "conflict"


def test_bury(keystore: Keystore) -> None:
    key_id, _ = keystore.create_key(OWN, KeyKind.STUDY)
    unknown = UUID(int=77)
    assert keystore.bury([Tombstone(key_id, OWN, 5), Tombstone(unknown, OWN, 6)]) == 1
    assert refused(lambda: keystore.get_key(OWN, key_id)) == "key-destroyed"
    assert [(one.key_id, one.destroyed_ms) for one in keystore.tombstones()] == [(key_id, 5), (unknown, 6)]
    assert [one.key_id for one in keystore.tombstones([unknown])] == [unknown]


def test_copies(keystore: Keystore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [clock.unix_ms()]
    monkeypatch.setattr(clock, "unix_ms", lambda: now[0])
    copies = Copies(keystore, tmp_path / "copies")
    assert copies.ship() is not None and copies.ship() is None, "nothing changed"
    for _ in range(200):
        now[0] += 5 * 60_000
        (copies.folder / f"keystore-{now[0]:013d}-{keystore.sequence:010d}.db").touch()
        copies.prune()
    rows = copies.listed()
    assert len(rows) <= 60 + 200 * 5 // 60 + 2 and rows[0][0] == now[0]
    keystore.create_key(OWN, KeyKind.STUDY)
    now[0] += 30_000
    assert copies.ship() is None, "the last is not a minute old"
    now[0] += 30_001
    assert copies.ship() is not None
    now[0] += 8 * 86_400_000
    copies.ship(now=True)
    copies.prune()
    assert all(at > now[0] - 7 * 86_400_000 for at, _, _ in copies.listed()[60:])
