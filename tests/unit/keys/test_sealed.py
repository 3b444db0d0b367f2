"""`Sealed` shows its class only, whichever way it is printed, and is not copied out by accident."""

import copy
import json
import pickle
import sqlite3
import traceback

import pytest

from wardlight.classification.model import DataClass
from wardlight.keys.sealed import Sealed

SECRET = "Müller^Änne"
VALUE = Sealed(SECRET, DataClass.PERSONAL, "patient-name")


def test_shows_its_tag() -> None:
    shown = [
        str(VALUE),
        repr(VALUE),
        f"{VALUE}",
        f"{VALUE:>40}",
        f"{VALUE!r}",
        "%s" % VALUE,  # noqa: UP031 - one of the ways it may be printed
        "{}".format(VALUE),  # noqa: UP032 - another
    ]
    assert set(shown) == {"<patient-name>"}
    assert repr([VALUE, {"a": VALUE}]) == "[<patient-name>, {'a': <patient-name>}]"
    assert str(Sealed(b"k", DataClass.SECRET)) == "<secrets>"


def test_exception_text() -> None:
    try:
        raise RuntimeError(VALUE)
    except RuntimeError:
        assert SECRET not in traceback.format_exc()


@pytest.mark.parametrize(
    "use", [json.dumps, pickle.dumps, copy.copy, copy.deepcopy, bytes, list, lambda value: [*value]]
)
def test_copies_raise(use: object) -> None:
    with pytest.raises(TypeError) as caught:
        use(VALUE)  # type: ignore[operator]
    assert SECRET not in str(caught.value)


def test_database_bind_raises() -> None:
    with pytest.raises(sqlite3.Error) as caught:
        sqlite3.connect(":memory:").execute("SELECT ?", (VALUE,))
    assert SECRET not in str(caught.value)


def test_no_attribute_gives_it() -> None:
    with pytest.raises(AttributeError):
        _ = VALUE.__dict__
    with pytest.raises(AttributeError):
        _ = VALUE.value  # type: ignore[attr-defined]


def test_reveal_needs_a_purpose() -> None:
    assert VALUE.reveal("seal into the index") == SECRET
    with pytest.raises(ValueError):
        VALUE.reveal("")


def test_equality_is_identity() -> None:
    assert VALUE == VALUE
    assert Sealed(SECRET, DataClass.PERSONAL) != Sealed(SECRET, DataClass.PERSONAL)
