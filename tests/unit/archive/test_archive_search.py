"""Searches: every kind of key, levels, paging, order, what is refused, and what the trail says of it."""

import re
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from sqlalchemy.dialects import sqlite

from archive_kit import dataset
from wardlight.access.model import Role
from wardlight.archive import search, search_store
from wardlight.archive.model import Level, MatchKey, Query
from wardlight.audit.actions import Action
from wardlight.errors import WardlightError

NAME, ID, DATE, TIME = 0x00100010, 0x00100020, 0x00080020, 0x00080030
STUDY, SERIES, SOP = 0x0020000D, 0x0020000E, 0x00080018


def keys(**values):
    tags = {
        "name": NAME,
        "id": ID,
        "date": DATE,
        "time": TIME,
        "study": STUDY,
        "series": SERIES,
        "sop": SOP,
        "modality": 0x00080060,
        "modalities": 0x00080061,
        "description": 0x00081030,
        "number": 0x00200011,
        "accession": 0x00080050,
        "rows": 0x00280010,
        "sop_class": 0x00080016,
    }
    return tuple(MatchKey((tags[name],), value) for name, value in values.items())


def studies(kit, query=None, **values):
    page = kit.archive.search_studies(kit.query, query or Query(keys=keys(**values)))
    return [row["0020000D"]["Value"][0] for row in page.rows]


@pytest.fixture
def three(kit):
    kit.store(dataset(StudyInstanceUID="1.1", StudyDate="20260101", StudyTime="0830"))
    kit.store(
        dataset(
            StudyInstanceUID="1.2",
            StudyDate="20260301",
            StudyTime="093015.5",
            PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
            PatientID="PAT-0043",
            Modality="MR",
            SeriesInstanceUID="1.2.1",
            StudyDescription="Schädel",
        ),
        dataset(
            StudyInstanceUID="1.2",
            StudyDate="20260301",
            Modality="SR",
            SeriesInstanceUID="1.2.2",
            SeriesNumber="2",
        ),
    )
    kit.store(
        dataset(StudyInstanceUID="1.3", StudyDate="", StudyTime="", PatientName="Smith^John", PatientID="")
    )
    return kit


def test_order_is_date_then_arrival_newest_first(three):
    assert studies(three) == ["1.2", "1.1", "1.3"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("name", "müller*", ["1.1"]),
        ("name", "MÜLLER-LÜDENSCHEIDT^ANNA", ["1.1"]),
        ("name", "*anna", ["1.1"]),
        ("name", "m?ller*", ["1.1"]),
        ("name", "山田*", ["1.2"]),
        ("name", "Smith^John^", ["1.3"]),
        ("name", "Smith", []),
        ("name", "*", ["1.2", "1.1", "1.3"]),
        ("name", "", ["1.2", "1.1", "1.3"]),
        ("id", "PAT-0042", ["1.1"]),
        ("id", "pat-0042", []),
        ("id", "PAT-*", ["1.2", "1.1"]),
        ("date", "20260101", ["1.1"]),
        ("date", "2026.01.01", ["1.1"]),
        ("date", "20260101-20260228", ["1.1"]),
        ("date", "-20260301", ["1.2", "1.1"]),
        ("date", "20260102-", ["1.2"]),
        ("time", "0800-0900", ["1.1"]),
        ("time", "0830", ["1.1"]),
        ("time", "09-", ["1.2"]),
        ("time", "-083059", ["1.1"]),
        ("study", "1.1", ["1.1"]),
        ("study", "1.1,1.3", ["1.1", "1.3"]),
        ("study", "1.1\\1.3\\9", ["1.1", "1.3"]),
        ("modalities", "MR", ["1.2"]),
        ("modalities", "SR", ["1.2"]),
        ("modalities", "M*", ["1.2"]),
        ("modalities", "M", []),
        ("modalities", "%", []),
        ("description", "Sch*del", ["1.2"]),
        ("accession", "ACC-77", ["1.2", "1.1", "1.3"]),
    ],
)
def test_study_keys(three, key, value, expected):
    assert studies(three, **{key: value}) == expected


def test_keys_are_joined_by_and(three):
    assert studies(three, name="yamada*", date="2026.01.01-", modalities="MR") == ["1.2"]
    assert studies(three, name="yamada*", date="-20260201") == []


def test_what_a_study_row_holds(three):
    row = three.archive.search_studies(three.query, Query(keys=keys(study="1.2"))).rows[0]
    assert row["00080061"] == {"vr": "CS", "Value": ["MR", "SR"]}
    assert row["00201206"] == {"vr": "IS", "Value": [2]}
    assert row["00201208"] == {"vr": "IS", "Value": [2]}
    assert row["00080056"]["Value"] == ["ONLINE"]
    assert row["00100010"]["Value"][0]["Ideographic"] == "山田^太郎"
    assert list(row) == sorted(row)
    assert "00080080" not in row


