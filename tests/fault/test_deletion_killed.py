"""kill -9 at each step of the deletion saga and of the roll: another worker goes on, nothing else is lost (row 10)."""

from __future__ import annotations

import importlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from archive_kit import REQUEST, Kit, dataset
from platform_kit import a_platform
from wardlight import bootstrap
from wardlight.archive.deletion import Asked, DeletionState
from wardlight.archive.fsck import Fsck
from wardlight.audit.model import Actor
from wardlight.bootstrap import WORKER
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR

BY = Asked(Actor("person", "u-7f3a", "administrator"), REQUEST)
GONE, STAYS = "1.2.3", "1.2.4"

_LONG = pytest.mark.long
#: Where the process dies: module, name of the function there, and whether before or after it has run. Those that are
#: likeliest to hide a fault are in the fast suite.
SAGA = [
    pytest.param("wardlight.archive.deletion_store:add", "after", marks=_LONG),
    pytest.param("wardlight.archive.deletion:Deletion.begin", "after", marks=_LONG),
    pytest.param("wardlight.archive.postings_merge:Postings.remove", "before", marks=_LONG),
    pytest.param("wardlight.archive.postings_merge:Postings.remove", "after", marks=_LONG),
    ("wardlight.keys.keystore:Keystore._delete", "after"),
    ("wardlight.keys.keystore:Keystore.wipe", "before"),
    pytest.param("wardlight.keys.keystore:Keystore.destroy_keys", "after", marks=_LONG),
    pytest.param("wardlight.archive.tombstones:Tombstones.publish", "after", marks=_LONG),
    pytest.param("wardlight.objects.local:LocalObjectStore.delete", "before", marks=_LONG),
    pytest.param("wardlight.objects.local:LocalObjectStore.delete", "after", marks=_LONG),
    ("wardlight.archive.deletion_store:remove_instances", "after"),
    pytest.param("wardlight.archive.deletion_store:remove_rest", "after", marks=_LONG),
]
ROLL = [
    pytest.param("wardlight.keys.keyslot:create_private", "after", marks=_LONG),
    pytest.param("wardlight.keys.keyslot:Keyslots.create", "after", marks=_LONG),
    pytest.param("wardlight.keys.keystore:Keystore.rewrap", "before", marks=_LONG),
    ("wardlight.keys.keystore:Keystore.wipe", "before"),
    ("wardlight.keys.keystore:Keystore.rewrap", "after"),
    pytest.param("wardlight.keys.keystore:Keystore.copy", "after", marks=_LONG),
    ("wardlight.keys.epochs:open_copy", "after"),
    ("wardlight.keys.keyslot:_overwrite", "before"),
    pytest.param("wardlight.archive.roll_store:begin", "after", marks=_LONG),
    pytest.param("wardlight.archive.deletion_work:DeletionWork._begun", "after", marks=_LONG),
    pytest.param("wardlight.archive.roll_store:end", "after", marks=_LONG),
    pytest.param("wardlight.keys.keyslot:_overwrite", "after", marks=_LONG),
    pytest.param("wardlight.keys.keyslot:Keyslots.destroy_before", "after", marks=_LONG),
    ("wardlight.keys.epochs:Epochs.roll", "after"),
    pytest.param("wardlight.archive.deletion_store:change", "after", marks=_LONG),
]


