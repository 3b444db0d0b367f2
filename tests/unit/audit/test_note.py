"""Notes against the vectors of the format and the published example; nothing but the one form is read."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

import audit_vectors as vectors
from wardlight.audit.note import LOG, WITNESS, Note, VerifierKey, body, cosign, parse_signature, sign

LOG_KEY = VerifierKey.parse(vectors.LOG_VKEY)
WITNESS_KEY = VerifierKey.parse(vectors.WITNESS_VKEY)


def test_keys_of_the_vectors() -> None:
    assert VerifierKey.of(vectors.ORIGIN, vectors.LOG_SEED) == LOG_KEY
    assert VerifierKey.of(vectors.WITNESS, vectors.WITNESS_SEED, WITNESS) == WITNESS_KEY
    assert (LOG_KEY.text, WITNESS_KEY.text) == (vectors.LOG_VKEY, vectors.WITNESS_VKEY)
    assert (LOG_KEY.kind, WITNESS_KEY.kind) == (LOG, WITNESS)


@pytest.mark.parametrize(("size", "note"), [(3, vectors.CHECKPOINT_3), (5, vectors.CHECKPOINT_5)])
def test_checkpoints_of_the_vectors_byte_for_byte(size: int, note: str) -> None:
    text = body(vectors.ORIGIN, size, base64.b64decode(vectors.ROOTS[size]))
    made = f"{text}\n{sign(vectors.ORIGIN, vectors.LOG_SEED, text)}"
    if size == 5:
        made += cosign(vectors.WITNESS, vectors.WITNESS_SEED, text, vectors.COSIGNED)
    assert made == note
    parsed = Note.parse(note)
    assert (parsed.origin, parsed.size) == (vectors.ORIGIN, size)
    assert parsed.root == base64.b64decode(vectors.ROOTS[size])
    assert parsed.body == text
    assert parsed.signed_by(LOG_KEY) is True
    assert parsed.signed_by(WITNESS_KEY) is (True if size == 5 else None)


def test_the_published_example() -> None:
    """The note with which c2sp.org/signed-note and Go's sumdb/note show the format; its text is no checkpoint."""
    key = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )
    found = parse_signature(
        "— PeterNeumann "
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    assert (found.name, found.key_id) == (key.name, key.key_id)
    assert key.verify(text, found.data)
    assert not key.verify(text + "\n", found.data)
    with pytest.raises(ValueError, match="checkpoint"):
        Note.parse(f"{text}\n— PeterNeumann {base64.b64encode(found.key_id + found.data).decode()}\n")


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note[:-1],
        lambda note: note + "\n",
        lambda note: note.replace("\n\n", "\n"),
        lambda note: note.replace("\n5\n", "\n05\n"),
        lambda note: note.replace("\n5\n", "\n-5\n"),
        lambda note: note.replace("\n5\n", "\n٥\n"),
        lambda note: note.replace("\n5\n", "\n99999999999999999999\n"),
        lambda note: note.replace("=\n\n", "\n\n"),
        lambda note: note.replace("0kGk=\n\n", "0kGl=\n\n"),
        lambda note: note.replace("\n\n", "\nextension\n\n"),
        lambda note: note.replace("— ", "- ", 1),
        lambda note: note.replace("— ", "—  ", 1),
        lambda note: note.replace("wardlight.example", "wardlight example", 1),
        lambda note: note + note.splitlines(keepends=True)[-1] * 15,
        lambda note: note + "— name AAAA\n",
        lambda note: note.replace("\n", "\r\n"),
        lambda note: "",
    ],
)
def test_any_other_form_is_refused(change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError):
        Note.parse(change(vectors.CHECKPOINT_5))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        vectors.LOG_VKEY.replace("5e0a1198", "5e0a1199"),
        vectors.LOG_VKEY.replace("5e0a1198", "5E0A1198"),
        vectors.LOG_VKEY.replace("wardlight.example", "wardlight.example2"),
        vectors.LOG_VKEY + "=",
        vectors.LOG_VKEY[:-4],
        vectors.LOG_VKEY.replace("+AQ", "+Ag"),
        " " + vectors.LOG_VKEY,
    ],
)
def test_what_is_no_verifier_key(text: str) -> None:
    with pytest.raises(ValueError):
        VerifierKey.parse(text)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**53), st.binary(min_size=32, max_size=32))
def test_what_is_signed_is_read_and_nothing_else(seed: bytes, size: int, root: bytes) -> None:
    text = body("a.example/audit/b/1", size, root)
    note = f"{text}\n{sign('a.example/audit/b/1', seed, text)}{cosign('w', seed, text, size)}"
    key = VerifierKey.of("a.example/audit/b/1", seed)
    parsed = Note.parse(note)
    assert (parsed.size, parsed.root) == (size, root)
    assert parsed.signed_by(key) and parsed.signed_by(VerifierKey.of("w", seed, WITNESS))
    other = Note.parse(note.replace(f"\n{size}\n", f"\n{size + 1}\n", 1))
    assert other.signed_by(key) is False
    assert other.signed_by(VerifierKey.of("w", seed, WITNESS)) is False
    # One key under the other's kind or name is another key.
    assert parsed.signed_by(VerifierKey.of("w", seed, LOG)) is None


def test_one_bad_signature_of_a_key_among_good_ones_is_bad() -> None:
    good = vectors.CHECKPOINT_3
    with_both = Note.parse(good + sign(vectors.ORIGIN, vectors.LOG_SEED, "other"))
    assert with_both.signed_by(LOG_KEY) is False
