"""Entity tags, preconditions and byte ranges as RFC 9110 sections 8.8.3, 13 and 14 have them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.dicomweb.call import Answer
from wardlight.dicomweb.conditional import MOST_RANGES, Conditions, apply, entity_tag, ranges
from wardlight.errors import WardlightError

BODY = bytes(range(256)) * 4
TAG = entity_tag("instance", 1)


def answer(body=BODY, content_type="application/dicom", etag=TAG, **more) -> Answer:
    return Answer(body, content_type, etag=etag, **more)


def never() -> Iterator[bytes]:
    raise AssertionError("the body was begun")
    yield b""


def sent(given: Answer) -> bytes:
    return given.body if isinstance(given.body, bytes) else b"".join(given.body)


def test_a_tag_is_of_all_its_parts() -> None:
    tags = {entity_tag("a", 1), entity_tag("a", 2), entity_tag("a1"), entity_tag("a", "1"), entity_tag()}
    assert len(tags) == 5 and all(len(tag) == 32 and tag.isalnum() for tag in tags)


def test_validators_of_a_whole_answer() -> None:
    whole = apply(answer(), Conditions(), "GET")
    assert (whole.status, whole.headers) == (200, {"ETag": f'"{TAG}"', "Accept-Ranges": "bytes"})
    related = apply(answer(content_type="multipart/related; boundary=b"), Conditions(), "GET")
    assert related.headers == {"ETag": f'W/"{TAG}"'}  # its boundary is another one each time
    assert apply(answer(etag=""), Conditions(), "GET").headers == {}
    assert apply(answer(iter([BODY])), Conditions(range="bytes=0-1"), "GET").status == 200
    failed = answer(status=202)
    assert apply(failed, Conditions(if_none_match="*", range="bytes=0-1"), "GET") is failed


@pytest.mark.parametrize(
    ("field", "status"),
    [
        (f'"{TAG}"', 304),
        (f'W/"{TAG}"', 304),
        ("*", 304),
        (f'"x", "a,b" , W/"{TAG}"', 304),
        ('"x"', 200),
        (TAG, 200),
        (f'"x{TAG}"', 200),
        ('"', 200),
        (",,,", 200),
    ],
)
def test_if_none_match(field: str, status: int) -> None:
    for method in ("GET", "HEAD"):
        given = apply(answer(never()), Conditions(if_none_match=field), method)
        assert given.status == status
        assert given.headers["ETag"] == f'"{TAG}"'
        if status == 304:
            assert (given.body, given.content_type) == (b"", "")


@pytest.mark.parametrize(
    ("field", "fails"),
    [
        (f'"{TAG}"', False),
        ("*", False),
        (f'"x","{TAG}"', False),
        (f'W/"{TAG}"', True),
        ('"x"', True),
        ("x", True),
    ],
)
def test_if_match_is_strong(field: str, fails: bool) -> None:
    if fails:
        with pytest.raises(WardlightError) as error:
            apply(answer(never()), Conditions(if_match=field, if_none_match="*"), "GET")
        assert (error.value.code, error.value.kind.http) == ("precondition-failed", 412)
    else:
        assert apply(answer(), Conditions(if_match=field), "GET").status == 200


def test_one_range() -> None:
    for field, start, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, 1024),
        ("bytes=1000-99999", 1000, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=-9999", 0, 1024),
        ("BYTES = 5-9 ", 5, 10),
        ("bytes=5-9,", 5, 10),
        ("bytes=5-9,8-20,30-31", 5, 32),  # overlapping and near ones are joined
    ):
        given = apply(answer(), Conditions(range=field), "GET")
        assert given.status == 206, field
        assert given.headers["Content-Range"] == f"bytes {start}-{end - 1}/1024"
        assert (sent(given), given.length, given.content_type) == (
            BODY[start:end], end - start, "application/dicom",
        )  # fmt: skip


@pytest.mark.parametrize(
    "field",
    [
        "",
        "bytes",
        "lines=0-1",
        "bytes=",
        "bytes=,",
        "bytes=a-b",
        "bytes=5-4",
        "bytes=--1",
        "bytes=0-1;2-3",
        "bytes=-",
    ],
)
def test_a_field_that_is_not_understood_is_ignored(field: str) -> None:
    assert apply(answer(), Conditions(range=field), "GET").status == 200


@pytest.mark.parametrize(
    "field", ["bytes=1024-", "bytes=9999-99999", "bytes=-0", "bytes=" + ",".join(["0-1"] * (MOST_RANGES + 1))]
)
def test_ranges_that_cannot_be_given(field: str) -> None:
    with pytest.raises(WardlightError) as error:
        apply(answer(), Conditions(range=field), "GET")
    assert error.value.code == "range-not-satisfiable"
    assert error.value.headers == {"Content-Range": "bytes */1024"}


def test_several_ranges_are_multipart() -> None:
    """Checked by the parser of e-mail, whose grammar it is (RFC 2046)."""
    given = apply(answer(), Conditions(range="bytes=900-903, 0-3, -2"), "GET")
    body = sent(given)
    assert given.length == len(body)
    message = BytesParser().parsebytes(b"Content-Type: " + given.content_type.encode() + b"\r\n\r\n" + body)
    assert message.get_content_type() == "multipart/byteranges"
    found = [(part["Content-Range"], part["Content-Type"]) for part in message.get_payload()]
    assert found == [
        (f"bytes {start}-{end}/1024", "application/dicom")
        for start, end in ((0, 3), (900, 903), (1022, 1023))
    ]
    assert BODY[900:904] in body


def test_if_range_and_head() -> None:
    first = "bytes=0-1"
    assert apply(answer(), Conditions(range=first, if_range=f'"{TAG}"'), "GET").status == 206
    for other in ('"x"', f'W/"{TAG}"', "Tue, 24 Nov 2026 07:00:00 GMT"):
        assert apply(answer(), Conditions(range=first, if_range=other), "GET").status == 200
    assert apply(answer(), Conditions(range=first), "HEAD").status == 200
    assert apply(answer(), Conditions(range=first, if_none_match=f'"{TAG}"'), "GET").status == 304


def test_a_body_is_read_only_where_it_is_asked_for() -> None:
    asked = []

    def read(start: int, end: int) -> Iterator[bytes]:
        asked.append((start, end))
        yield BODY[start:end]

    given = apply(answer(read, length=len(BODY)), Conditions(range="bytes=5-6"), "GET")
    assert (sent(given), asked) == (BODY[5:7], [(5, 7)])


@given(st.text(alphabet="bytes=0123456789-, \t", max_size=40), st.integers(0, 50))
def test_whatever_is_asked_the_ranges_lie_within(field: str, length: int) -> None:
    try:
        found = ranges(field, length)
    except WardlightError as error:
        assert error.code == "range-not-satisfiable"
        return
    if found is not None:
        assert found and all(0 <= start < end <= length for start, end in found)
        assert all(end < start for (_, end), (start, _) in itertools.pairwise(found))
