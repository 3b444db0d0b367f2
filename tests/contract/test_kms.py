"""The contract of every KMS adapter."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wardlight.errors import WardlightError
from wardlight.keys.kms import KeyringKms, Kms, PassphraseKms

KEY = bytes(range(32))


@pytest.fixture(params=["keyring", "passphrase"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Kms]:
    file = tmp_path / "root" / "root.key"
    return (
        (lambda: KeyringKms(file))
        if request.param == "keyring"
        else (lambda: PassphraseKms(file, "correct horse"))
    )


def test_round_trip_over_restarts(reopen: Callable[[], Kms]) -> None:
    blob = reopen().wrap("institution-1", b"aad", KEY)
    assert KEY not in blob
    assert reopen().unwrap("institution-1", b"aad", blob) == KEY


def test_each_wrap_differs(reopen: Callable[[], Kms]) -> None:
    kms = reopen()
    assert len({kms.wrap("n", b"a", KEY) for _ in range(20)}) == 20


def test_bound_to_name_and_data(reopen: Callable[[], Kms]) -> None:
    kms = reopen()
    blob = kms.wrap("name", b"aad", KEY)
    for name, aad in (("other", b"aad"), ("name", b"other"), ("namea", b"ad"), ("nam", b"eaad")):
        with pytest.raises(WardlightError, match="wrong-key"):
            kms.unwrap(name, aad, blob)


def test_altered_or_cut_blob(reopen: Callable[[], Kms]) -> None:
    kms = reopen()
    blob = kms.wrap("name", b"aad", KEY)
    for bit in range(len(blob) * 8):
        altered = bytearray(blob)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WardlightError, match="wrong-key"):
            kms.unwrap("name", b"aad", bytes(altered))
    for length in range(len(blob)):
        with pytest.raises(WardlightError, match="wrong-key"):
            kms.unwrap("name", b"aad", blob[:length])


def test_root_file_is_private(reopen: Callable[[], Kms], tmp_path: Path) -> None:
    reopen()
    file = tmp_path / "root" / "root.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert [*file.parent.iterdir()] == [file]
    file.chmod(0o640)
    with pytest.raises(WardlightError, match="settings-unsafe"):
        reopen()
    file.chmod(0o600)
    file.write_bytes(b"short")
    with pytest.raises(WardlightError, match="settings-unsafe"):
        reopen()


def test_other_root_does_not_open(tmp_path: Path) -> None:
    blob = KeyringKms(tmp_path / "a" / "root.key").wrap("n", b"", KEY)
    with pytest.raises(WardlightError, match="wrong-key"):
        KeyringKms(tmp_path / "b" / "root.key").unwrap("n", b"", blob)


def test_passphrase(tmp_path: Path) -> None:
    file = tmp_path / "root.key"
    PassphraseKms(file, "one")
    with pytest.raises(WardlightError, match="wrong-key"):
        PassphraseKms(file, "two")
    file.write_bytes(b"XXXXX" + file.read_bytes()[5:])
    with pytest.raises(WardlightError, match="wrong-key"):
        PassphraseKms(file, "one")
