"""Cursors, kinds of matching that are asked for, and that searches go through the indexes made for them."""

import re

import pytest
from sqlalchemy.dialects import sqlite

from archive_kit import dataset
from wardlight.archive import postings_merge, search, search_store
from wardlight.archive.matching import Rules
from wardlight.archive.model import MatchKey, Query, QueryLevel
from wardlight.archive.postings_merge import Postings
from wardlight.errors import WardlightError

NAME, ID, DATE, TIME = 0x00100010, 0x00100020, 0x00080020, 0x00080030


def keys(**values):
    tags = {"name": NAME, "id": ID, "date": DATE, "time": TIME, "modalities": 0x00080061, "rows": 0x00280010,
            "accession": 0x00080050, "series": 0x0008103E, "physician": 0x00080090, "number": 0x00200013}  # fmt: skip
    return tuple(MatchKey((tags[name],), value) for name, value in values.items())


def run(kit, level, query):
    search_ = {
        "study": kit.archive.search_studies,
        "series": kit.archive.search_series,
        "instance": kit.archive.search_instances,
    }[level]
    return search_(kit.query, query)


def uids(page, level):
    tag = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}[level]
    return [row[tag]["Value"][0] for row in page.rows]


@pytest.fixture
def many(kit):
    """Nine studies on three days, three series and up to seven instances each; some merged, some in the tail."""
    for number in range(9):
        sets = []
        for index in range(7):
            sets.append(
                dataset(
                    StudyInstanceUID=f"1.{number}",
                    SeriesInstanceUID=f"1.{number}.{index % 3}",
                    SOPInstanceUID=f"1.{number}.{index % 3}.{index}",
                    SeriesNumber=str(3 - index % 3),
                    InstanceNumber=str(index // 2),
                    StudyDate=f"2026010{number % 3 + 1}" if number else "",
                    PatientName="Smith^John" if number % 2 else "Smith^Anna",
                    PatientID=f"P-{number}",
                    Modality="CT" if index % 3 else "SR",
                )
            )
        kit.store(*sets)
        if number == 5:
            Postings(kit.platform.database, kit.platform.keystore).merge(kit.institution.id)
    return kit


@pytest.mark.parametrize("level", ["study", "series", "instance"])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"keys": keys(name="smith*")},
        {"keys": keys(name="smith^john")},
        {"keys": keys(modalities="SR")},
        {"keys": keys(date="20260101-20260102")},
        {"keys": keys(accession="ACC*", date="20260102-")},
        {"study_uid": "1.4"},
    ],
)
def test_pages_by_cursor_are_the_whole_result(many, level, values):
    if level == "study" and "study_uid" in values:
        return
    whole = uids(run(many, level, Query(**values)), level)
    assert len(set(whole)) == len(whole) and whole
    for limit in (1, 2, 5, 100):
        paged, cursor = [], ""
        while True:
            page = run(many, level, Query(**values, limit=limit, cursor=cursor))
            paged += uids(page, level)
            assert page.more == bool(page.next)
            if not page.next:
                break
            cursor = page.next
        assert paged == whole
    skipped = run(many, level, Query(**values, limit=3, offset=2))
    assert uids(skipped, level) == whole[2:5]


def test_filters_below_the_study_page_too(many):
    query = {"keys": keys(series="Axial*", number="1")}
    whole = uids(run(many, "instance", Query(**query)), "instance")
    assert len(whole) == 9 * 2
    page = run(many, "instance", Query(**query, limit=4))
    rest = run(many, "instance", Query(**query, cursor=page.next))
    assert uids(page, "instance") + uids(rest, "instance") == whole


def test_what_arrives_between_pages_shifts_nothing(many):
    whole = uids(run(many, "study", Query()), "study")
    page = run(many, "study", Query(limit=4))
    many.store(dataset(StudyInstanceUID="2.1", StudyDate="20260301"))
    many.store(dataset(StudyInstanceUID="2.2", StudyDate="20260101"))
    rest = uids(run(many, "study", Query(cursor=page.next)), "study")
    assert [uid for uid in rest if uid != "2.2"] == whole[4:]


