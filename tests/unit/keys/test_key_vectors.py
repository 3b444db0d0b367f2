"""The vectors of security.md §2–§4 and §6 for keys, by the product and by a second implementation on bare HMAC."""

import hashlib
import hmac
import os
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from wardlight.errors import WardlightError
from wardlight.keys.attributes import RowLevel, UidTokens, uid_token
from wardlight.keys.derive import derive
from wardlight.keys.labels import Label
from wardlight.keys.wrap import KeyKind, epoch_of, unwrap, wrap

SK = bytes(range(32))
BIK = bytes(range(0x40, 0x60))
IEK = bytes(range(0xA0, 0xB0)) * 2
INSTITUTION = UUID("00000000-0000-4000-8000-0000000000aa")
KEY_ID = UUID("00000000-0000-4000-8000-000000000001")
GRANT = UUID("00000000-0000-0000-0000-000000000099")
WRAPPED = bytes.fromhex(
    "010000000701000102030405060708090a0b30b9a7a576de20cf5d23ed77851f535571dbd010d3474c74ba57afbc5144"
    "9c9341c8471c6d2a2b220a7a17b7ff4f77c6"
)


def hkdf(ikm: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 written out."""
    prk = hmac.new(salt or bytes(32), ikm, hashlib.sha256).digest()
    block, out, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        out, counter = out + block, counter + 1
    return out[:length]


def test_attribute_and_url_key_vectors() -> None:
    attribute = "46c21867ab4f14d6b814888252808039cb849313b6dcef450615eb803a95da93"
    url = "657f1c2c658236df3f10c895dcf8341ce9f771f0d7098eeb823bb16f40eeca78"
    assert derive(SK, Label.ATTRIBUTE).hex() == attribute
    assert hkdf(SK, b"", b"wardlight/v1/attribute\0", 32).hex() == attribute
    assert derive(SK, Label.URL, GRANT.bytes).hex() == url
    assert hkdf(SK, b"", b"wardlight/v1/url\0" + GRANT.bytes, 32).hex() == url


def test_pre_authorised_url_vector() -> None:
    import base64

    path = b"/dicom-web/p/00000000000000000000000000000099/instance/00000000-0000-4000-8000-000000000001"
    message = b"wardlight/v1/url\0GET\0" + path + b"\0" + b"1800000000" + b"\0"
    mac = hmac.digest(derive(SK, Label.URL, GRANT.bytes), message, "sha256")
    assert base64.urlsafe_b64encode(mac[:24]) == b"qQlQR3Cm4lRC3XW6YiBNu1Nvm57DH5Dg"


def test_uid_token_vector() -> None:
    assert uid_token(BIK, 1, 1, "1.2.840.113619.2.1").hex() == "503d44e1a6fa820531068a4a8af0f21b"
    key = hkdf(BIK, b"", b"wardlight/v1/uid\0\0\1", 32)
    assert hmac.new(key, b"\x011.2.840.113619.2.1", hashlib.sha256).digest()[:16].hex() == (
        "503d44e1a6fa820531068a4a8af0f21b"
    )


def test_posting_label_vector() -> None:
    key = derive(BIK, Label.POSTING_LABEL, (1).to_bytes(2, "big"))
    assert (
        hmac.digest(key, b"\x03smi\x00" + bytes(4), "sha256")[:16].hex() == "a512ce775fcb0bf73c47b3ef437da01e"
    )


def test_tokens_differ_by_level_generation_and_key() -> None:
    uid = "1.2.3"
    tokens = {
        uid_token(bik, generation, level, uid)
        for bik in (BIK, SK)
        for generation in (1, 2)
        for level in RowLevel
    }
    assert len(tokens) == 12
    assert UidTokens(BIK, 1).token(RowLevel.STUDY, uid) == uid_token(BIK, 1, RowLevel.STUDY, uid)


def test_wrap_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", lambda n: bytes(range(n)))
    assert wrap(IEK, INSTITUTION, 7, KeyKind.STUDY, KEY_ID, SK) == WRAPPED
    associated = b"wardlight/v1/wrap\0" + INSTITUTION.bytes + b"\0\0\0\x07\x01" + KEY_ID.bytes
    assert AESGCM(IEK).encrypt(bytes(range(12)), SK, associated) == WRAPPED[18:]
    assert unwrap(IEK, INSTITUTION, KEY_ID, WRAPPED) == SK
    assert epoch_of(WRAPPED) == 7


@pytest.mark.parametrize("bit", range(66 * 8))
def test_wrap_refuses_each_flipped_bit(bit: int) -> None:
    blob = bytearray(WRAPPED)
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WardlightError) as caught:
        unwrap(IEK, INSTITUTION, KEY_ID, bytes(blob))
    assert caught.value.code == "wrong-key"


def test_wrap_is_bound_to_its_place() -> None:
    other = UUID(int=7)
    for iek, institution, key_id in (
        (SK, INSTITUTION, KEY_ID),
        (IEK, other, KEY_ID),
        (IEK, INSTITUTION, other),
    ):
        with pytest.raises(WardlightError, match="wrong-key"):
            unwrap(iek, institution, key_id, WRAPPED)
    for length in range(66):
        with pytest.raises(WardlightError, match="wrong-key"):
            unwrap(IEK, INSTITUTION, KEY_ID, WRAPPED[:length])
    with pytest.raises(WardlightError, match="wrong-key"):
        epoch_of(b"\x02" + WRAPPED[1:])
    with pytest.raises(ValueError):
        wrap(IEK, INSTITUTION, 1, KeyKind.STUDY, KEY_ID, b"short")


@given(
    st.binary(min_size=32, max_size=32),
    st.sampled_from(list(Label)),
    st.binary(max_size=60),
    st.binary(max_size=40),
)
def test_derive_equals_second_implementation(ikm: bytes, label: Label, context: bytes, salt: bytes) -> None:
    info = b"wardlight/v1/" + label.value.encode() + b"\0" + context
    assert derive(ikm, label, context, salt=salt, length=64) == hkdf(ikm, salt, info, 64)
