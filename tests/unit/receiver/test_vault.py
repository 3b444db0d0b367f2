"""The vault: nothing in it can be read, all of it leads back, and processes that write at once lose nothing."""

from __future__ import annotations

import multiprocessing
import os
import secrets as stdlib_secrets
import signal
import threading
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc.jwk import ECKey

from deid_kit import minimal, new_uid
from vault_kit import HIGH, open_vault, secrets_of, way_of
from wardlight.agreements.model import Level
from wardlight.classification.model import CLEAR
from wardlight.deid.keys import DeidKeys
from wardlight.deid.verify import verify
from wardlight.errors import WardlightError
from wardlight.receiver import credential, domain, vault_export, vault_tables
from wardlight.receiver.model import Target
from wardlight.receiver.vault import Vault, WayBack

OTHER = Target("another", Level.HIGH)
PATIENT = b"patient\0SITE\0"


def canary(length: int = 12) -> str:
    """Letters nobody is called."""
    return "".join(stdlib_secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(length))


def plain_way(number: int = 0, study: bytes | None = None) -> WayBack:
    """A way back that no object was needed for."""
    uid = f"1.2.826.0.1.3680043.10.{number}.{stdlib_secrets.randbelow(10**12)}".encode()
    study = study or new_uid().encode()
    return WayBack(
        HIGH,
        PATIENT + b"%d" % number,
        canary(16).encode(),
        17,
        study,
        ((0x00100010, b"PN", b"A^B", b""),),
        frozenset((uid, study)),
        lambda one: b"2.25.1" + one[-20:].replace(b".", b""),
    )


@pytest.fixture
def vault(tmp_path):
    made = open_vault(tmp_path)
    yield made
    made.close()


def files(folder: Path) -> bytes:
    """The bytes of all the vault's files."""
    return b"".join(one.read_bytes() for one in folder.glob("vault.db*"))


def test_no_value_can_be_read_from_the_vaults_files_or_an_export(vault: Vault, tmp_path: Path) -> None:
    ds = minimal()
    name, first, ident, accession = (canary() for _ in range(4))
    ds.PatientName, ds.PatientID, ds.AccessionNumber = f"{name}^{first}", ident, accession
    way, _ = way_of(vault, ds)
    vault.keep([way])
    place = tmp_path / "export"
    vault_export.export(
        vault, secrets_of(tmp_path).hospital, place, passphrase="x" * 12, before=lambda _: None
    )
    stored = files(tmp_path) + place.read_bytes()
    assert len(stored) > 8192
    values = [name, first, ident, accession, "19510203", str(ds.StudyInstanceUID), str(ds.SOPInstanceUID)]
    values += [way.pseudonym.decode(), *(way.new_uid(one).decode() for one in way.uids)]
    for value in values:
        for form in (
            value.encode(),
            value.lower().encode(),
            value.encode("utf-16-le"),
            b64encode(value.encode()),
        ):
            assert form not in stored, value
    # Nor is anything shown.
    assert not [
        value for value in values if value in repr(way) or value in repr(vault.release(way.pseudonym))
    ]


def test_every_column_is_a_token_or_sealed() -> None:
    for table in vault_tables.metadata.tables.values():
        for one in table.columns:
            assert one.info["data_class"] in CLEAR or one.info["protection"] in ("token", "sealed"), one


def test_a_row_opens_in_its_own_place_only(vault: Vault, tmp_path: Path) -> None:
    ways = [plain_way(1), plain_way(2)]
    vault.keep(ways)
    store, keys = vault.store, vault.keys
    rows = list(store.rows(vault_tables.release))
    assert len({len(row[2]) for row in rows}) == 1
    from wardlight.receiver.vault_seal import Kind

    for kind, token in ((Kind.RELEASE, rows[1][0]), (Kind.STUDY, rows[0][0])):
        with pytest.raises(WardlightError):
            keys.unseal(kind, token, rows[0][2])
    with pytest.raises(WardlightError):
        keys.unseal(Kind.RELEASE, rows[0][0], rows[0][2][:-1])


