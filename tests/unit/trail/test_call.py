"""Bodies of the trail's API: one JSON object, nothing that two readers could read in two ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.errors import WardlightError
from wardlight.trail.call import MAX_DEPTH, parse_body


def test_an_object():
    assert parse_body('{"identifiers": [{"id": "Müller"}]}'.encode()) == {"identifiers": [{"id": "Müller"}]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"1",
        b"{",
        b'{"a": 1, "a": 1}',
        b'{"b": {"a": 1, "a": 2}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": "\xff"}',
        b"\xff\xfe{\x00}\x00",
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_anything_else_is_refused(body):
    with pytest.raises(WardlightError, match="bad-request"):
        parse_body(body)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(body):
    try:
        assert isinstance(parse_body(body), dict)
    except WardlightError as error:
        assert error.code == "bad-request"
