"""pynetdicom against the node: its own storescu program, every storage class, every negotiation item."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from bench.fast_store_scu import Instance, Sender, load
from pydicom.data import get_testdata_file
from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom import AE, build_context, build_role
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import AllStoragePresentationContexts

from memory_gateway import MemoryGateway, node
from wardlight.receiver.scp import StorageScp

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"


@pytest.fixture
def gateway() -> MemoryGateway:
    return MemoryGateway()


@pytest.fixture
def scp(gateway: MemoryGateway) -> Iterator[StorageScp]:
    with node(gateway) as running:
        yield running


def test_file(name: str) -> Path:
    found = get_testdata_file(name)
    assert isinstance(found, str)
    return Path(found)


test_file.__test__ = False  # type: ignore[attr-defined]

FILES = [
    "CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm",
    "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_dcmtk.dcm", "JPGExtended.dcm", "image_dfl.dcm", "rtplan.dcm",
    "test-SR.dcm", "waveform_ecg.dcm", "liver_1frame.dcm",
]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_storescu_program(scp: StorageScp, gateway: MemoryGateway, name: str) -> None:
    path = test_file(name)
    original = pydicom.dcmread(path)
    done = subprocess.run(
        [sys.executable, "-m", "pynetdicom", "storescu", "127.0.0.1", str(scp.port), str(path), "-cx"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (stored,) = gateway.stored
    assert (stored.sop_class, stored.sop_instance) == (original.SOPClassUID, original.SOPInstanceUID)
    assert stored.transfer_syntax == original.file_meta.TransferSyntaxUID
    assert stored.calling_ae == "STORESCU"


def test_echoscu_program(scp: StorageScp) -> None:
    command = [sys.executable, "-m", "pynetdicom", "echoscu", "127.0.0.1", str(scp.port)]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("name", FILES)
def test_raw_bytes_arrive_untouched(scp: StorageScp, gateway: MemoryGateway, name: str) -> None:
    instance = load(test_file(name))
    with Sender(scp.port, [(instance.sop_class, instance.transfer_syntax)], pdu_bytes=16384) as sender:
        assert sender.store(instance).status == 0
    (stored,) = gateway.stored
    assert stored.data == instance.data
    assert stored.transfer_syntax == instance.transfer_syntax


def test_all_storage_classes(scp: StorageScp) -> None:
    contexts = [context.abstract_syntax for context in AllStoragePresentationContexts]
    for start in range(0, len(contexts), 128):
        ae = AE()
        for abstract in contexts[start : start + 128]:
            assert abstract is not None
            ae.add_requested_context(abstract)
        association = ae.associate("127.0.0.1", scp.port)
        assert association.is_established
        assert association.rejected_contexts == []
        association.release()


def test_all_transfer_syntaxes(scp: StorageScp, gateway: MemoryGateway) -> None:
    syntaxes = [syntax for syntax in AllTransferSyntaxes if ".1.2.7." not in syntax]
    ae = AE()
    ae.requested_contexts = [build_context(CT, syntax) for syntax in syntaxes]
    association = ae.associate("127.0.0.1", scp.port)
    assert {context.transfer_syntax[0] for context in association.accepted_contexts} == set(syntaxes)
    association.release()
    with Sender(scp.port, [(CT, syntax) for syntax in syntaxes]) as sender:
        for number, syntax in enumerate(syntaxes):
            content = memoryview(f"content {number}".encode())
            assert sender.store(Instance(CT, f"1.2.{number}", syntax, content)).status == 0
    assert [row.transfer_syntax for row in gateway.stored] == syntaxes
    assert [row.data for row in gateway.stored] == [
        f"content {number}".encode() for number in range(len(syntaxes))
    ]


def test_every_negotiation_item(scp: StorageScp) -> None:
    ae = AE()
    ae.add_requested_context(CT)
    ae.add_requested_context(VERIFICATION)
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 5
    window.maximum_number_operations_performed = 5
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT, bytes([2, 0, 3, 0, 1, 0])
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = CT, "1.2.840.10008.4.2"
    common.related_general_sop_class_identification = [UID("1.2.840.10008.5.1.4.1.1.4")]
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field, identity.secondary_field = 2, b"user", b"password"
    identity.positive_response_requested = True
    items = [window, extended, common, identity, build_role(CT, scu_role=True, scp_role=True)]
    association = ae.associate("127.0.0.1", scp.port, ext_neg=items)
    assert association.is_established
    acceptor = association.acceptor
    assert acceptor.maximum_length == 1 << 20
    assert acceptor.asynchronous_operations == (1, 1)
    assert acceptor.sop_class_extended == {CT: bytes([2, 0, 1, 0, 0, 0])}
    assert acceptor.user_identity is None
    context = next(row for row in association.accepted_contexts if row.abstract_syntax == CT)
    assert (context.as_scu, context.as_scp) == (True, False)
    assert association.send_c_echo().Status == 0
    association.release()
    assert association.is_released


@pytest.mark.parametrize("maximum", [0, 128, 4096, 16382])
def test_any_maximum_length_of_the_peer(scp: StorageScp, gateway: MemoryGateway, maximum: int) -> None:
    ae = AE()
    ae.maximum_pdu_size = maximum
    ds = pydicom.dcmread(test_file("CT_small.dcm"))
    ae.add_requested_context(CT, ds.file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", scp.port)
    assert association.send_c_store(ds).Status == 0
    association.release()
    (stored,) = gateway.stored
    received = pydicom.dcmread(BytesIO(stored.data), force=True)
    assert stored.sop_instance == received.SOPInstanceUID == ds.SOPInstanceUID


def test_abort(scp: StorageScp, gateway: MemoryGateway) -> None:
    ae = AE()
    ae.add_requested_context(VERIFICATION)
    association = ae.associate("127.0.0.1", scp.port)
    association.abort()
    assert association.is_aborted
    assert gateway.stored == []


def test_query_is_not_offered(scp: StorageScp) -> None:
    ae = AE()
    ae.add_requested_context("1.2.840.10008.5.1.4.1.2.2.1")
    ae.add_requested_context(VERIFICATION)
    association = ae.associate("127.0.0.1", scp.port)
    assert [context.result for context in association.rejected_contexts] == [3]
    assert association.send_c_echo().Status == 0
    association.release()
