"""The gateway with the real spool: what is let in, what is refused with which status, what is durable afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage
from sqlalchemy import select

import receiver_data
from receiver_data import DEFLATED, ENCAPSULATED, Encoded, ct, encode
from wardlight import clock, log
from wardlight.errors import WardlightError
from wardlight.receiver import (
    admission,
    agreed,
    intake,
    recovery,
    registrar,
    routes,
    secrets,
    sink,
    spool_file,
    tables,
)
from wardlight.receiver.admission import DenialCounter, RouteTable
from wardlight.receiver.agreed import AgreedTable
from wardlight.receiver.entries import Entries
from wardlight.receiver.gateway import Rejection
from wardlight.receiver.intake import Intake, ReceiverGateway
from wardlight.receiver.model import Level, Route, Target, Work
from wardlight.receiver.places import database_path, open_spool, spool_dir
from wardlight.receiver.reading import reference
from wardlight.receiver.registrar import Registrar
from wardlight.receiver.spool import Spool
from wardlight.receiver.spool_file import SpoolFile
from wardlight.receiver.store import ReceiverStore

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


@dataclass
class Bench:
    store: ReceiverStore
    spool: Spool
    registrar: Registrar
    gateway: ReceiverGateway
    secrets: secrets.ReceiverSecrets
    folder: Path

    def send(self, one: Encoded, route: str = "TEAMPLAYISHARE", piece: int = 1 << 20) -> None:
        taker = self.gateway.begin(
            route, "CT_1", "192.0.2.1", one.sop_class, one.sop_instance, one.transfer_syntax
        )
        view = memoryview(one.data)
        try:
            for at in range(0, len(view), piece):
                taker.write(view[at : at + piece])
            taker.commit()
        except WardlightError:
            taker.abort()
            raise

    def works(self, number: int) -> list[Work]:
        wait(lambda: len(self.store.pending(0, 1, 0, 1000)) >= number)
        return self.store.pending(0, 1, 0, 1000)

    def data(self, work: Work) -> bytes:
        return b"".join(self.spool.read(reference(work)))

    def entries(self) -> list[dict[str, object]]:
        with self.store.database.read() as tx:
            return [json.loads(row) for row in tx.execute(select(tables.audit_pending.c.content)).scalars()]


def wait(check: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(registrar, "_TIDY_S", 0.05)
    monkeypatch.setattr(admission, "_FRESH_S", 0.0)
    monkeypatch.setattr(agreed, "_FRESH_S", 0.0)
    monkeypatch.setattr(intake, "_SPACE_FRESH_S", -1.0)
    chosen = receiver_data.settings(tmp_path, object_bytes=1 << 20)
    store = ReceiverStore(database_path(chosen))
    spool = open_spool(chosen)
    keys = secrets.load(chosen.receiver_secrets)
    entries = Entries("node-1")
    registering = Registrar(
        store, spool, entries, lambda file_id: recovery.recover_file(file_id, store, spool, keys)
    )
    gateway = ReceiverGateway(
        Intake(
            chosen.receiver,
            spool,
            spool_dir(chosen),
            RouteTable(store.database),
            AgreedTable(store.database),
            registering,
            keys,
            entries,
        )
    )
    registering.start()
    yield Bench(store, spool, registering, gateway, keys, tmp_path)
    registering.stop()
    spool.close()
    store.close()


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, DEFLATED, ENCAPSULATED])
@pytest.mark.parametrize("piece", [1 << 20, 1000])
def test_a_good_object_is_spooled_byte_for_byte(bench: Bench, syntax: str, piece: int) -> None:
    one = encode(ct(), syntax)
    bench.send(one, piece=piece)
    (work,) = bench.works(1)
    assert bench.data(work) == one.data
    assert work.target == Target("images", Level.HIGH)
    assert work.sop_class == CTImageStorage
    assert work.transfer_syntax == syntax
    assert work.study == bench.secrets.study_token(one.study)
    assert work.body_end == (None if syntax == DEFLATED else len(one.data))


def changed(one: Encoded, **values: str) -> Encoded:
    return Encoded(**{**one.__dict__, **values})


def without(keyword: str) -> Encoded:
    ds = ct()
    whole = encode(ds)
    delattr(ds, keyword)
    ds.SOPClassUID = getattr(ds, "SOPClassUID", "")
    if keyword == "SOPClassUID":
        del ds.SOPClassUID
    return changed(whole, data=_encoded_bytes(ds))


def _encoded_bytes(ds: object) -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, ds)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda: changed(encode(ct()), sop_instance="1.2.3"), 0xA900),
        (lambda: changed(encode(ct()), sop_class="1.2.840.10008.5.1.4.1.1.4"), 0xA900),
        (lambda: without("SOPInstanceUID"), 0xC000),
        (lambda: without("SOPClassUID"), 0xC000),
        (lambda: without("StudyInstanceUID"), 0xC000),
        (lambda: without("SeriesInstanceUID"), 0xC000),
        (lambda: changed(encode(ct()), data=encode(ct()).data[:300]), 0xC000),
        (lambda: changed(encode(ct()), data=b"\xff" * 500), 0xC000),
        (lambda: changed(encode(ct()), data=b""), 0xC000),
        (lambda: changed(encode(ct()), transfer_syntax=DEFLATED), 0xC000),
        (lambda: encode(ct(rows=1024)), 0xA700),
    ],
)
def test_a_bad_object_is_refused_and_leaves_nothing(
    bench: Bench, make: Callable[[], Encoded], status: int
) -> None:
    with pytest.raises(WardlightError) as caught:
        bench.send(make())
    assert caught.value.kind.dicom == status
    good = encode(ct())
    bench.send(good)
    (work,) = bench.works(1)
    assert bench.data(work) == good.data
    wait(lambda: any(entry["action"] == "receiver:object:refuse" for entry in bench.entries()))


def test_no_free_space_is_refused_before_the_data(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(bench.folder)
    full = os.statvfs_result((*real[:3], real.f_bfree, 100, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(WardlightError) as caught:
        bench.send(encode(ct()))
    assert caught.value.kind.dicom == 0xA700


def test_a_full_disk_closes_the_files_in_use_so_that_they_make_room(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.send(encode(ct()))
    (work,) = bench.works(1)
    assert not bench.spool.finished(work.file_id)
    with monkeypatch.context() as patch:
        patch.setattr(intake, "require_space", _raise_no_space)
        with pytest.raises(WardlightError):
            bench.send(encode(ct()))
    assert bench.spool.finished(work.file_id)
    bench.send(encode(ct()))
    assert len({one.file_id for one in bench.works(2)}) == 2


def _raise_no_space(*_: object) -> None:
    raise WardlightError("out-of-resources")


def test_the_disk_may_fill_while_a_large_object_comes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "SPACE_STEP", 100_000)
    calls = iter([1 << 40])
    real = os.statvfs(bench.folder)
    monkeypatch.setattr(
        os, "statvfs", lambda _: os.statvfs_result((4096, 4096, 1 << 40, 0, next(calls, 1), *real[5:]))
    )
    with pytest.raises(WardlightError) as caught:
        bench.send(encode(ct(rows=512)), piece=50_000)
    assert caught.value.code == "out-of-resources"


def test_unknown_called_titles_and_rules_reject(bench: Bench) -> None:
    routes.create_route(
        bench.store.database,
        Route("STRICT", (Target("images", Level.LOW),), ("CT*",), ("192.0.2.0/24",)),
        [],
    )
    routes.create_route(bench.store.database, Route("OFF", (Target("images", Level.LOW),), enabled=False), [])
    ask = bench.gateway.association
    assert ask("TEAMPLAYISHARE", "ANY", "203.0.113.1").rejection is None
    assert ask("NOBODY", "ANY", "203.0.113.1").rejection is Rejection.CALLED_AE
    assert ask("OFF", "ANY", "203.0.113.1").rejection is Rejection.CALLED_AE
    assert ask("STRICT", "MR_1", "192.0.2.1").rejection is Rejection.CALLING_AE
    assert ask("STRICT", "CT_1", "203.0.113.1").rejection is Rejection.CALLING_AE
    assert ask("STRICT", "CT_1", "192.0.2.1").rejection is None
    wait(lambda: len(bench.entries()) == 6)
    accepted = [e for e in bench.entries() if e["action"] == "receiver:association:accept"]
    rejected = [e for e in bench.entries() if e["action"] == "receiver:association:reject"]
    assert [e["object"]["id"] for e in accepted] == ["TEAMPLAYISHARE", "STRICT"]  # type: ignore[index]
    assert [e["reason"] for e in rejected] == ["called-ae", "called-ae", "calling-ae", "network"]
    assert "NOBODY" not in json.dumps(rejected)


def test_a_route_that_is_gone_refuses_objects_of_open_associations(bench: Bench) -> None:
    routes.delete_route(bench.store.database, "TEAMPLAYISHARE", [])
    with pytest.raises(WardlightError) as caught:
        bench.send(encode(ct()))
    assert caught.value.kind.dicom == 0x0122


def test_a_database_that_fails_stops_the_intake_and_comes_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = bench.store.register
    monkeypatch.setattr(bench.store, "register", _raise_unavailable)
    bench.send(encode(ct()))
    wait(lambda: bench.registrar.failing)
    assert bench.gateway.association("TEAMPLAYISHARE", "CT", "192.0.2.1").rejection is Rejection.LOCAL_LIMIT
    with pytest.raises(WardlightError) as caught:
        bench.send(encode(ct()))
    assert caught.value.code == "unavailable"
    monkeypatch.setattr(bench.store, "register", real)
    assert len(bench.works(1)) == 1


def _raise_unavailable(*_: object) -> int:
    raise WardlightError("unavailable")


def test_many_denials_are_counted_not_listed() -> None:
    written: list[tuple[admission.Denial, int]] = []
    counter = DenialCounter(lambda denial, number: written.append((denial, number)))
    for _ in range(50):
        counter.add(("association:", "X", "192.0.2.1", "called-ae"))
    assert len(written) == 10
    counter.flush()
    assert written[-1] == (("association:", "X", "192.0.2.1", "called-ae"), 40)
    for number in range(3000):
        counter.add(("association:", str(number), "192.0.2.1", "called-ae"))
    assert len(counter._counts) <= 1001


def test_after_a_crash_the_spool_alone_brings_every_object_back(bench: Bench, tmp_path: Path) -> None:
    sent = [encode(ct(), syntax) for syntax in (EXPLICIT, DEFLATED, ENCAPSULATED)]
    for one in sent:
        bench.send(one)
    bench.works(3)
    bench.spool.roll()
    fresh = ReceiverStore(tmp_path / "other.db")
    assert recovery.recover(fresh, bench.spool, bench.secrets) == 3
    works = fresh.pending(0, 1, 0, 10)
    assert [bench.data(work) for work in works] == [one.data for one in sent]
    assert [work.study for work in works] == [bench.secrets.study_token(one.study) for one in sent]
    assert recovery.recover(fresh, bench.spool, bench.secrets) == 0
    fresh.close()


def test_known_objects_are_not_entered_twice(bench: Bench) -> None:
    bench.send(encode(ct()))
    bench.works(1)
    bench.spool.roll()
    assert recovery.recover(bench.store, bench.spool, bench.secrets) == 0
    assert len(bench.works(1)) == 1


def test_damage_before_the_watermark_is_alarmed_and_the_file_kept(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.send(encode(ct()))
    first = bench.works(1)[0]
    bench.send(encode(ct()))
    bench.works(2)
    bench.spool.roll()
    wait(lambda: bench.spool.finished(first.file_id))
    (file,) = (tmp_path / "data" / "receiver" / "spool").glob("*.spool")
    content = bytearray(file.read_bytes())
    content[first.end + 2000] ^= 1
    file.write_bytes(content)
    with bench.store.database.begin() as tx:
        tx.execute(tables.spool_file.update().values(settled=False))
    alarms = io.StringIO()
    monkeypatch.setattr(log, "_logger", log.Logger("test", alarms, 40))
    assert recovery.recover(bench.store, bench.spool, bench.secrets) == 0
    assert "receiver.spool_damaged" in alarms.getvalue()
    assert bench.store.finished_files() == []
    with bench.store.database.read() as tx:
        assert tx.execute(select(tables.spool_file.c.damaged)).scalar() is True


def test_a_finished_file_is_removed_with_its_rows(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrar, "_QUIET_MS", 0)
    bench.send(encode(ct()))
    (work,) = bench.works(1)
    bench.spool.roll()
    bench.store.finish([(work, "stored")], [])  # type: ignore[list-item]
    wait(lambda: bench.spool.files() == [])
    wait(lambda: bench.store.settled_files() == set())
    studies = [entry for entry in bench.entries() if entry["action"] == "receiver:study:receive"]
    assert [entry["counts"]["instances"] for entry in studies] == [1]  # type: ignore[index]


def test_a_file_with_an_object_under_way_is_not_settled(bench: Bench) -> None:
    one = encode(ct(rows=256))  # more than a record, so that both lie in one file
    bench.send(one)
    taker = bench.gateway.begin(
        "TEAMPLAYISHARE", "CT", "192.0.2.1", one.sop_class, one.sop_instance, one.transfer_syntax
    )
    taker.write(memoryview(one.data))
    bench.works(1)
    bench.spool.roll()
    time.sleep(0.3)
    assert bench.store.settled_files() == set()
    taker.commit()
    wait(lambda: len(bench.store.settled_files()) == 1)


def test_an_object_that_ends_its_file_while_files_are_tidied_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are tidied where it hurts most: before the new file is locked, and right after its last object."""
    bench.registrar.stop()  # from here on this thread does its work
    monkeypatch.setattr(registrar, "_QUIET_MS", 0)

    def enter() -> None:
        while bench.registrar._queue.qsize():
            bench.registrar._persist([bench.registrar._queue.get()])  # type: ignore[list-item]

    def lock(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(spool_file.fcntl, "flock", real_lock)
        bench.registrar._tidy()
        real_lock(descriptor, operation)

    def leave(file: SpoolFile) -> None:
        real_leave(file)
        bench.registrar._tidy()
        bench.registrar._tidy()

    real_lock, real_leave = fcntl.flock, bench.spool.leave
    with bench.spool._keys.locked():
        pass  # makes the folder's lock file
    first, second = encode(ct(rows=256)), encode(ct(rows=256))
    monkeypatch.setattr(bench.spool._keys, "locked", contextlib.nullcontext)
    monkeypatch.setattr(spool_file.fcntl, "flock", lock)
    bench.send(first)
    enter()
    taker = bench.gateway.begin(
        "TEAMPLAYISHARE", "CT", "192.0.2.1", second.sop_class, second.sop_instance, second.transfer_syntax
    )
    taker.write(memoryview(second.data))
    bench.store.finish([(work, "stored") for work in bench.works(1)], [])  # type: ignore[misc]
    bench.spool.roll()
    monkeypatch.setattr(bench.spool, "leave", leave)
    taker.commit()
    enter()
    bench.registrar._tidy()
    (work,) = bench.works(1)
    assert bench.data(work) == second.data


def test_a_file_of_an_earlier_process_is_read_before_it_is_settled(bench: Bench, tmp_path: Path) -> None:
    """The start passed it over because it was still in use then. Files that come later are of helpers."""
    other = open_spool(receiver_data.settings(tmp_path))
    one = encode(ct())
    meta = sink.Arrival(
        "TEAMPLAYISHARE", (Target("images", Level.HIGH),), "CT", "", one.sop_class, one.transfer_syntax, 1
    ).to_meta()
    writer = other.begin(meta)
    writer.write(memoryview(one.data))
    writer.commit()
    recover = partial(recovery.recover_file, store=bench.store, spool=bench.spool, secrets=bench.secrets)
    later = Registrar(bench.store, bench.spool, Entries("node-1"), recover)
    helping = Registrar(bench.store, bench.spool, Entries("node-1"), recover, helps=True)
    later.start()
    time.sleep(0.2)
    assert bench.store.settled_files() == set()
    later.stop()
    other.close()
    helping.start()
    time.sleep(0.2)
    assert bench.store.settled_files() == set()  # Nor by the one of the fixture, which began before the file.
    helping.stop()
    later = Registrar(bench.store, bench.spool, Entries("node-1"), recover)
    later.start()
    (work,) = bench.works(1)
    assert bench.data(work) == one.data
    wait(lambda: bench.store.settled_files() == {work.file_id})
    later.stop()
    assert len(bench.works(1)) == 1


def test_a_report_counts_no_object_that_came_since(bench: Bench) -> None:
    bench.send(encode(ct()))
    bench.works(1)
    (study,) = bench.store.unreported(clock.unix_ms() + 1, 0)
    bench.send(encode(ct()))
    bench.works(2)
    bench.store.report(study, b"{}")
    assert sum(left.instances for left in bench.store.unreported(clock.unix_ms() + 1, 0)) == 1


def test_one_file_that_cannot_be_tidied_does_not_stop_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = bench.spool.finished
    bench.send(encode(ct()))
    (first,) = bench.works(1)
    bench.spool.roll()
    wait(lambda: bench.store.settled_files() == {first.file_id})
    (bench.spool._folder / "0.spool").touch()
    bench.spool._made.add("0")

    def finished(file_id: str) -> bool:
        if file_id == "0":
            raise WardlightError("unavailable")
        return real(file_id)

    monkeypatch.setattr(bench.spool, "finished", finished)
    bench.send(encode(ct()))
    bench.spool.roll()
    wait(lambda: len(bench.store.settled_files()) == 2)


ACME = Target("acme_ai", Level.LOW)
IMAGES = Target("images", Level.HIGH)


@pytest.mark.parametrize("reason", sorted(agreed.REASONS))
def test_what_is_not_agreed_is_refused_and_leaves_nothing(bench: Bench, reason: str) -> None:
    agreed.write(bench.store.database, {IMAGES: reason})
    with pytest.raises(WardlightError) as error:
        bench.send(encode(ct()))
    assert (error.value.code, error.value.kind.dicom) == (reason, 0x0124)
    assert str(error.value) == f"{reason}: images at high"
    wait(lambda: any(entry["action"] == "receiver:object:refuse" for entry in bench.entries()))
    assert [entry["reason"] for entry in bench.entries() if entry["action"] == "receiver:object:refuse"] == [
        reason
    ]
    assert bench.store.pending(0, 1, 0, 10) == []


def test_what_the_platform_did_not_name_is_not_agreed(bench: Bench) -> None:
    agreed.write(bench.store.database, {})
    with pytest.raises(WardlightError) as error:
        bench.send(encode(ct()))
    assert error.value.code == "no-agreement"


def test_before_the_platform_has_said_anything_all_is_taken_in(bench: Bench) -> None:
    bench.send(encode(ct()))
    (work,) = bench.works(1)
    assert agreed.read(bench.store.database).reasons is None
    # Then it says no: what was acknowledged stays, and does not leave.
    agreed.write(bench.store.database, {IMAGES: "agreement-withdrawn"})
    known = agreed.read(bench.store.database)
    assert bench.store.pending(0, 1, 0, 10, agreed=known.targets) == []
    assert bench.data(work)
    # It is agreed again: it may leave.
    agreed.write(bench.store.database, {IMAGES: ""})
    known = agreed.read(bench.store.database)
    assert bench.store.pending(0, 1, 0, 10, agreed=known.targets) == [work]


def test_a_route_of_two_releases_takes_in_what_is_agreed_of_it(bench: Bench) -> None:
    routes.change_route(bench.store.database, Route("TEAMPLAYISHARE", (IMAGES, ACME)), ())
    agreed.write(bench.store.database, {IMAGES: "", ACME: "level-not-agreed"})
    bench.send(encode(ct()))
    assert [work.target for work in bench.works(1)] == [IMAGES]
    wait(lambda: any(entry.get("reason") == "level-not-agreed" for entry in bench.entries()))
    routes.change_route(bench.store.database, Route("TEAMPLAYISHARE", (ACME,)), ())
    with pytest.raises(WardlightError) as error:
        bench.send(encode(ct()))
    assert error.value.code == "level-not-agreed"
