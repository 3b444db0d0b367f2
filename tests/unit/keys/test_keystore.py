"""The keystore: durable before use, bound to its institution, gone when destroyed, shared by processes."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from wardlight.errors import WardlightError
from wardlight.keys import keystore as keystore_module
from wardlight.keys.keystore import Keystore
from wardlight.keys.kms import KeyringKms
from wardlight.keys.wrap import KeyKind

INSTITUTION = UUID("00000000-0000-4000-8000-0000000000aa")
OTHER = UUID("00000000-0000-4000-8000-0000000000bb")


class Place:
    """A keystore's folders, opened as often as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keystore" / "keystore.db"
        self.mirrors = (folder / "slots-1", folder / "slots-2")
        self.root = folder / "root" / "root.key"

    def open(self) -> Keystore:
        return Keystore(self.path, self.mirrors, KeyringKms(self.root))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def keystore(place: Place) -> Keystore:
    keystore = place.open()
    keystore.ensure_institution(INSTITUTION)
    return keystore


def test_create_and_get(keystore: Keystore, place: Place) -> None:
    key_id, key = keystore.create_key(INSTITUTION, KeyKind.STUDY)
    assert len(key) == 32
    assert keystore.get_key(INSTITUTION, key_id) == key
    assert place.open().get_key(INSTITUTION, key_id) == key
    assert key not in b"".join(file.read_bytes() for file in place.path.parent.iterdir())
    (row,) = keystore.list_keys()
    assert (row.key_id, row.institution, row.kind, row.epoch) == (key_id, INSTITUTION, KeyKind.STUDY, 1)


def test_ping_tells_whether_it_answers(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore, "list_keys", None)  # it must not read all keys
    keystore.ping()
    keystore.close()
    with pytest.raises(sqlite3.Error):
        keystore.ping()


def test_key_of_another_institution_is_not_given(keystore: Keystore) -> None:
    keystore.ensure_institution(OTHER)
    key_id, _ = keystore.create_key(INSTITUTION, KeyKind.STUDY)
    for institution, wanted in ((OTHER, key_id), (INSTITUTION, uuid4())):
        with pytest.raises(WardlightError, match="key-destroyed"):
            keystore.get_key(institution, wanted)


def test_moved_row_does_not_open(keystore: Keystore, place: Place) -> None:
    keystore.ensure_institution(OTHER)
    first, _ = keystore.create_key(INSTITUTION, KeyKind.STUDY)
    second, _ = keystore.create_key(INSTITUTION, KeyKind.STUDY)
    third, _ = keystore.create_key(INSTITUTION, KeyKind.STUDY)
    keystore.close()
    with sqlite3.connect(place.path) as database:
        (wrapped,) = database.execute("SELECT wrapped FROM key WHERE key_id = ?", (first.bytes,)).fetchone()
        database.execute("UPDATE key SET wrapped = ? WHERE key_id = ?", (wrapped, second.bytes))
        database.execute("UPDATE key SET institution = ? WHERE key_id = ?", (OTHER.bytes, third.bytes))
    database.close()
    opened = place.open()
    with pytest.raises(WardlightError, match="wrong-key"):
        opened.get_key(INSTITUTION, second)
    with pytest.raises(WardlightError, match="wrong-key"):
        opened.get_key(OTHER, third)


def test_institution_without_epoch_key(place: Place) -> None:
    keystore = place.open()
    with pytest.raises(WardlightError, match="not-found"):
        keystore.create_key(INSTITUTION, KeyKind.STUDY)
    with pytest.raises(WardlightError, match="not-found"):
        keystore.institution_key(INSTITUTION, KeyKind.BLIND_INDEX)


def test_institution_keys_are_singletons(keystore: Keystore, place: Place) -> None:
    bik = keystore.institution_key(INSTITUTION, KeyKind.BLIND_INDEX)
    reference = keystore.institution_key(INSTITUTION, KeyKind.AUDIT_REFERENCE)
    assert bik != reference
    assert place.open().institution_key(INSTITUTION, KeyKind.BLIND_INDEX) == bik
    assert keystore.institution_key(INSTITUTION, KeyKind.AUDIT_REFERENCE) == reference
    assert len([*keystore.list_keys()]) == 2


def test_many_keys_at_once(keystore: Keystore, place: Place) -> None:
    made = dict(keystore.create_keys(INSTITUTION, KeyKind.STUDY, 700))
    assert len(set(made.values())) == 700
    fresh = place.open()
    assert fresh.get_keys(INSTITUTION, [*made, *made]) == made
    gone = next(iter(made))
    keystore.destroy_key(INSTITUTION, gone)
    assert gone in fresh.get_keys(INSTITUTION, list(made)), "another process may still see it for a minute"
    assert keystore.get_keys(INSTITUTION, list(made)).keys() == made.keys() - {gone}
    assert place.open().get_keys(OTHER, list(made)) == {}


