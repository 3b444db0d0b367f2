"""A sender whose data nothing was agreed on is told so, in its own words: DCMTK's storescu and pynetdicom."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

import receiver_data
from interop.test_dimse_dcmtk import SC, image, tool
from wardlight.receiver import agreed, routes
from wardlight.receiver.model import Level, Route, Target
from wardlight.receiver.receiving import Receiving
from wardlight.receiver.scp import StorageScp

IMAGES, ACME = Target("images", Level.HIGH), Target("acme_ai", Level.LOW)
REASONS = sorted(agreed.REASONS)


class Node:
    """The receiver's node with its spool."""

    def __init__(self, receiving: Receiving, scp: StorageScp) -> None:
        self.store, self.port = receiving.store, scp.port

    def send(self, file: Path, title: str = "TEAMPLAYISHARE") -> str:
        """What storescu says, whatever its exit code."""
        done = subprocess.run(
            [tool("storescu"), "-d", "-aec", title, "127.0.0.1", str(self.port), str(file)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setattr(agreed, "_FRESH_S", 0.0)
    chosen = receiver_data.settings(tmp_path)
    receiving = Receiving(chosen, lambda: None, helps=False)
    routes.create_route(receiving.store.database, Route("ACME", (ACME,)), ())
    receiving.start()
    scp = StorageScp(receiving.gateway, chosen.receiver)
    scp.start()
    yield Node(receiving, scp)
    scp.stop()
    receiving.stop()


@pytest.mark.system
@pytest.mark.parametrize("reason", REASONS)
def test_storescu_hears_the_reason(receiver: Node, tmp_path: Path, reason: str) -> None:
    agreed.write(receiver.store.database, {IMAGES: "", ACME: reason})
    image(tmp_path / "one.dcm", ExplicitVRLittleEndian)
    said = receiver.send(tmp_path / "one.dcm", "ACME")
    assert "0x0124" in said and f"{reason}: acme_ai at low" in said, said
    # The other route is not touched by that.
    assert "0x0000: Success" in receiver.send(tmp_path / "one.dcm")


@pytest.mark.parametrize("known", [None, {}, {IMAGES: ""}], ids=["unknown", "nothing", "agreed"])
def test_pynetdicom_gets_status_and_comment(
    receiver: Node, tmp_path: Path, known: dict[Target, str] | None
) -> None:
    if known is not None:
        agreed.write(receiver.store.database, known)
    ds = image(tmp_path / "one.dcm", ExplicitVRLittleEndian)
    entity = AE(ae_title="CT_1")
    entity.add_requested_context(SC, ExplicitVRLittleEndian)
    answers: list[Dataset] = []
    for _ in range(3):
        association = entity.associate("127.0.0.1", receiver.port, ae_title="TEAMPLAYISHARE")
        assert association.is_established
        answers = [association.send_c_store(ds) for _ in range(2)]
        association.release()
        if all("Status" in answer for answer in answers):
            break  # pynetdicom loses an answer that comes before it waits for one, and gives an empty one.
    if known == {}:
        assert [answer.Status for answer in answers] == [0x0124, 0x0124]
        assert {answer.ErrorComment for answer in answers} == {"no-agreement: images at high"}
    else:
        assert [answer.Status for answer in answers] == [0x0000, 0x0000]
        assert not any("ErrorComment" in answer for answer in answers)
