"""One label, one meaning: no value twice, and no label spelt outside the constants module."""

import re
from pathlib import Path

import wardlight
from wardlight.keys.labels import Label, bind

SOURCE = Path(wardlight.__file__).parent
# The pure package repeats its own five labels, since it imports nothing of the rest (architecture.md).
EXEMPT = ("keys/labels.py", "deid/")


def test_no_label_twice() -> None:
    assert len({label.value for label in Label}) == len(Label.__members__)


def test_no_label_is_the_beginning_of_another() -> None:
    bound = [bind(label) for label in Label]
    assert not [1 for a in bound for b in bound if a is not b and b.startswith(a)]


def test_no_other_module_spells_a_label() -> None:
    offenders = [
        name
        for file in SOURCE.rglob("*.py")
        if not (name := file.relative_to(SOURCE).as_posix()).startswith(EXEMPT)
        and re.search(r"b[\"']wardlight/v1/", file.read_text("utf-8"))
    ]
    assert offenders == []


def test_context_follows_a_zero() -> None:
    assert bind(Label.UID, b"\x00\x01") == b"wardlight/v1/uid\x00\x00\x01"