def test_destroy(keystore: Keystore, place: Place) -> None:
    kept, kept_key = keystore.create_key(INSTITUTION, KeyKind.STUDY)
    key_id, _ = keystore.create_key(INSTITUTION, KeyKind.STUDY)
    with sqlite3.connect(place.path) as database:
        (wrapped,) = database.execute("SELECT wrapped FROM key WHERE key_id = ?", (key_id.bytes,)).fetchone()
    database.close()
    everything = [place.path.with_name(place.path.name + tail) for tail in ("", "-wal")]
    assert any(wrapped in file.read_bytes() for file in everything)
    keystore.destroy_key(INSTITUTION, key_id)
    keystore.destroy_key(INSTITUTION, key_id)
    with pytest.raises(WardlightError, match="key-destroyed"):
        keystore.get_key(INSTITUTION, key_id)
    assert not any(wrapped[18:] in file.read_bytes() for file in everything)
    assert keystore.get_key(INSTITUTION, kept) == kept_key
    (tombstone,) = keystore.tombstones()
    assert (tombstone.key_id, tombstone.institution) == (key_id, INSTITUTION)


def test_destroy_reports_that_a_reader_keeps_remnants(
    keystore: Keystore, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keystore_module, "_CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(keystore_module, "_BUSY_MS", 1)
    keystore = place.open()
    key_id, _ = keystore.create_key(INSTITUTION, KeyKind.STUDY)
    reader = sqlite3.connect(place.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM key").fetchall()
    with pytest.raises(WardlightError, match="unavailable"):
        keystore.destroy_key(INSTITUTION, key_id)
    with pytest.raises(WardlightError, match="key-destroyed"):
        keystore.get_key(INSTITUTION, key_id)
    reader.close()
    keystore.destroy_key(INSTITUTION, key_id)


def test_cache_ends(keystore: Keystore, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    other = place.open()
    key_id, key = keystore.create_key(INSTITUTION, KeyKind.STUDY)
    now = 1000.0
    monkeypatch.setattr(keystore_module.time, "monotonic", lambda: now)
    assert other.get_key(INSTITUTION, key_id) == key
    monkeypatch.undo()
    keystore.destroy_key(INSTITUTION, key_id)
    monkeypatch.setattr(keystore_module.time, "monotonic", lambda: now)
    now += keystore_module.CACHE_SECONDS - 1
    assert other.get_key(INSTITUTION, key_id) == key
    now += 2
    with pytest.raises(WardlightError, match="key-destroyed"):
        other.get_key(INSTITUTION, key_id)


def test_keys_leave_memory_when_their_time_is_over(
    keystore: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [keystore.create_key(INSTITUTION, KeyKind.STUDY)[0] for _ in range(3)]
    now = 1000.0
    monkeypatch.setattr(keystore_module.time, "monotonic", lambda: now)
    keystore.get_keys(INSTITUTION, ids[:2])
    now += keystore_module.CACHE_SECONDS - 1
    keystore.get_key(INSTITUTION, ids[0])  # Use does not lengthen it.
    keystore.get_key(INSTITUTION, ids[2])
    keystore.forget()
    assert {key_id for _, key_id in keystore._keys} == set(ids) and keystore._epoch_keys
    now += 2
    keystore.forget()
    assert {key_id for _, key_id in keystore._keys} == {ids[2]}
    now += 10**9
    keystore.forget()
    assert not keystore._keys and not keystore._epoch_keys


def test_cache_is_bounded(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore_module, "CACHE_KEYS", 3)
    keys = [keystore.create_key(INSTITUTION, KeyKind.STUDY) for _ in range(5)]
    for key_id, key in keys * 2:
        assert keystore.get_key(INSTITUTION, key_id) == key
    assert len(keystore._keys) == 3


def test_threads(keystore: Keystore) -> None:
    made: list[tuple[UUID, bytes]] = []
    singletons: set[UUID] = set()

    def work() -> None:
        for _ in range(20):
            made.append(keystore.create_key(INSTITUTION, KeyKind.STUDY))
            singletons.add(keystore.institution_key(INSTITUTION, KeyKind.BLIND_INDEX)[0])
            key_id, key = made[0]
            assert keystore.get_key(INSTITUTION, key_id) == key

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key_id for key_id, _ in made}) == 80
    assert len({key for _, key in made}) == 80
    assert len(singletons) == 1


_PROCESS = """
import sys
from pathlib import Path
from uuid import UUID
from wardlight.keys.keystore import Keystore
from wardlight.keys.kms import KeyringKms
from wardlight.keys.wrap import KeyKind
folder, institution = Path(sys.argv[1]), UUID(sys.argv[2])
keystore = Keystore(folder / "keystore" / "keystore.db", (folder / "slots-1", folder / "slots-2"),
                    KeyringKms(folder / "root" / "root.key"))
keystore.ensure_institution(institution)
key_id, key = keystore.institution_key(institution, KeyKind.BLIND_INDEX)
for _ in range(20):
    keystore.create_key(institution, KeyKind.STUDY)
print(key_id.hex, key.hex())
"""


def test_processes_start_together_on_one_keystore(tmp_path: Path) -> None:
    """Root, keyslot, epoch key and singleton are each made once, whoever comes first."""
    command = [sys.executable, "-c", _PROCESS, str(tmp_path), str(INSTITUTION)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(outputs) == 1
    assert len([*Place(tmp_path).open().list_keys()]) == 61


def test_files_are_private(keystore: Keystore, place: Place) -> None:
    keystore.create_key(INSTITUTION, KeyKind.STUDY)
    for folder in (place.path.parent, *place.mirrors, place.root.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
        for file in folder.iterdir():
            assert file.stat().st_mode & 0o077 == 0


def test_keyslot_record(keystore: Keystore, place: Place) -> None:
    (slot,) = place.mirrors[0].iterdir()
    record = slot.read_bytes()
    assert len(record) == 81
    assert record[:21] == b"\x01" + INSTITUTION.bytes + (1).to_bytes(4, "big")
    assert (place.mirrors[1] / slot.name).read_bytes() == record


def test_keyslot_mirrors(keystore: Keystore, place: Place) -> None:
    key_id, key = keystore.create_key(INSTITUTION, KeyKind.STUDY)
    first, second = (next(mirror.iterdir()) for mirror in place.mirrors)
    record = first.read_bytes()
    first.unlink()
    assert place.open().get_key(INSTITUTION, key_id) == key
    first.write_bytes(record[:-1] + bytes([record[-1] ^ 1]))
    assert place.open().get_key(INSTITUTION, key_id) == key
    place.open().ensure_institution(INSTITUTION)
    assert first.read_bytes() == second.read_bytes() == record


def test_lost_keyslots_are_never_made_anew(keystore: Keystore, place: Place) -> None:
    key_id, _ = keystore.create_key(INSTITUTION, KeyKind.STUDY)
    for mirror in place.mirrors:
        next(mirror.iterdir()).unlink()
    opened = place.open()
    with pytest.raises(WardlightError, match="key-destroyed"):
        opened.get_key(INSTITUTION, key_id)
    with pytest.raises(WardlightError, match="key-destroyed"):
        opened.ensure_institution(INSTITUTION)
    assert not [*place.mirrors[0].iterdir()]


def test_crash_between_keyslot_and_row(place: Place) -> None:
    """A slot without keystore row is taken up, not replaced."""
    keystore = place.open()
    keystore.keyslots.create(INSTITUTION, 1)
    record = next(place.mirrors[0].iterdir()).read_bytes()
    keystore.ensure_institution(INSTITUTION)
    assert next(place.mirrors[1].iterdir()).read_bytes() == record


def test_keystore_copy_alone_opens_nothing(keystore: Keystore, place: Place, tmp_path: Path) -> None:
    key_id, _ = keystore.create_key(INSTITUTION, KeyKind.STUDY)
    stranger = Keystore(place.path, (tmp_path / "none",), KeyringKms(tmp_path / "other" / "root.key"))
    with pytest.raises(WardlightError, match="key-destroyed"):
        stranger.get_key(INSTITUTION, key_id)
    with_slots = Keystore(place.path, place.mirrors, KeyringKms(tmp_path / "other" / "root.key"))
    with pytest.raises(WardlightError, match="wrong-key"):
        with_slots.get_key(INSTITUTION, key_id)


def test_needs_a_keyslot_folder(place: Place) -> None:
    with pytest.raises(WardlightError, match="settings-unsafe"):
        Keystore(place.path, (), KeyringKms(place.root))


def test_failed_transaction_leaves_no_row(keystore: Keystore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore_module, "wrap", lambda *a: bytes(65))
    with pytest.raises(sqlite3.IntegrityError):
        keystore.create_key(INSTITUTION, KeyKind.STUDY)
    monkeypatch.undo()
    assert [*keystore.list_keys()] == []
    keystore.create_key(INSTITUTION, KeyKind.STUDY)