def test_include(three):
    three.store(dataset(StudyInstanceUID="1.7", InstitutionName="St Mary", PatientAge="056Y"))
    query = Query(keys=keys(study="1.7"), include=frozenset({0x00080080}))
    row = three.archive.search_studies(three.query, query).rows[0]
    assert row["00080080"]["Value"] == ["St Mary"] and "00101010" not in row
    row = three.archive.search_studies(three.query, Query(keys=keys(study="1.7"), include_all=True)).rows[0]
    assert row["00101010"]["Value"] == ["056Y"]


def test_series_and_instances_across_levels(three):
    archive, scope = three.archive, three.query
    rows = archive.search_series(scope, Query(study_uid="1.2")).rows
    assert [row["0020000E"]["Value"][0] for row in rows] == ["1.2.1", "1.2.2"]
    assert rows[0]["00201209"]["Value"] == [1] and "00100010" not in rows[0]
    rows = archive.search_series(scope, Query(keys=keys(modality="CT", name="smith*"))).rows
    assert [row["0020000D"]["Value"][0] for row in rows] == ["1.3"]
    assert rows[0]["00100010"]["Value"] == [{"Alphabetic": "Smith^John"}]
    rows = archive.search_instances(scope, Query(study_uid="1.2")).rows
    assert [row["0020000E"]["Value"][0] for row in rows] == ["1.2.1", "1.2.2"]
    rows = archive.search_instances(scope, Query(study_uid="1.2", series_uid="1.2.2")).rows
    assert len(rows) == 1 and rows[0]["00280010"]["Value"] == [4] and "00100010" not in rows[0]
    sop = rows[0]["00080018"]["Value"][0]
    rows = archive.search_instances(scope, Query(keys=keys(sop=sop, rows="4"))).rows
    assert [row["00080018"]["Value"][0] for row in rows] == [sop]
    assert archive.search_instances(scope, Query(keys=keys(rows="5"))).rows == []
    assert (
        len(archive.search_instances(scope, Query(keys=keys(sop_class="1.2.840.10008.5.1.4.1.1.2"))).rows)
        == 4
    )


def test_uid_keys_at_every_level(three):
    def series(**options):
        rows = three.archive.search_series(three.query, Query(**options)).rows
        return sorted((row["0020000D"]["Value"][0], row["0020000E"]["Value"][0]) for row in rows)

    assert series(keys=keys(series="1.2.1")) == [("1.2", "1.2.1")]
    # The fixture's other studies have one Series UID in common, as devices that break the rules do.
    assert series(keys=keys(series="1.2.1,1.2.3.4.1")) == [
        ("1.1", "1.2.3.4.1"), ("1.2", "1.2.1"), ("1.3", "1.2.3.4.1"),
    ]  # fmt: skip
    assert series(keys=keys(series="1.2.3.4.1", study="1.1,1.2")) == [("1.1", "1.2.3.4.1")]
    assert series(keys=keys(study="1.2")) == [("1.2", "1.2.1"), ("1.2", "1.2.2")]
    assert series(study_uid="1.2", keys=keys(series="1.2.2")) == [("1.2", "1.2.2")]
    assert series(study_uid="1.2", keys=keys(study="1.1")) == []
    assert series(keys=keys(series="9.9")) == series(keys=keys(study="9.9")) == []
    query = Query(study_uid="1.2", series_uid="1.2.1", keys=keys(series="1.2.2"))
    assert three.archive.search_instances(three.query, query).rows == []


def test_request_attributes_members(kit):
    request = Dataset()
    request.ScheduledProcedureStepID = "SPS-9"
    request.RequestedProcedureID = "RP-1"
    kit.store(dataset(RequestAttributesSequence=Sequence([request])))
    kit.store(dataset(StudyInstanceUID="1.9"))
    query = Query(keys=(MatchKey((0x00400275, 0x00400009), "SPS-*"),))
    rows = kit.archive.search_series(kit.query, query).rows
    assert [row["0020000D"]["Value"][0] for row in rows] == ["1.2.3.4"]
    assert kit.entries("dicomweb:study:query")[-1]["detail"]["query"] == (
        "RequestAttributesSequence.ScheduledProcedureStepID=prefix"
    )


def test_paging_is_stable_with_and_without_filters(kit):
    for number in range(7):
        kit.store(dataset(StudyInstanceUID=f"1.{number}", StudyDate=f"2026010{number % 3 + 1}"))
    everything = studies(kit)
    for values in ({}, {"name": "müller*"}):
        paged = []
        for offset in range(0, 8, 2):
            page = kit.archive.search_studies(kit.query, Query(keys(**values), limit=2, offset=offset))
            paged += [row["0020000D"]["Value"][0] for row in page.rows]
            assert page.more == (offset + 2 < 7)
        assert paged == everything


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ((0x00180050,), "1", "matching-key-not-supported"),
        ((0x00080060,), "CT", "matching-key-not-supported"),
        ((0x00081032,), "x", "matching-key-not-supported"),
        ((0x00400275, 0x00400007), "x", "matching-key-not-supported"),
        ((0x00081032, 0x00080100), "x", "matching-key-not-supported"),
        ((DATE,), "yesterday", "bad-request"),
        ((DATE,), "-", "bad-request"),
        ((TIME,), "9", "bad-request"),
        ((STUDY,), "1.2.*", "bad-request"),
        ((STUDY,), ",".join(["1"] * 1001), "query-too-broad"),
        ((0x00201206,), "1", "matching-key-not-supported"),
    ],
)
def test_refused_keys(three, path, value, code):
    with pytest.raises(WardlightError) as error:
        three.archive.search_studies(three.query, Query(keys=(MatchKey(path, value),)))
    assert error.value.code == code


