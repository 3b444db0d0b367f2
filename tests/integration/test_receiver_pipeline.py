"""The receiver as it runs: node and pipeline processes, a real sender, a platform that fails in every way.

What is acknowledged must arrive, exactly as its route says, whatever is killed and whatever the platform does.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest
from bench.fast_store_scu import Instance, Sender
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import SecondaryCaptureImageStorage

import receiver_data
from reader_kit import burned_in
from receiver_data import DEFLATED, ENCAPSULATED, Encoded, ct, encode
from stow_stub import StowStub
from wardlight.dicom.part10 import read_meta
from wardlight.receiver import process, routes, secrets
from wardlight.receiver.entries import Entries
from wardlight.receiver.model import Level, Route, Target
from wardlight.receiver.places import database_path, vault_path
from wardlight.receiver.quarantine import FOLDER, Quarantine
from wardlight.receiver.status import status
from wardlight.receiver.store import ReceiverStore
from wardlight.receiver.vault import Vault
from wardlight.settings import Settings
from wardlight.supervisor import Supervisor

EXPLICIT = "1.2.840.10008.1.2.1"
IMAGES = "images"
CANARIES = (
    b"Quillfeather",
    b"Ambrose",
    b"4471133",
    b"Whitfield",
    b"ACC778899",
    b"Saint Elsewhere",
    b"19610502",
)


@dataclass
class Running:
    """A receiver under its supervisor."""

    settings: Settings
    supervisor: Supervisor
    secrets: Path
    port: int = 0
    acknowledged: list[Encoded] = field(default_factory=list)

    def send(self, instances: Sequence[Encoded], title: str = "TEAMPLAYISHARE") -> None:
        """Send over one association; every one must be acknowledged."""
        contexts = {(one.sop_class, one.transfer_syntax) for one in instances}
        with Sender(self.port, sorted(contexts), called_ae=title) as sender:
            for one in instances:
                row = Instance(one.sop_class, one.sop_instance, one.transfer_syntax, memoryview(one.data))
                assert sender.store(row).status == 0x0000
                self.acknowledged.append(one)

    def child(self, name: str) -> psutil.Process:
        (child,) = [child for child in self.supervisor.children if child.name == name]
        wait(lambda: child.process is not None)
        assert child.process is not None
        return psutil.Process(child.process.pid)

    def kill(self, name: str) -> None:
        os.kill(self.child(name).pid, signal.SIGKILL)

    def store(self) -> ReceiverStore:
        return ReceiverStore(database_path(self.settings))

    def queue(self) -> int:
        return int(status(self.settings, ask_platform=False)["queue"]["uploads"])

    def drained(self) -> None:
        """Wait until everything acknowledged is registered and no upload waits."""
        wait(lambda: self._received() >= len(self.acknowledged) and self.queue() == 0, 30)

    def _received(self) -> int:
        counters = status(self.settings, ask_platform=False)["last_day"]
        return int(counters.get("received", {"instances": 0})["instances"])


def wait(check: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.03)


@contextmanager
def receiver(folder: Path, platform: StowStub, **options: object) -> Iterator[Running]:
    chosen = receiver_data.settings(folder, platform_url=platform.url, **options)
    secrets.save_token(chosen.receiver_secrets, platform.token)
    process.prepare(chosen)
    supervisor = process.supervisor(chosen)
    store = ReceiverStore(database_path(chosen))
    known = {route.called_ae for route in routes.read_routes(store.database)}
    for title, targets in {
        "IDENTIFIED": (Target(IMAGES, Level.IDENTIFIED),),
        "SEVERAL": (Target(IMAGES, Level.IDENTIFIED), Target(IMAGES, Level.HIGH), Target("acme", Level.HIGH)),
        "LOW": (Target(IMAGES, Level.LOW),),
    }.items():
        if title not in known:
            routes.create_route(store.database, Route(title, targets, unknown_syntaxes=True), [])
    store.forget_note("port")
    store.close()
    running = Running(chosen, supervisor, chosen.receiver_secrets)
    supervisor.start()
    watcher = threading.Thread(target=supervisor.watch)
    watcher.start()
    try:
        wait(lambda: status(chosen, ask_platform=False)["port"] is not None)
        running.port = status(chosen, ask_platform=False)["port"]
        yield running
    finally:
        supervisor.stopping.set()
        watcher.join(30)


@pytest.fixture
def platform() -> Iterator[StowStub]:
    with StowStub() as running:
        yield running


def leads_back(folder: Path, running: Running, got: Sequence[Dataset], sent: Sequence[Encoded]) -> None:
    """Of each object that left the vault knows the way back, and nothing of it lies in clear."""
    vault = Vault(vault_path(running.settings), secrets.load(running.secrets))
    try:
        found = [vault.original(str(one.SOPInstanceUID).encode()) for one in got]
        assert {one[0].decode() for one in found if one is not None} == {one.sop_instance for one in sent}
        for one in got:
            release = vault.release(str(one.PatientID).encode())
            original = vault.original(str(one.StudyInstanceUID).encode())
            assert release is not None and original is not None
            study = vault.study(original[0])
            assert study is not None and study.person == release.person and release.days > 0
    finally:
        vault.close()
    everything = b"".join(file.read_bytes() for file in (folder / "data").rglob("*") if file.is_file())
    assert b"SQLite format 3" in everything
    for canary in (
        *CANARIES,
        *(one.sop_instance.encode() for one in sent),
        *(one.study.encode() for one in sent),
    ):
        assert canary not in everything


def data_of(file: bytes) -> bytes:
    return file[read_meta(file).end :]


# Each syntax at one level in the fast suite, at both in the long one.
@pytest.mark.parametrize(
    "syntax",
    [
        "1.2.840.10008.1.2",
        ENCAPSULATED,
        *(pytest.param(one, marks=pytest.mark.long) for one in (EXPLICIT, DEFLATED)),
    ],
)
def test_identified_objects_arrive_byte_for_byte(tmp_path: Path, platform: StowStub, syntax: str) -> None:
    sent = [encode(ct(), syntax) for _ in range(3)]
    with receiver(tmp_path, platform) as running:
        running.send(sent, "IDENTIFIED")
        files = platform.wait(3)
        running.drained()
        assert sorted(data_of(file) for file in files) == sorted(one.data for one in sent)
        assert {read_meta(file).transfer_syntax for file in files} == {syntax}
        assert all(request.headers["wardlight-level"] == "identified" for request in platform.requests)


@pytest.mark.parametrize(
    "syntax",
    [
        EXPLICIT,
        DEFLATED,
        *(pytest.param(one, marks=pytest.mark.long) for one in ("1.2.840.10008.1.2", ENCAPSULATED)),
    ],
)
def test_at_high_pixels_arrive_and_identifiers_do_not(
    tmp_path: Path, platform: StowStub, syntax: str
) -> None:
    sent = encode(ct(), syntax)
    with receiver(tmp_path, platform) as running:
        running.send([sent])
        (file,) = platform.wait(1)
        running.drained()
    got = receiver_data.read_data_set(data_of(file), syntax)
    assert got.PixelData == sent.dataset().PixelData
    assert got.SOPInstanceUID == read_meta(file).sop_instance != sent.sop_instance
    assert got.PatientIdentityRemoved == "YES"
    uncovered = got.PatientID.encode() + str(got).encode()
    for canary in (*CANARIES, sent.sop_instance.encode(), sent.study.encode()):
        assert canary not in file
        assert canary not in uncovered
    assert read_meta(file).transfer_syntax == syntax
    leads_back(tmp_path, running, [got], [sent])


def test_a_route_with_several_releases_makes_each(tmp_path: Path, platform: StowStub) -> None:
    sent = encode(ct())
    with receiver(tmp_path, platform) as running:
        running.send([sent], "SEVERAL")
        platform.wait(3)
        running.drained()
    targets = {(r.headers["wardlight-application"], r.headers["wardlight-level"]) for r in platform.requests}
    assert targets == {("images", "identified"), ("images", "high"), ("acme", "high")}
    assert len({r.headers["wardlight-study-group"] for r in platform.requests}) == 1
    assert len({uid for r in platform.requests for uid in r.sop_uids}) == 3


def test_batches_hold_one_study_and_nothing_lies_in_clear(tmp_path: Path, platform: StowStub) -> None:
    studies = [ct().StudyInstanceUID for _ in range(3)]
    sent = [encode(ct(study)) for study in studies for _ in range(10)]
    with receiver(tmp_path, platform) as running:
        running.send(sent, "IDENTIFIED")
        files = platform.wait(30)
        running.drained()
        assert len(files) == 30
        by_group: dict[str, set[str]] = {}
        for request in platform.requests:
            for file in request.files:
                study = receiver_data.read_data_set(data_of(file), EXPLICIT).StudyInstanceUID
                by_group.setdefault(request.headers["wardlight-study-group"], set()).add(study)
        assert sorted(map(len, by_group.values())) == [1, 1, 1]
        assert len(platform.requests) < 15
        found = status(running.settings)
        assert found["platform"]["last"] == "ok"
        assert found["platform"]["reachable"] is True
        assert found["last_day"]["received"]["instances"] == 30
        assert found["last_day"]["stored"]["instances"] == 30
    everything = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    for canary in (*CANARIES, *(one.sop_instance.encode() for one in sent), *(s.encode() for s in studies)):
        assert canary not in everything


def test_a_platform_that_is_down_gets_everything_later(tmp_path: Path, platform: StowStub) -> None:
    sent = [encode(ct()) for _ in range(5)]
    platform.stop()
    with receiver(tmp_path, platform) as running:
        running.send(sent, "IDENTIFIED")
        wait(lambda: status(running.settings)["platform"]["last"] == "unreachable")
        assert running.queue() == 5
        platform.start()
        files = platform.wait(5)
        running.drained()
    assert sorted(data_of(file) for file in files) == sorted(one.data for one in sent)


def test_a_restart_goes_on_where_the_last_run_ended(tmp_path: Path, platform: StowStub) -> None:
    sent = [encode(ct()) for _ in range(5)]
    platform.stop()
    with receiver(tmp_path, platform) as running:
        running.send(sent, "IDENTIFIED")
    platform.start()
    with receiver(tmp_path, platform) as running:
        files = platform.wait(5)
        running.drained()
    assert sorted(data_of(file) for file in files) == sorted(one.data for one in sent)


@pytest.mark.long
def test_a_kill_between_upload_and_mark_repeats_and_loses_nothing(tmp_path: Path, platform: StowStub) -> None:
    sent = [encode(ct()) for _ in range(4)]
    platform.orders.before_answer = threading.Event()
    with receiver(tmp_path, platform) as running:
        running.send(sent, "IDENTIFIED")
        assert platform.received.wait(20)
        running.kill("pipeline-0")
        platform.orders.before_answer.set()
        running.drained()
        wait(lambda: len({data_of(file) for file in platform.stored()}) == 4)
    assert {data_of(file) for file in platform.stored()} == {one.data for one in sent}
    assert len(platform.stored()) > 4


@pytest.mark.long
def test_kills_of_every_process_while_objects_come(tmp_path: Path, platform: StowStub) -> None:
    study = ct().StudyInstanceUID
    with receiver(tmp_path, platform, workers=2) as running:
        for number in range(30):
            if number in (10, 20):
                running.kill("receiver")
            if number in (5, 15, 25):
                running.kill(f"pipeline-{number // 5 % 2}")
            wait(lambda: _sent(running, encode(ct(study))), 30)
        running.drained()
        arrived = {data_of(file) for file in platform.stored()}
        assert {one.data for one in running.acknowledged} <= arrived


@pytest.mark.long
def test_whatever_left_before_a_kill_has_its_way_back(tmp_path: Path, platform: StowStub) -> None:
    studies = [ct().StudyInstanceUID for _ in range(3)]
    with receiver(tmp_path, platform, workers=2) as running:
        for number in range(36):
            if number % 9 == 8:
                running.kill(f"pipeline-{number // 9 % 2}")
            study = studies[number % 3]
            wait(lambda study=study: _sent(running, encode(ct(study)), "TEAMPLAYISHARE"), 30)
        # Before the queue is empty, too: whatever the platform has, the vault knows.
        early = platform.stored()
        running.drained()
        files = platform.stored()
    assert len(files) >= len(early)
    got = [receiver_data.read_data_set(data_of(file), EXPLICIT) for file in files]
    leads_back(tmp_path, running, got, running.acknowledged)


def _sent(running: Running, one: Encoded, title: str = "IDENTIFIED") -> bool:
    try:
        running.send([one], title)
    except (OSError, AssertionError):
        return False
    return True


def test_what_the_platform_refuses_goes_to_quarantine(tmp_path: Path, platform: StowStub) -> None:
    good, bad, known = encode(ct()), encode(ct()), encode(ct())
    platform.orders.refuse = {bad.sop_instance: 0xC000, known.sop_instance: 0x0111}
    with receiver(tmp_path, platform) as running:
        running.send([good, bad, known], "IDENTIFIED")
        running.drained()
        found = status(running.settings)
        assert found["quarantine"] == {"objects": 1, "reasons": {"platform-c000": 1}}
        assert found["last_day"]["conflict"]["instances"] == 1
        store = running.store()
        (entry,) = store.quarantined()
        quarantine = Quarantine(
            store, running.settings.receiver_dir / FOLDER, secrets.load(running.secrets), Entries("n")
        )
        assert data_of(quarantine.read(entry)) == bad.data
        store.close()


def test_what_cannot_be_deidentified_never_leaves(tmp_path: Path, platform: StowStub) -> None:
    overlaid = ct()
    overlaid.add_new(0x60000102, "US", 15)
    bad, good = encode(overlaid), encode(ct())
    with receiver(tmp_path, platform) as running:
        running.send([bad, good])
        (file,) = platform.wait(1)
        running.drained()
        found = status(running.settings)
        assert found["quarantine"]["objects"] == 1
        assert read_meta(file).sop_class == good.sop_class


@pytest.mark.parametrize(
    "syntax",
    [
        pytest.param(EXPLICIT, marks=pytest.mark.long),
        pytest.param(DEFLATED, marks=pytest.mark.long),
        "1.2.840.10008.1.2.5",
    ],
)
def test_what_was_burned_in_is_blacked_out(tmp_path: Path, platform: StowStub, syntax: str) -> None:
    capture = ct(SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", Rows=160, Columns=320)
    capture.BitsAllocated, capture.BitsStored, capture.HighBit = 8, 8, 7
    plate, (left, top, right, bottom) = burned_in(160, 320, "QUILLFEATHER^AMBROSE")
    capture.PixelData = plate.tobytes()
    capture["PixelData"].VR = "OB"
    if syntax == "1.2.840.10008.1.2.5":
        capture.file_meta = FileMetaDataset()
        capture.compress(syntax, plate)
    with receiver(tmp_path, platform) as running:
        running.send([encode(capture, syntax)])
        (file,) = platform.wait(1, 60)
        running.drained()
    got = dcmread(io.BytesIO(file))
    assert got.file_meta.TransferSyntaxUID == syntax and got.BurnedInAnnotation == "NO"
    shown = got.pixel_array
    assert not (shown[top:bottom, left:right] > 200).any()
    # The square beside the text is still there.
    assert np.array_equal(shown[110:150, 250:300], plate[110:150, 250:300])


def test_a_refused_level_waits_while_others_go_on(tmp_path: Path, platform: StowStub) -> None:
    with receiver(tmp_path, platform) as running:
        platform.orders.answers = [(403, {}, {"code": "level-not-agreed"})]
        running.send([encode(ct())], "IDENTIFIED")
        wait(lambda: bool(status(running.settings, ask_platform=False)["platform"]["refused"]))
        running.send([encode(ct())], "LOW")
        platform.wait(1)
        running.drained()
        assert status(running.settings)["platform"]["refused"] == {}


def test_a_supervisor_that_is_killed_takes_its_processes_along(tmp_path: Path, platform: StowStub) -> None:
    chosen = receiver_data.settings(tmp_path, platform_url=platform.url)
    parent = subprocess.Popen(
        [sys.executable, "-m", "wardlight", "receiver"], env={**os.environ, **chosen.environment()}
    )
    try:
        wait(lambda: len(psutil.Process(parent.pid).children()) == 2)
        wait(lambda: status(chosen, ask_platform=False)["port"] is not None)
        children = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.wait()
    wait(lambda: not any(child.is_running() for child in children))