class Site:
    """A platform that lives in this process only between crashes, which happen in children."""

    def __init__(self, platform: Any) -> None:
        self.kit = Kit(platform, platform.settings.data_dir)
        self.settings = platform.settings
        self.own: UUID = self.kit.institution.id

    def send(self, uid: str) -> None:
        files = [
            dataset(StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", SOPInstanceUID=f"{uid}.1.{n}")
            for n in (1, 2)
        ]
        self.kit.store(*files)
        self.kit.archive.complete(WORKER)
        self.kit.archive._postings.merge(self.own)

    def in_child(self, run: Callable[[Any], None], point: str = "", when: str = "") -> int:
        """Run it on a platform of its own in a process that dies at the point; returns the signal it died of."""
        self.kit.platform.close()
        child = os.fork()
        if child == 0:
            try:
                platform = bootstrap.platform(self.settings)
                if point:
                    die_at(point, when)
                run(platform)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        platform = bootstrap.platform(self.settings)
        self.kit.platform, self.kit.archive = platform, platform.archive
        return os.WTERMSIG(status)

    def settled(self) -> None:
        """The worker goes on; then everything fits together, and only the one study is gone."""
        platform = self.kit.platform
        work = platform.deletion_work
        for _ in range(3):
            work.work(WORKER)
            self.kit.archive.index(WORKER)
        work.roll_due(WORKER)
        report = Fsck(platform.database, platform.keystore, platform.objects, platform.recorder).check(
            deep=True
        )
        notes = {code for code, _ in report.findings}
        assert report.clean and notes <= {"orphan-object", "unused-key"}, report.findings
        assert self.readable(STAYS)

    def readable(self, uid: str) -> bool:
        try:
            places = self.kit.archive.instances(self.kit.retrieve, uid)
        except WardlightError as error:
            assert error.code == "not-found"
            return False
        return all(b"".join(self.kit.archive.read(self.kit.retrieve, one)) for one in places)


def die_at(point: str, when: str) -> None:
    """The process kills itself before or after the first call of a function from now on."""
    module, _, name = point.partition(":")
    owner: Any = importlib.import_module(module)
    *parts, last = name.split(".")
    for part in parts:
        owner = getattr(owner, part)
    real = getattr(owner, last)

    def dying(*arguments: Any, **named: Any) -> Any:
        if when == "after":
            real(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, last, dying)


@pytest.fixture
def site() -> Iterator[Site]:
    with a_platform(keyslot_dirs=()) as platform:
        made = Site(platform)
        made.send(GONE)
        made.send(STAYS)
        yield made
        made.kit.platform.close()


@pytest.mark.parametrize(("point", "when"), SAGA)
def test_a_deletion_that_is_killed_is_carried_on(site: Site, point: str, when: str) -> None:
    def delete(platform: Any) -> None:
        platform.deletion.begin(site.own, GONE, BY)
        platform.deletion_work.work(WORKER)

    assert site.in_child(delete, point, when) == signal.SIGKILL
    if point.endswith("deletion_store:add"):
        assert site.readable(GONE), "the transaction was not committed: nothing has begun"
        site.kit.platform.deletion.begin(site.own, GONE, BY)
    assert not site.readable(GONE), "access was over before"
    site.settled()
    (known,) = site.kit.platform.deletion.all_known(site.own)
    assert known.row.state is DeletionState.REMOVED and known.row.key_destroyed_ms
    assert len(dict(site.kit.platform.objects.list())) == 2
    assert len(site.kit.entries("archive:study:delete")) == 1
    assert len(site.kit.entries("archive:key:destroy")) == 1


@pytest.mark.parametrize(("point", "when"), ROLL)
def test_a_roll_that_is_killed_is_completed(site: Site, point: str, when: str) -> None:
    site.kit.platform.deletion.begin(site.own, GONE, BY)
    site.kit.platform.deletion_work.work(WORKER)
    died = site.in_child(
        lambda platform: platform.deletion_work.roll(site.own, LOCAL_ADMINISTRATOR), point, when
    )
    assert died == signal.SIGKILL
    assert site.readable(STAYS), "keys open at each moment"
    work = site.kit.platform.deletion_work
    site.settled()
    if site.kit.platform.epochs.unrolled():
        work.roll(site.own, LOCAL_ADMINISTRATOR)
    keystore = site.kit.platform.keystore
    assert keystore.keyslots.epochs(site.own) == {keystore.epoch(site.own)}
    assert {key.epoch for key in keystore.list_keys() if key.institution == site.own} == {
        keystore.epoch(site.own)
    }
    (known,) = site.kit.platform.deletion.all_known(site.own)
    assert known.row.unreadable_ms
    # Each roll is in the trail before anything of it is done, and its end once, whatever died in between.
    told = site.kit.entries("archive:key:rewrap")
    begun = [entry["id"] for entry in told if entry["phase"] == "authorised"]
    ended = [entry["of"] for entry in told if entry["phase"] == "finished"]
    assert begun and begun == ended
    assert [entry["detail"]["epoch"] for entry in told][-1] == keystore.epoch(site.own)
    site.settled()
    for left in site.settings.keystore_path.parent.glob(".keystore-*"):
        os.utime(left, (0, 0))
    work.roll(site.own, LOCAL_ADMINISTRATOR)
    assert not list(site.settings.keystore_path.parent.glob(".keystore-*"))


@pytest.mark.long
def test_kills_at_random(site: Site) -> None:
    """Deletions and rolls, killed anywhere, a hundred times."""
    chance = random.Random(20261124)
    for round_ in range(100):
        uid = f"1.2.9.{round_}"
        site.send(uid)

        def run(platform: Any, uid: str = uid, delay: float = chance.uniform(0, 0.08)) -> None:
            def kill() -> None:
                time.sleep(delay)
                os.kill(os.getpid(), signal.SIGKILL)

            threading.Thread(target=kill, daemon=True).start()
            platform.deletion.begin(site.own, uid, BY)
            platform.deletion_work.work(WORKER)
            platform.deletion_work.roll(site.own, LOCAL_ADMINISTRATOR)

        site.in_child(run)
        if site.readable(uid):
            site.kit.platform.deletion.begin(site.own, uid, BY)
        if round_ % 10 == 9:
            site.settled()
            assert not site.readable(uid)
