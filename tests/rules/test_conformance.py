"""docs/reference/conformance.md is true: what it lists is exactly what the code has, and each test it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from unit.web.fakes import make
from wardlight.archive import search
from wardlight.archive.attributes import (
    INSTANCE_DEFAULT,
    INSTANCE_TAGS,
    MODALITIES_IN_STUDY,
    SERIES_DEFAULT,
    SERIES_TAGS,
    STUDY_DEFAULT,
    STUDY_TAGS,
)
from wardlight.decoding.model import COMPRESSED, ENCAPSULATED_NATIVE, ENCODED, LARGEST_FRAME
from wardlight.dicom.dictionary import keyword_of, vr_of
from wardlight.dicom.dimse.acceptor import Limits
from wardlight.dicom.dimse.items import UserInformation
from wardlight.dicom.dimse.negotiation import negotiate
from wardlight.dicom.dimse.pdu import AssociateRequest, ProposedContext
from wardlight.dicom.related import RELATED_LIMITS
from wardlight.dicom.transfer_syntax import TRANSFER_SYNTAXES
from wardlight.errors import CATALOGUE
from wardlight.ingest import metadata
from wardlight.settings import ReceiverSettings, WebSettings
from wardlight.web.app import create_app
from wardlight.web.middleware import QUERY_BYTES

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "reference" / "conformance.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
DOCUMENT = TestClient(create_app(make().services)).get("/api/openapi.json").json()
#: (method, path, transaction, status codes); HEAD is in GET's line. What is no DICOM has pages of its own.
OPERATIONS = [
    (method.upper(), path, operation["summary"], set(operation["responses"]))
    for path, entry in DOCUMENT["paths"].items()
    if not path.startswith(("/api/v1/", "/oauth2/", "/.well-known/", "/signin", "/federation"))
    for method, operation in entry.items()
    if method not in ("parameters", "head")
]
CT = "1.2.840.10008.5.1.4.1.1.2"


def tables() -> list[tuple[list[str], list[list[str]]]]:
    """Head and rows of each table of the page."""
    found: list[tuple[list[str], list[list[str]]]] = []
    lines = PAGE.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("|---"):
            rows = []
            for row in lines[number + 1 :]:
                if not row.startswith("|"):
                    break
                rows.append(_cells(row))
            found.append((_cells(lines[number - 1]), rows))
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


TABLES = tables()
ROWS = [(head, row) for head, rows in TABLES for row in rows]


def table(*head: str) -> list[list[str]]:
    (rows,) = [rows for found, rows in TABLES if found[: len(head)] == list(head)]
    return rows


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall(PAGE)
    assert PAGE.count("::") == len(named) > 300
    for file, name in named:
        assert (ROOT / file).is_file(), file
        assert name.startswith("test_") and name in functions(file), f"{file}::{name}"


def test_every_statement_is_shown_or_says_that_it_is_not() -> None:
    for head, row in ROWS:
        assert len(row) == len(head), row
        if head[-1] == "shown by":
            assert NAMED.search(row[-1]) or row[-1].startswith("not tested"), row
    # Tables without the column have their tests in the sentences above them.
    assert {head[-1] for head, _ in ROWS} == {"shown by", "returned", "given on request"}


def test_every_route_has_its_line() -> None:
    listed = [(row[0], row[1].strip("`"), row[2]) for row in table("method", "path")]
    assert sorted(listed) == sorted(operation[:3] for operation in OPERATIONS)


def test_status_codes_are_those_of_openapi() -> None:
    declared: dict[str, set[str]] = {}
    for _, _, transaction, statuses in OPERATIONS:
        declared.setdefault(transaction, set()).update(statuses)
    listed = {row[0]: (row[1].split(", "), row[2].split(", ")) for row in table("transaction", "success")}
    assert {name: set(good + bad) for name, (good, bad) in listed.items()} == declared
    assert all(code < "400" for good, _ in listed.values() for code in good)
    assert all(code >= "400" for _, bad in listed.values() for code in bad)
    explained = {row[0] for row in table("code", "when")}
    assert explained == set.union(*declared.values()) | {"405"}


def test_failure_reasons_are_those_of_the_catalogue() -> None:
    known = {f"{kind.dicom:04X}H" for kind in CATALOGUE.values()}
    assert {row[0] for row in table("failure reason (0008,1197)")} <= known
    # What the association itself answers stands in `dicom.dimse.command`, not in the catalogue.
    assert {row[0] for row in table("status", "when")} <= known | {"0000H", "0117H", "0211H"}


@pytest.mark.parametrize(
    ("level", "matched", "returned"),
    [
        ("Study", STUDY_TAGS | {MODALITIES_IN_STUDY}, STUDY_DEFAULT),
        # What is said in the sentence above the tables, not in each of them.
        ("Series", SERIES_TAGS, SERIES_DEFAULT - {0x00080201}),
        ("Instance", INSTANCE_TAGS, INSTANCE_DEFAULT - {0x00080201, 0x00080056}),
    ],
)
def test_keys_and_columns_are_those_of_the_index(
    level: str, matched: frozenset[int], returned: frozenset[int]
) -> None:
    section = PAGE.split(f"\n{level}:\n\n")[1].split("\n\n")[0]
    rows = [_cells(line) for line in section.splitlines()[2:]]
    tags = {int(row[1][1:5] + row[1][6:10], 16): row for row in rows}
    assert set(tags) == matched | returned
    kinds = {"DA": "range", "TM": "range", "DT": "range", "UI": "UID list", "PN": "name", "IS": "number"}
    kinds |= {"DS": "number", "US": "number", "SQ": "no"}
    for tag, (keyword, _, vr, matching, column) in tags.items():
        assert keyword == keyword_of(tag)
        assert vr == (vr_of(tag).decode() or vr)
        assert column == ("always" if tag in returned else "on request")
        if tag == 0x00400275:
            assert "(0040,0009)" in matching and "(0040,1001)" in matching
        else:
            assert matching == (kinds.get(vr, "wildcard") if tag in matched else "no"), keyword


def test_transfer_syntaxes_are_those_that_are_taken_and_given() -> None:
    def taken(uid: str) -> bool:
        request = AssociateRequest("A", "B", (ProposedContext(1, CT, (uid,)),), UserInformation(16384))
        return bool(negotiate(request, maximum_length=1 << 20, unknown_syntaxes=False).contexts)

    rows = table("UID", "name")
    assert [row[0] for row in rows] == [uid for uid in TRANSFER_SYNTAXES if taken(uid)]
    for uid, name, decoded, given in rows:
        syntax = TRANSFER_SYNTAXES[uid]
        readable = not syntax.encapsulated or uid in COMPRESSED or uid == ENCAPSULATED_NATIVE
        assert (name, given == "made from every decoded one") == (syntax.name, uid in ENCODED)
        assert decoded == ("no pixels in it" if "JPIP" in name else "yes" if readable else "no")


def test_limits_are_the_defaults() -> None:
    """The numbers that sections 4.3, 6.1 and 8 say."""
    receiver, web, association = ReceiverSettings(), WebSettings(), Limits()
    assert (receiver.dicom_port, receiver.associations, receiver.associations_per_address) == (105, 64, 16)
    assert (receiver.half_open_per_address, receiver.pdu_bytes) == (8, 1 << 20)
    assert (receiver.artim_s, receiver.idle_s, receiver.slow_bytes_per_s) == (30.0, 120.0, 4096)
    assert (receiver.object_bytes, association.contexts) == (8 << 30, 128)
    assert (association.associate, association.command) == (128 << 10, 64 << 10)
    assert (web.request_bytes, web.part_count, QUERY_BYTES) == (64 << 30, 100_000, 16 << 10)
    assert (RELATED_LIMITS.part_header, RELATED_LIMITS.header_lines, RELATED_LIMITS.preamble) == (
        8 << 10,
        16,
        1 << 10,
    )
    assert (metadata.PART_BYTES, metadata.METADATA_BYTES, LARGEST_FRAME) == (8 << 20, 32 << 20, 256 << 20)
    assert (search.MAX_ROWS, search.MAX_OFFSET, search.MAX_CANDIDATES) == (5000, 100_000, 5000)
    assert sorted(search.DEFAULT_ROWS.values()) == [1000, 5000, 5000]