def test_too_many_candidates(three, monkeypatch):
    monkeypatch.setattr(search, "MAX_CANDIDATES", 2)
    with pytest.raises(WardlightError) as error:
        studies(three, name="s*")
    assert error.value.code == "query-too-broad"
    # A key that SQL decides leaves fewer.
    assert studies(three, name="yama*", modalities="MR") == ["1.2"]


def test_searches_below_an_unseen_study_are_not_found(three):
    for query in (Query(study_uid="9.9"), Query(study_uid="1.2", series_uid="9")):
        with pytest.raises(WardlightError) as error:
            three.archive.search_instances(three.query, query)
        assert error.value.code == "not-found"


def test_reserved_releases_are_not_shown(three):
    three.archive.target(three.institution.id, "images", Level.HIGH, "1.99")
    assert len(studies(three)) == 3


def test_the_trail_tells_how_not_what(three):
    studies(three, name="yamada*", date="20260101-20260401", id="PAT-0043", study="1.2")
    entry = three.entries("dicomweb:study:query")[-1]
    assert entry["detail"] == {
        "level": "study",
        "query": "PatientName=prefix&StudyDate=range&PatientID=exact&StudyInstanceUID=exact",
    }
    references = three.platform.recorder.references(three.institution.id)
    study, patient = references.study("1.2"), references.patient("PAT-0043")
    assert {"patient": patient, "study": study} in entry["subjects"]
    assert {"patient": patient} in entry["subjects"]
    assert entry["counts"] == {"results": 1}
    assert "amada" not in str(entry) and "PAT-" not in str(entry)


def test_more_than_a_hundred_subjects_are_further_entries(kit):
    for number in range(103):
        kit.store(dataset(StudyInstanceUID=f"1.{number}"))
    before = len(kit.entries())
    assert len(studies(kit)) == 103
    entries = kit.entries()[before:]
    assert [len(entry["subjects"]) for entry in entries] == [100, 3]
    assert len({entry["request"] for entry in entries}) == 1


def test_a_privacy_officer_searches_and_reads_metadata_only(three):
    officer = three.person(Role.PRIVACY_OFFICER)
    three.archive.search_studies(three.scope(Action.DICOMWEB_STUDY_QUERY, officer), Query())
    three.archive.metadata(three.scope(Action.DICOMWEB_METADATA_READ, officer), "1.1", base_url="")
    with pytest.raises(WardlightError) as error:
        three.scope(Action.DICOMWEB_STUDY_READ, officer)
    assert error.value.code == "forbidden"


def test_one_instance_is_found_without_its_study_through_an_index(kit):
    sets = [dataset(StudyInstanceUID=f"1.{n}", SeriesInstanceUID=f"1.{n}.1") for n in range(1, 30)]
    for one in sets:
        kit.store(one)
    wanted = sets[3]
    query = Query(keys=(MatchKey((0x00080018,), wanted.SOPInstanceUID),))
    (row,) = kit.archive.search_instances(kit.query, query).rows
    assert row["0020000D"]["Value"] == [wanted.StudyInstanceUID]
    for path, expected in ((wanted.StudyInstanceUID, 1), (sets[4].StudyInstanceUID, 0)):
        below = replace(query, study_uid=path)
        assert len(kit.archive.search_instances(kit.query, below).rows) == expected
    other = replace(query, application="acme")
    assert kit.archive.search_instances(kit.query, other).rows == []


@pytest.mark.embedded
@pytest.mark.parametrize("statement", [search_store._SERIES_BY_TOKENS, search_store._INSTANCES_BY_TOKENS])
def test_uids_without_a_study_go_through_an_index(kit, statement):
    compiled = statement.params(tokens=[bytes(16)]).compile(
        dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True}
    )
    sql = str(compiled).replace("?", "zeroblob(16)")
    kit.store(dataset())
    plan = [row[3] for row in kit.sql(f"EXPLAIN QUERY PLAN {sql}")]
    assert re.match(r"SEARCH archive_(series|instance) USING INDEX archive_(series|instance)_token", plan[0])


def test_wildcards_in_a_modality_are_literal(kit):
    kit.store(dataset(Modality="CT"))
    for value, expected in (("CT", 1), ("C_", 0), ("C%", 0), ("%", 0), ("/", 0)):
        query = Query(keys=(MatchKey((0x00080061,), value),))
        assert len(kit.archive.search_studies(kit.query, query).rows) == expected
