"""Keys, UIDs, pseudonyms, dates, ages: keyed, consistent, legal."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.deid import dates, uids
from wardlight.deid.keys import DeidKeys, derive, secret_from_key_file
from wardlight.dicom.uid import is_valid_uid

SECRET = bytes(range(32))


def test_derivation_is_hkdf_sha256() -> None:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = b"wardlight/v1/deid-uid\0app\0high"
    assert DeidKeys.derive(SECRET, "app", "high").uid == HKDF(SHA256(), 32, b"", info).derive(SECRET)
    assert derive(SECRET, "deid-id", b"x") != derive(SECRET, "deid-uid", b"x")


def test_keys_of_applications_and_levels_share_only_the_study_group() -> None:
    one, other, stricter = (
        DeidKeys.derive(SECRET, *c) for c in (("a", "high"), ("b", "high"), ("a", "medium"))
    )
    for name in ("uid", "patient", "identifier", "date"):
        assert len({getattr(k, name) for k in (one, other, stricter)}) == 3
    assert one.group == other.group == stricter.group
    assert SECRET.hex() not in repr(one) and one.uid.hex() not in repr(one)


def test_short_secrets_are_refused() -> None:
    with pytest.raises(ValueError):
        DeidKeys.derive(b"short", "a", "high")
    with pytest.raises(ValueError):
        secret_from_key_file(b"short")
    assert secret_from_key_file(b"x" * 32) != secret_from_key_file(b"x" * 33)


@given(st.binary(min_size=1, max_size=64).filter(lambda b: b.strip(b"\0 ")))
def test_new_uids_are_uuids_of_version_8(source: bytes) -> None:
    made = uids.new_uid(SECRET, source)
    text = made.rstrip(b"\0").decode()
    assert len(made) % 2 == 0
    if uids.WELL_KNOWN.fullmatch(source):
        return
    assert is_valid_uid(text)
    value = uuid.UUID(int=int(text.removeprefix("2.25.")))
    assert value.version == 8 and value.variant == uuid.RFC_4122
    assert made == uids.new_uid(SECRET, source) != uids.new_uid(bytes(32), source)


def test_uids_map_by_value_and_padding_does_not_count() -> None:
    assert (
        uids.map_uids(SECRET, b"1.2.3\0")
        == uids.map_uids(SECRET, b"1.2.3 ")
        == uids.map_uids(SECRET, b"1.2.3")
    )
    first, second = uids.map_uids(SECRET, b"1.2.3\\1.2.4").split(b"\\")
    assert first == uids.map_uids(SECRET, b"1.2.3").rstrip(b"\0")
    assert second.rstrip(b"\0") == uids.map_uids(SECRET, b"1.2.4").rstrip(b"\0")
    assert uids.map_uids(SECRET, b"1.2.840.10008.1.4.1.1") == b"1.2.840.10008.1.4.1.1\0"
    assert uids.map_uids(SECRET, b"") == b""


@pytest.mark.parametrize(
    "uid", [b"1.2.840.10008.1.4.1.1/../../etc", b"1.2.840.10008.1.4.99.1.2.3", b"1.2.840.10008.1.5.\xff"]
)
def test_what_only_looks_well_known_is_replaced(uid: bytes) -> None:
    assert uids.map_uids(SECRET, uid).startswith(b"2.25.")


def test_a_patient_is_issuer_and_trimmed_id() -> None:

    def pseudonym(*who: bytes) -> bytes:
        return uids.identifier(SECRET, uids.patient_of(*who))

    same = {pseudonym(issuer, pid, b"1.2") for issuer, pid in ((b"A", b"77"), (b"A ", b" 77 "))}
    assert len(same) == 1
    assert pseudonym(b"B", b"77", b"1.2") not in same
    assert pseudonym(b"", b"", b"1.2") != pseudonym(b"", b"", b"1.3")
    assert all(len(p) == 16 and p.isalnum() for p in same)


@given(st.dates(min_value=__import__("datetime").date(1900, 1, 1)), st.integers(1, 3650))
def test_intervals_survive(day: object, days: int) -> None:
    import datetime

    assert isinstance(day, datetime.date)
    value = day.strftime("%Y%m%d").encode()
    moved = dates.shift_dates(value, days)
    assert moved is not None
    back = datetime.datetime.strptime(moved.decode(), "%Y%m%d").date()
    assert (day - back).days == days


def test_offsets_are_one_to_3650_days() -> None:
    offsets = {dates.offset_days(SECRET, b"%d" % n) for n in range(500)}
    assert min(offsets) >= 1 and max(offsets) <= 3650 and len(offsets) > 400


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        (b"20240301", b"20240229"),
        (b"20240301\\20240101", b"20240229\\20231231"),
        (b"2024.03.01", b"20240229"),
        (b"20240229 ", b"20240228"),
        (b"", b""),
        (b"20240230", None),
        (b"unknown", None),
        (b"20240101-20240202", None),
    ],
)
def test_dates(value: bytes, moved: bytes | None) -> None:
    assert dates.shift_dates(value, 1) == moved


@pytest.mark.parametrize(
    ("value", "kept", "dropped"),
    [
        (b"20240301101112.123456+0100", b"20240229101112.123456+0100", b"20240229"),
        (b"202403", b"202402", b"202402"),
        (b"2024", b"2023", b"2023"),
        (b"2024030110", b"2024022910", b"20240229"),
        (b"yesterday", None, None),
    ],
)
def test_datetimes(value: bytes, kept: bytes | None, dropped: bytes | None) -> None:
    assert dates.shift_datetimes(value, 1, True) == kept
    assert dates.shift_datetimes(value, 1, False) == dropped


@pytest.mark.parametrize(
    ("value", "banded", "plain"),
    [
        (b"047Y", b"045Y", b"047Y"), (b"089Y", b"085Y", b"089Y"), (b"090Y", b"090Y", b"090Y"),
        (b"104Y", b"090Y", b"090Y"),
        (b"011M", b"000Y", b"011M"), (b"003D", b"000Y", b"003D"), (b"99999", None, None), (b"900W", b"015Y", b"900W"),
    ],
)  # fmt: skip
def test_ages(value: bytes, banded: bytes | None, plain: bytes | None) -> None:
    assert dates.coarse_age(value, True) == banded
    assert dates.coarse_age(value, False) == plain


def test_times() -> None:
    assert (
        dates.is_time(b"101112.5")
        and dates.is_time(b"10:11:12")
        and dates.is_time(b"1011 ")
        and dates.is_time(b"")
    )
    assert not dates.is_time(b"JOHN") and not dates.is_time(b"1011121314151617")
