"""Backups leave keys, tokens, postings out; what was deleted does not come back (security.md section 11, 8 to 11)."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import platform_kit
from archive_kit import REQUEST, Kit, dataset
from platform_kit import a_platform
from wardlight import bootstrap, clock
from wardlight.access.model import Role
from wardlight.archive.backup import MANIFEST, NAME, Backup, Manifest
from wardlight.archive.deletion import Asked
from wardlight.archive.deletion_work import Places
from wardlight.archive.fsck import Fsck
from wardlight.archive.model import MatchKey, Query
from wardlight.archive.restore import Accepted
from wardlight.audit.model import Actor
from wardlight.bootstrap import WORKER
from wardlight.cli.restoring import Wanted, restore
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.keys.copies import Copies
from wardlight.keys.epochs import open_copy, reading
from wardlight.keys.keyslot import Keyslots
from wardlight.keys.kms import KeyringKms
from wardlight.keys.wrap import unwrap
from wardlight.objects.local import TOMBSTONES
from wardlight.settings import Settings

BY = Asked(Actor("person", "u-7f3a", "administrator"), REQUEST)


class Site:
    """A platform with its backup places, which loses parts of itself."""

    def __init__(self, platform: Any, folder: Path) -> None:
        self.kit = Kit(platform, platform.settings.data_dir)
        self.settings = platform.settings
        self.folder = folder / "backup"
        self.copies = folder / "copies"

    @property
    def platform(self) -> Any:
        return self.kit.platform

    def send(self, *uids: str, **more: Any) -> None:
        for uid in uids:
            self.kit.store(
                *(
                    dataset(StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", SOPInstanceUID=f"{uid}.1.{n}")
                    for n in range(3)
                ),
                **more,
            )
        self.platform.archive.complete(WORKER)
        self.platform.sealer.seal()

    def back_up(self) -> Manifest:
        places = Places(
            self.platform.database, self.platform.keystore, self.platform.objects, self.platform.recorder
        )
        maker = Backup(places, self.platform.tombstones, self.settings.objects_dir)
        return maker.make(self.folder, Copies(self.platform.keystore, self.copies), LOCAL_ADMINISTRATOR)

    def delete(self, uid: str, *, roll: bool = False) -> Any:
        row = self.platform.deletion.begin(self.kit.institution.id, uid, BY)
        self.platform.deletion_work.work(WORKER)
        if roll:
            self.platform.deletion_work.roll(self.kit.institution.id, LOCAL_ADMINISTRATOR)
        self.platform.sealer.seal()
        return row

    def lose(self, *, index: bool = True, keystore: bool = False, objects: bool = False) -> None:
        self.platform.close()
        if index:
            shutil.rmtree(self.settings.index_path.parent)
        if keystore:
            shutil.rmtree(self.settings.keystore_path.parent)
        if objects:
            shutil.rmtree(self.settings.objects_dir)

    def restore(self, keystore: Path | None = None, **accepted: bool) -> Any:
        wanted = Wanted(self.folder, keystore, Accepted(**accepted))
        done = restore(self.settings, wanted, LOCAL_ADMINISTRATOR)
        self.reopen()
        return done

    def reopen(self) -> None:
        platform = bootstrap.platform(self.settings)
        self.kit.platform, self.kit.archive = platform, platform.archive

    @property
    def newest_copy(self) -> Path:
        return max(self.copies.glob("keystore-*.db"))

    def found(self) -> list[str]:
        query = Query(keys=(MatchKey((0x00100020,), "PAT-0042"),))
        rows = self.kit.archive.search_studies(self.kit.query, query).rows
        return sorted(row["0020000D"]["Value"][0] for row in rows)

    def read(self, uid: str) -> int:
        places = self.kit.archive.instances(self.kit.retrieve, uid)
        return sum(len(b"".join(self.kit.archive.read(self.kit.retrieve, one))) for one in places)

    def whole(self) -> list[Any]:
        platform = self.platform
        platform.deletion_work.work(WORKER)
        report = Fsck(platform.database, platform.keystore, platform.objects, platform.recorder).check(
            deep=True
        )
        return [one for one in report.findings if one[0] not in ("reserved", "unused-key", "orphan-object")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_platform() as platform:
        made = Site(platform, tmp_path)
        yield made
        made.platform.close()


def refused(run: Any) -> tuple[str, str]:
    with pytest.raises(WardlightError) as error:
        run()
    return error.value.code, error.value.reason


def test_a_backup_holds_no_key_token_posting_or_name(site: Site) -> None:
    site.send("1.2.3", "1.2.4")
    site.platform.archive._postings.merge(site.kit.institution.id)
    person = site.platform.identity.create_person(
        site.kit.institution.id, "a@x.example", "A", Role.ADMINISTRATOR, by=LOCAL_ADMINISTRATOR
    )
    site.platform.identity.issue_person_token(person, by=LOCAL_ADMINISTRATOR)
    site.back_up()
    with sqlite3.connect(site.folder / "index.db") as index:
        for table in ("token", "archive_posting", "archive_tail", "person_session"):
            assert index.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
        for table in ("archive_release", "archive_series", "archive_instance"):
            assert index.execute(f"SELECT count(*) FROM {table} WHERE token != id").fetchone() == (0,)
    tokens = [bytes(row[0]) for row in site.kit.sql("SELECT token FROM archive_instance")]
    wrapped = site.platform.keystore._database.execute("SELECT wrapped FROM key").fetchall()
    for file in (one for one in site.folder.rglob("*") if one.is_file()):
        content = file.read_bytes()
        assert not any(token in content for token in tokens), file.name
        assert not any(one in content for (one,) in wrapped), file.name
        assert b"PAT-0042" not in content and "Lüdenscheidt".encode() not in content
    assert not list(site.folder.rglob("*.slot")) and not list(site.copies.rglob("*.slot"))
    assert (site.copies / NAME).read_bytes() == (site.folder / NAME).read_bytes()


def test_index_and_objects_lost(site: Site) -> None:
    """The keystore, never away, knows what was destroyed since (row 8)."""
    site.send("1.2.3", "1.2.4", "1.2.5")
    site.back_up()
    size = site.read("1.2.3")
    site.delete("1.2.4")
    site.lose(objects=True)
    done = site.restore()
    assert (done.releases, done.deleted, done.lost) == (2, 1, [])
    assert site.found() == ["1.2.3", "1.2.5"] and site.read("1.2.3") == size
    assert site.whole() == []
    assert len(done.continued) >= 1, "the world has seen a later head of the audit log"
    (entry,) = site.kit.entries("platform:backup:restore")
    assert entry["detail"] == {"gap": False, "keystore": False, "lost": 0}


def test_everything_restored_from_before_with_tombstones_at_hand(site: Site) -> None:
    """Row 8: index, objects and keystore from before; tombstones beside the objects destroy the key again."""
    site.send("1.2.3", "1.2.4")
    site.back_up()
    old = site.newest_copy
    kept = site.copies.parent / "older.db"
    shutil.copy(old, kept)
    site.delete("1.2.4")
    told = site.copies.parent / "tombstones"
    shutil.copytree(site.settings.objects_dir / TOMBSTONES, told)
    site.lose(keystore=True, objects=True)
    shutil.copytree(told, site.settings.objects_dir / TOMBSTONES)
    done = site.restore(kept)
    assert (done.deleted, done.buried) == (1, 1)
    assert site.found() == ["1.2.3"]
    assert refused(lambda: site.read("1.2.4"))[0] == "not-found"
    assert site.whole() == []


@pytest.mark.parametrize("tombstones", [False, pytest.param(True, marks=pytest.mark.long)])
def test_everything_restored_from_before_the_roll(site: Site, tombstones: bool) -> None:
    """Row 9: with the root and the keyslots of today, nothing of the old copies can be read."""
    site.send("1.2.3", "1.2.4")
    site.back_up()
    kept = site.copies.parent / "older.db"
    shutil.copy(site.newest_copy, kept)
    own = site.kit.institution.id
    aside = site.copies.parent / "old-slots"
    shutil.copytree(site.settings.keyslots[0], aside)
    site.delete("1.2.4", roll=True)
    site.lose(keystore=True, objects=True)
    if not tombstones:
        for file in (site.folder / NAME, site.copies / NAME):
            file.unlink()
    assert refused(lambda: site.restore(kept, gap=True, lost=True))[0] == "key-destroyed"
    assert not site.settings.index_path.exists() and not site.settings.keystore_path.exists()
    # By hand, without asking the product: the root is there, the slots of today are there.
    root = KeyringKms(site.settings.root_path)
    slots = Keyslots(site.settings.keyslots, root)
    assert slots.epochs(own) == {2}
    with reading(kept) as copy:
        rows = copy.execute("SELECT key_id, wrapped FROM key WHERE institution = ?", (own.bytes,)).fetchall()
    assert len(rows) > 3
    for key_id, wrapped in rows:
        with pytest.raises(WardlightError):
            unwrap(slots.key(own, 2), own, UUID(bytes=key_id), wrapped)
    with pytest.raises(WardlightError):
        open_copy(kept, slots, own, 2)
    # What is named as the residual risk: with a copy of the old keyslot it can be read.
    assert open_copy(kept, Keyslots([aside], root), own, 1) == len(rows)


def test_missing_tombstones_are_a_gap(site: Site) -> None:
    site.send("1.2.3", "1.2.4")
    site.back_up()
    kept = site.copies.parent / "older.db"
    shutil.copy(site.newest_copy, kept)
    (site.folder / NAME).unlink()
    site.lose(keystore=True, objects=True)
    assert refused(lambda: site.restore(kept)) == ("conflict", "gap")
    done = site.restore(kept, gap=True)
    assert done.gap and site.found() == ["1.2.3", "1.2.4"]
    (entry,) = site.kit.entries("platform:backup:restore")
    assert entry["detail"]["gap"] is True


def test_a_keystore_older_than_the_index_loses_studies_that_it_names(site: Site) -> None:
    """Row 10."""
    site.send("1.2.3")
    site.back_up()
    kept = site.copies.parent / "older.db"
    shutil.copy(site.newest_copy, kept)
    site.send("1.2.4")
    site.back_up()
    lost = site.kit.sql("SELECT id FROM archive_release ORDER BY id")[-1][0]
    site.lose(keystore=True)
    with pytest.raises(WardlightError) as error:
        site.restore(kept)
    assert error.value.reason == "lost" and bytes(lost).hex() in error.value.detail.replace("-", "")
    done = site.restore(kept, lost=True)
    assert [one.bytes for one in done.lost] == [bytes(lost)]
    assert site.found() == ["1.2.3"]
    site.send("1.2.4")
    assert site.found() == ["1.2.3", "1.2.4"], "sent again, it is taken"
    assert site.whole() == []


@pytest.mark.long
def test_forged_tombstones_destroy_nothing(site: Site) -> None:
    site.send("1.2.3")
    site.back_up()
    file = site.folder / NAME
    content = file.read_bytes()
    key = bytes(site.kit.sql("SELECT key_id FROM archive_release")[0][0]).hex()
    head, last = content.splitlines()
    row = f'{{"destroyed_ms":{clock.unix_ms()},"institution":"{site.kit.institution.id.hex}","key":"{key}"}}'
    file.write_bytes(b"\n".join((head.replace(b'"count":0', b'"count":1'), row.encode(), last)) + b"\n")
    site.lose()
    assert refused(site.restore)[0] == "object-damaged"
    file.write_bytes(content)
    site.restore()
    assert site.found() == ["1.2.3"]


@pytest.mark.long
def test_nothing_is_restored_over_what_is_there(site: Site) -> None:
    site.send("1.2.3")
    site.back_up()
    assert refused(site.restore)[0] == "already-exists"
    site.lose()
    assert refused(lambda: site.restore(site.newest_copy))[0] == "already-exists"
    (site.folder / MANIFEST).unlink()
    assert refused(site.restore)[0] == "not-found"
    assert not site.settings.index_path.exists()


def test_a_backup_is_brought_up_to_date_in_its_folder(site: Site) -> None:
    site.send("1.2.3", "1.2.4")
    assert site.back_up().objects == 4
    site.delete("1.2.3")
    site.send("1.2.5")
    assert site.back_up().objects == 4
    assert len([one for one in (site.folder / "objects").rglob("*") if one.is_file()]) == 4
    site.lose(objects=True)
    done = site.restore()
    assert done.deleted == 0 and site.found() == ["1.2.4", "1.2.5"] and site.whole() == []
    assert refused(lambda: site.send("1.2.3"))[0] == "study-deleted", "it is remembered over a restore"


@pytest.mark.long
def test_postgresql_and_a_bucket(tmp_path: Path) -> None:
    """The index goes into the same kind of file, and back into an empty database; objects stay in their bucket."""
    with (
        platform_kit.store_settings(platform_kit.STORES[1]) as stores,
        platform_kit.store_settings(platform_kit.STORES[1]) as fresh,
    ):
        settings = Settings(data_dir=tmp_path / "data", demo=True, completion_quiet_s=0, **stores)
        site = Site(bootstrap.platform(settings), tmp_path)
        site.send("1.2.3", "1.2.4")
        places = Places(
            site.platform.database, site.platform.keystore, site.platform.objects, site.platform.recorder
        )
        copies = Copies(site.platform.keystore, site.copies)
        made = Backup(places, site.platform.tombstones, None).make(site.folder, copies, LOCAL_ADMINISTRATOR)
        assert made.objects is None
        site.delete("1.2.4")
        site.platform.close()
        site.settings = settings.model_copy(update={"database_url": fresh["database_url"]})
        done = site.restore()
        assert (done.releases, done.deleted, done.lost) == (1, 1, [])
        assert site.found() == ["1.2.3"] and site.read("1.2.3")
        site.send("1.2.5")
        assert site.found() == ["1.2.3", "1.2.5"]
        assert site.whole() == []
        site.platform.close()