def test_a_cursor_is_of_its_search_and_shows_nothing(many):
    query = Query(keys=keys(name="smith*"), limit=2)
    cursor = run(many, "study", query).next
    assert re.fullmatch(r"[A-Za-z0-9_-]{50,60}", cursor)
    assert cursor != run(many, "study", query).next
    others = [
        ("study", Query(keys=keys(name="smit*"), cursor=cursor)),
        ("study", Query(keys=keys(name="smith*"), rules=Rules(fuzzy=True), cursor=cursor)),
        ("study", Query(keys=keys(name="smith*"), application="acme", cursor=cursor)),
        ("series", Query(keys=keys(name="smith*"), cursor=cursor)),
        ("study", Query(keys=keys(name="smith*"), cursor=cursor[:-2] + "AA")),
        ("study", Query(keys=keys(name="smith*"), cursor="x")),
        ("study", Query(keys=keys(name="smith*"), cursor="ü" * 60)),
        ("study", Query(keys=keys(name="smith*"), cursor="A" * 5000)),
    ]
    for level, other in others:
        with pytest.raises(WardlightError) as error:
            run(many, level, other)
        assert error.value.code == "bad-request"


def test_an_offset_beyond_all_bounds_is_refused(many):
    assert run(many, "study", Query(offset=search.MAX_OFFSET)).rows == []
    with pytest.raises(WardlightError) as error:
        run(many, "study", Query(offset=search.MAX_OFFSET + 1))
    assert error.value.code == "query-too-broad"


# ---- kinds of matching ----


@pytest.mark.parametrize("merged", [False, True])
def test_fuzzy_names(kit, merged):
    names = {
        "1.1": "Schmidt^Hans", "1.2": "Smith^John", "1.3": "Müller-Lüdenscheidt^Anna", "1.4": "Yamada^Tarou==ﾔﾏﾀﾞ^ﾀﾛｳ",
        "1.5": "Jones^Smyth",
    }  # fmt: skip
    for uid, name in names.items():
        kit.store(dataset(StudyInstanceUID=uid, PatientName=name, ReferringPhysicianName=name))
    if merged:
        Postings(kit.platform.database, kit.platform.keystore).merge(kit.institution.id)

    def found(value, *, fuzzy=True, **others):
        query = Query(keys=keys(name=value, **others), rules=Rules(fuzzy=fuzzy))
        return sorted(uids(run(kit, "study", query), "study"))

    assert found("smith") == ["1.1", "1.2", "1.5"] and found("smith", fuzzy=False) == []
    assert found("john smith") == ["1.2"]
    assert found("MULLER") == found("anna^mueler") == ["1.3"]
    assert found("やまだ") == ["1.4"] and found("やまだ*", fuzzy=False) == []
    assert found("luden* an*") == ["1.3"]
    assert found("zzz") == found("smith zzz") == []
    assert found("*", physician="smith") == ["1.1", "1.2", "1.5"]


