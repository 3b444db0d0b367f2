"""Sealed attributes: second implementation, padding, and blobs in other rows."""

import json
import os
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from wardlight.errors import WardlightError
from wardlight.keys.attributes import AttributeKey, RowLevel, seal, unseal
from wardlight.keys.derive import derive
from wardlight.keys.labels import Label

SK = bytes(range(32))
PLACE = (UUID(int=1), UUID(int=2), RowLevel.SERIES, UUID(int=3), 1)
OBJECT = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Änne"}]}}


def second_unseal(sk: bytes, place: tuple[UUID, UUID, int, UUID, int], blob: bytes) -> tuple[bytes, int]:
    institution, study, level, row, schema = place
    associated = (
        b"wardlight/v1/attr\0"
        + institution.bytes
        + study.bytes
        + bytes([level])
        + row.bytes
        + schema.to_bytes(2, "big")
    )
    assert blob[0] == 1
    padded = AESGCM(derive(sk, Label.ATTRIBUTE)).decrypt(blob[1:13], blob[13:], associated)
    text = padded.rstrip(b"\0")
    assert text[-1] == 0x80
    return text[:-1], len(padded)


def test_second_implementation_opens_it() -> None:
    text, padded = second_unseal(SK, PLACE, seal(SK, *PLACE, OBJECT))
    assert json.loads(text) == OBJECT
    assert padded == 128


JSON = st.dictionaries(
    st.text(max_size=8),
    st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner), max_leaves=5),
)


@given(JSON)
def test_round_trip_and_length(attributes: dict[str, object]) -> None:
    blob = seal(SK, *PLACE, attributes)
    assert unseal(SK, *PLACE, blob) == attributes
    assert (len(blob) - 29) % 128 == 0


def test_lengths_of_names_do_not_show() -> None:
    lengths = {len(seal(SK, *PLACE, {"name": "x" * n})) for n in range(100)}
    assert lengths == {29 + 128}


def test_each_seal_takes_a_new_nonce() -> None:
    key = AttributeKey(SK)
    assert len({key.seal(*PLACE, OBJECT)[:13] for _ in range(50)}) == 50


def test_refused_elsewhere() -> None:
    blob = seal(SK, *PLACE, OBJECT)
    others = (UUID(int=9), UUID(int=9), RowLevel.STUDY, UUID(int=9), 2)
    for index, other in enumerate(others):
        moved = [*PLACE]
        moved[index] = other
        with pytest.raises(WardlightError, match="object-damaged"):
            unseal(SK, *moved, blob)  # type: ignore[arg-type]
    with pytest.raises(WardlightError, match="object-damaged"):
        unseal(os.urandom(32), *PLACE, blob)


def test_altered_or_cut() -> None:
    blob = seal(SK, *PLACE, OBJECT)
    for bit in range(len(blob) * 8):
        altered = bytearray(blob)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WardlightError, match="object-damaged"):
            unseal(SK, *PLACE, bytes(altered))
    for length in range(len(blob)):
        with pytest.raises(WardlightError, match="object-damaged"):
            unseal(SK, *PLACE, blob[:length])


def test_lone_surrogates_survive() -> None:
    assert unseal(SK, *PLACE, seal(SK, *PLACE, {"a": "\ud800"})) == {"a": "\ud800"}