def test_two_applications_share_no_uid_pseudonym_or_offset(vault: Vault) -> None:
    ds = minimal()
    one, _ = way_of(vault, ds)
    two, _ = way_of(vault, ds, OTHER)
    low, _ = way_of(vault, ds, Target("app", Level.MEDIUM))
    vault.keep([one, two, low])
    assert one.uids == two.uids == low.uids and len(one.uids) >= 4
    assert len({one.pseudonym, two.pseudonym, low.pseudonym}) == 3
    assert len({way.new_uid(uid) for way in (one, two, low) for uid in way.uids}) == 3 * len(one.uids)
    keys = [DeidKeys.derive(b"k" * 32, application, "high") for application in ("app", "another")]
    assert keys[0].date != keys[1].date
    # Each leads back by itself.
    for way in (one, two, low):
        assert vault.original(way.new_uid(str(ds.SOPInstanceUID).encode()))[0] == ds.SOPInstanceUID.encode()
        release = vault.release(way.pseudonym)
        assert (release.target, release.patient, release.days) == (way.target, way.patient, way.days)


def test_receivers_of_one_domain_agree_and_their_vaults_come_together(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    keys = [ECKey.generate_key("P-256") for _ in folders]
    for folder, key in zip(folders, keys, strict=True):
        credential.save(folder / "secrets", "r-1", "https://ward.example", key)
    first, second = (secrets_of(folder) for folder in folders)
    assert first.hospital != second.hospital
    vault = open_vault(folders[1])
    sealed = domain.seal(first.hospital, domain.public_key(folders[1] / "secrets"))
    assert b64encode(first.hospital).decode() not in sealed
    with pytest.raises(WardlightError) as caught:
        domain.unseal(sealed, folders[0] / "secrets")
    assert caught.value.code == "wrong-key"
    secret = domain.unseal(sealed, folders[1] / "secrets")
    assert domain.adopt(secret, second.hospital, folders[1] / "secrets", vault, folders[1] / "quarantine")
    vault.close()
    assert secrets_of(folders[1]).hospital == first.hospital and secrets_of(folders[1]).vault != first.vault

    ds = minimal()
    vaults = [open_vault(folder) for folder in folders]
    ways = [
        way_of(one, ds, secret=secrets_of(folder).hospital)
        for one, folder in zip(vaults, folders, strict=True)
    ]
    assert ways[0][1] == ways[1][1], "same UIDs, pseudonym and dates: the same bytes"
    vaults[0].keep([ways[0][0]])
    place = tmp_path / "export"
    private = X25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public = vault_export.recovery_public(pem)
    vault_export.export(vaults[0], first.hospital, place, to=public, before=lambda _: None)
    opened = vault_export.Export(place, key=private)
    assert opened.domain == first.hospital
    assert opened.bring(vaults[1]) == len(ways[0][0].uids) + 2
    assert vault_export.Export(place, key=private).bring(vaults[1]) == 0
    release = vaults[1].release(ways[0][0].pseudonym)
    assert release.patient == ways[0][0].patient
    assert (
        vaults[1].original(ways[1][0].new_uid(str(ds.StudyInstanceUID).encode()))[0]
        == ds.StudyInstanceUID.encode()
    )
    # Once it has given pseudonyms, a receiver stays in its domain.
    with pytest.raises(WardlightError):
        domain.adopt(b"n" * 32, first.hospital, folders[1] / "secrets", vaults[1], folders[1] / "quarantine")
    for one in vaults:
        one.close()


def test_an_export_opens_with_its_key_only_and_whole(vault: Vault, tmp_path: Path) -> None:
    vault.keep([plain_way()])
    place = tmp_path / "export"
    secret = secrets_of(tmp_path).hospital
    told: list[int] = []
    private = X25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert vault_export.recovery_private(pem).private_bytes_raw() == private.private_bytes_raw()
    public = private.public_key().public_bytes_raw()
    vault_export.export(vault, secret, place, to=public, before=told.append)
    assert told == [4]
    with pytest.raises(WardlightError) as caught:
        vault_export.export(vault, secret, place, to=public, before=told.append)
    assert caught.value.code == "already-exists" and place.stat().st_mode & 0o077 == 0
    for wrong in ({"key": X25519PrivateKey.generate()}, {"passphrase": "something else"}):
        with pytest.raises(WardlightError):
            vault_export.Export(place, **wrong)
    whole = place.read_bytes()
    for cut in (1, len(whole) // 2, len(whole) - 40):
        place.write_bytes(whole[:-cut])
        with pytest.raises(WardlightError):
            vault_export.Export(place, key=private).bring(vault)
    place.write_bytes(whole[:-1] + bytes((whole[-1] ^ 1,)))
    with pytest.raises(WardlightError):
        vault_export.Export(place, key=private).bring(vault)
    for pem in (b"", b"-----BEGIN PUBLIC KEY-----\n", private.private_bytes_raw()):
        with pytest.raises(WardlightError):
            vault_export.recovery_public(pem)
        with pytest.raises(WardlightError):
            vault_export.recovery_private(pem)


def test_what_one_object_says_is_searched_in_the_patients_others(vault: Vault) -> None:
    """A maiden name in the first object's elements, and in the second one's text only."""
    first = minimal()
    maiden = canary().capitalize()
    first.PatientBirthName = f"{maiden}^Ann"
    way_of(vault, first)
    second = minimal()
    second.ContrastBolusAgent = "iodine"
    second.SOPInstanceUID = new_uid()
    second.AcquisitionDeviceProcessingDescription = f"scan of {maiden}"
    low = Target("app", Level.LOW)
    way, header = way_of(vault, second, low)
    assert maiden.encode() not in header
    known = vault.learn(way.patient, [])
    from deid_kit import deidentifier, encode, pixels
    from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

    alone = deidentifier("low").deidentify(encode(second), EXPLICIT_LITTLE, pixels(second)).header
    assert maiden.encode() in alone, "only the first object says whose name it is"
    uid = EXPLICIT_LITTLE.uid
    assert not verify(encode(second), uid, alone, level="low")
    found = verify(encode(second), uid, alone, level="low", known=known)
    assert [one.code for one in found] == ["identifier"]
    # Frozen at first sight: what comes later does not change it.
    later = minimal()
    later.PatientName = "Later^Name"
    way_of(vault, later)
    assert vault.learn(way.patient, []) == known


def test_processes_learn_of_erasing_and_merging(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wardlight.receiver.vault.LOOK_S", 0.0)
    beside = open_vault(tmp_path)
    way = plain_way(7)
    assert vault.alias(way.patient) == way.patient
    vault.keep([way])
    assert vault.has_study(way.study_uid)
    beside.merge(way.patient, PATIENT + b"8")
    assert vault.alias(way.patient) == PATIENT + b"8"
    beside.merge(PATIENT + b"8", PATIENT + b"9")
    assert vault.alias(way.patient) == PATIENT + b"9"
    for pair in ((b"9", b"7"), (b"7", b"9"), (b"9", b"9")):
        with pytest.raises(WardlightError):
            beside.merge(PATIENT + pair[0], PATIENT + pair[1])
    assert vault.release(way.pseudonym).person == vault.keys.token(1, PATIENT + b"9")
    beside.erase_study(way.study_uid)
    # This process thought the study was there: the next object is to be protected again, and brings its elements.
    with pytest.raises(WardlightError) as caught:
        vault.keep([replace(way, study=())])
    assert caught.value.code == "unavailable"
    vault.alias(way.patient)
    assert not vault.has_study(way.study_uid)
    vault.keep([way])
    assert vault.study(way.study_uid) is not None
    beside.close()


def test_what_was_erased_is_not_in_the_files(vault: Vault, tmp_path: Path) -> None:
    way = plain_way(3)
    vault.learn(way.patient, [(0x00100010, b"PN", b"A^B", b"")])
    vault.keep([way, plain_way(4)])
    sealed = [row[-1] for table in ("person", "release", "study", "uid")
              for row in vault.store.rows(getattr(vault_tables, table))]  # fmt: skip
    assert all(blob in files(tmp_path) for blob in sealed)
    gone = vault.erase_patient(way.patient)
    assert gone == {"studies": 1, "uids": 2, "pseudonyms": 1, "patients": 1}
    left = {row[-1] for table in ("person", "release", "study", "uid")
            for row in vault.store.rows(getattr(vault_tables, table))}  # fmt: skip
    assert len(left) == 4
    assert {blob for blob in sealed if blob in files(tmp_path)} == left


def test_two_threads_and_two_connections_write_at_once(vault: Vault, tmp_path: Path) -> None:
    beside = open_vault(tmp_path)
    studies = [new_uid().encode() for _ in range(3)]
    ways = [plain_way(number, studies[number % 3]) for number in range(60)]

    def write(which: Vault, mine: list[WayBack]) -> None:
        for start in range(0, len(mine), 5):
            which.keep(mine[start : start + 5])

    threads = [
        threading.Thread(target=write, args=(which, ways[half::2]))
        for which in (vault, beside)
        for half in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert vault.store.counts() == {"patients": 0, "merged": 0, "pseudonyms": 60, "studies": 3, "uids": 63}
    beside.close()


def _write_until_killed(folder: Path, told: int) -> None:
    vault = open_vault(folder)
    while True:
        ways = [plain_way(number) for number in range(4)]
        vault.keep(ways)
        for way in ways:
            new = way.new_uid(way.study_uid)
            os.write(
                told,
                b64encode(new) + b" " + b64encode(way.study_uid) + b" " + b64encode(way.pseudonym) + b"\n",
            )


@pytest.mark.parametrize("delay", [0.05, 0.4])
def test_a_kill_loses_nothing_that_was_said_to_be_kept(tmp_path: Path, delay: float) -> None:
    reading, writing = os.pipe()
    child = multiprocessing.get_context("fork").Process(target=_write_until_killed, args=(tmp_path, writing))
    child.start()
    os.close(writing)
    first = os.read(reading, 1)
    child.join(delay)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    with os.fdopen(reading, "rb") as rest:
        lines = (first + rest.read()).split(b"\n")[:-1]
    assert lines
    vault = open_vault(tmp_path)
    for line in lines:
        new, original, pseudonym = (b64decode(one) for one in line.split())
        assert vault.original(new)[0] == original
        assert vault.release(pseudonym) is not None and vault.study(original).seen_on <= date.today()
    vault.close()


def test_a_patients_pseudonyms_are_those_that_were_given(vault: Vault, tmp_path: Path) -> None:
    secret = secrets_of(tmp_path).hospital
    ds = minimal()
    ds.PatientID, ds.IssuerOfPatientID = "1", "SITE"
    first, _ = way_of(vault, ds, secret=secret)
    second, _ = way_of(vault, ds, OTHER, secret)
    vault.keep([first, second])
    assert vault.pseudonyms(PATIENT + b"1") == [(OTHER, second.pseudonym), (HIGH, first.pseudonym)]
    assert vault.pseudonyms(PATIENT + b"2") == [] == vault.pseudonyms(b"patient\0OTHER\x001")
    # What was released under the old ID is the patient's still, whichever of the two is asked for.
    vault.merge(PATIENT + b"1", PATIENT + b"2")
    for number in (b"1", b"2"):
        assert [one for _, one in vault.pseudonyms(PATIENT + number)] == [second.pseudonym, first.pseudonym]
    # Not of this domain: what was given is not known.
    vault.keep([replace(plain_way(3), pseudonym=b"A" * 16)])
    with pytest.raises(WardlightError, match="object-damaged"):
        vault.pseudonyms(PATIENT + b"3")