def test_empty_and_multiple_values(kit):
    kit.store(dataset(StudyInstanceUID="1.1", PatientID="", AccessionNumber=None))
    kit.store(
        dataset(StudyInstanceUID="1.2", OtherPatientIDs=["A", "B", "C"]),
        dataset(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.9", Modality="PT"),
    )
    Postings(kit.platform.database, kit.platform.keystore).merge(kit.institution.id)

    def found(tag, value, **rules):
        query = Query(keys=(MatchKey((tag,), value),), rules=Rules(**rules))
        return sorted(uids(run(kit, "study", query), "study"))

    assert found(ID, '""', empty_values=True) == found(0x00080050, '""', empty_values=True) == ["1.1"]
    assert found(ID, '""') == []
    assert found(0x00080061, "PT\\CT", multiple_values=True) == ["1.2"]
    assert found(0x00080061, "PT\\MR", multiple_values=True) == []
    assert found(0x00101000, "C\\A", multiple_values=True) == ["1.2"]
    assert found(0x00101000, "B") == ["1.2"] and found(0x00101000, "C\\D", multiple_values=True) == []


def test_ranges_of_date_and_time_are_one_range_of_moments(kit):
    for number, (day, time) in enumerate(
        [
            ("20260705", "0930"),
            ("20260705", "1030"),
            ("20260706", "0200"),
            ("20260707", "1730"),
            ("20260707", "19"),
        ]
    ):
        kit.store(dataset(StudyInstanceUID=f"1.{number}", StudyDate=day, StudyTime=time))

    def found(**values):
        return sorted(uids(run(kit, "study", Query(keys=keys(**values))), "study"))

    assert found(date="20260705-20260707", time="1000-1800") == ["1.1", "1.2", "1.3"]
    assert found(date="20260705-", time="1030-") == ["1.1", "1.2", "1.3", "1.4"]
    # Not the same form: each for itself (PS3.4 C.2.2.2.5.4).
    assert found(date="20260705-20260707", time="1000-") == ["1.1", "1.3", "1.4"]
    assert found(date="20260707", time="1000-1800") == ["1.3"]


# ---- indexes ----


def plan(kit, statement):
    names = {name: [1, 2] if name == "named" else 1 for name in statement.compile().params}
    compiled = statement.params(**names).compile(
        dialect=sqlite.dialect(), compile_kwargs={"render_postcompile": True}
    )
    sql = re.sub(r"\?", "1", str(compiled))
    return [row[3] for row in kit.sql(f"EXPLAIN QUERY PLAN {sql}")]


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (
            search_store._Studies("all", False, "", 0),
            "archive_release_page (institution=? AND application=?)",
        ),
        (
            search_store._Studies("all", True, "", 1),
            "archive_release_page (institution=? AND application=? AND study_date>? AND study_date<?)",
        ),
        (
            search_store._Studies("all", False, "behind", 0),
            "archive_release_page (institution=? AND application=? AND (study_date,number)<(?,?))",
        ),
        (
            search_store._Studies("all", True, "behind", 0),
            "archive_release_page (institution=? AND application=? AND study_date>? AND (study_date,number)<(?,?))",
        ),
    ],
)
def test_pages_of_studies_are_read_in_order(kit, shape, expected):
    kit.store(dataset())
    steps = plan(kit, search_store._studies(shape))
    assert steps == [f"SEARCH archive_release USING INDEX {expected}"]


@pytest.mark.embedded
def test_candidates_by_number_go_through_their_index(kit):
    kit.store(dataset())
    steps = plan(kit, search_store._studies(search_store._Studies("numbers", True, "", 1)))
    assert steps[0].startswith("SEARCH archive_release USING INDEX archive_release_number")
    steps = plan(kit, search_store._studies(search_store._Studies("tail", False, "", 0)))
    assert steps[0].startswith("SEARCH archive_tail USING INDEX ix_archive_tail_institution")


@pytest.mark.embedded
@pytest.mark.parametrize("place", ["", "series", "instance"])
def test_rows_below_a_study_are_read_in_order(kit, place):
    kit.store(dataset())
    steps = plan(kit, search_store._below(search_store._Below(True, False, False, False, 0, False, place)))
    assert len(steps) == 2 and not any("TEMP" in step or step.startswith("SCAN") for step in steps), steps
    assert "archive_instance_page" in steps[1]
    if place != "instance":
        steps = plan(
            kit, search_store._below(search_store._Below(False, False, False, False, 0, False, place))
        )
        assert len(steps) == 1 and "archive_series_page" in steps[0]


@pytest.mark.embedded
def test_a_deep_page_reads_what_the_first_one_reads(many, monkeypatch):
    """Counted by rows that the store gives."""
    read = []
    studies = search_store.studies

    def counted(*arguments, **options):
        rows = studies(*arguments, **options)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(search_store, "studies", counted)
    cursor = ""
    for _ in range(4):
        read.clear()
        cursor = run(many, "study", Query(limit=2, cursor=cursor)).next
        assert sum(read) == 3
    assert QueryLevel.STUDY in search.DEFAULT_ROWS and postings_merge.BATCH <= 256


@pytest.mark.embedded
@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_rows_that_are_skipped_are_not_opened(many, monkeypatch, level):
    """An offset may skip 100,000 rows: without a filter that costs no key."""
    asked = []
    keystore = many.platform.keystore
    get_keys = keystore.get_keys
    monkeypatch.setattr(keystore, "get_keys", lambda place, ids: asked.extend(ids) or get_keys(place, ids))
    assert len(run(many, level, Query(limit=2, offset=5)).rows) == 2
    assert 1 <= len(asked) <= 2
