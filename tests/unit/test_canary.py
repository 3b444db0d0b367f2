"""The search that privacy tests rest on finds what is there."""

from __future__ import annotations

import base64
import os

from canary import Canaries


def test_finds_each_encoding_at_any_place():
    canaries = Canaries(["Müller^Hans", "PID00007936", "ab"])
    assert canaries.count == 2
    for value in ("Müller^Hans", "PID00007936"):
        plain = value.encode()
        for form in (
            plain,
            value.encode("latin-1"),
            value.encode("utf-16-le"),
            value.encode("utf-16-be"),
            plain.hex().encode(),
            base64.b64encode(b"x" + plain + b"yz"),
            base64.b64encode(b"xy" + plain + b"yz"),
            base64.b64encode(plain + b"yz"),
        ):
            assert canaries.find(os.urandom(1001) + form + os.urandom(77)) == {value}


def test_finds_across_the_border_of_two_blocks():
    canaries = Canaries(["PID00007936"])
    assert canaries.find(bytes((8 << 20) - 4) + b"PID00007936") == {"PID00007936"}


def test_random_bytes_hold_nothing():
    assert Canaries(["Müller^Hans", "19560724"]).find(os.urandom(4 << 20)) == set()


def test_searches_files_and_names(tmp_path):
    (tmp_path / "PID00007936").mkdir()
    (tmp_path / "PID00007936" / "x").write_bytes(b"-Hannelore-")
    found = Canaries(["PID00007936", "Hannelore"]).search(tmp_path)
    assert found["PID00007936"] == {"PID00007936"}
    assert found["PID00007936/x"] == {"PID00007936", "Hannelore"}
