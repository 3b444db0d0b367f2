"""The access report says what the entries say, of one patient and of nobody else."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from platform_kit import a_platform
from report_kit import OWN, PATIENTS, START, STUDIES, Bench
from wardlight.audit.actions import LETTER, Action
from wardlight.audit.model import Actor, Event, Outcome
from wardlight.errors import WardlightError
from wardlight.trail import report_access
from wardlight.trail.report_forms import Form
from wardlight.trail.report_model import Period
from wardlight.trail.service import Identifiers

ME = Identifiers(patients=OWN)
EVERYTHING = Period()
LATE = START.replace(year=2027)


@pytest.fixture(scope="module")
def bench(stores):
    with a_platform() as platform:
        bench = Bench(platform)
        bench.fill(seed=4, count=150)
        yield bench


def made(bench, *, whom=ME, period=EVERYTHING, names=False, form=Form.JSON, zone="UTC", now=LATE):
    with bench.at(now):
        report = bench.reports.access(bench.asker, whom, period, form, names=names, zone=zone)
    return json.loads(report.data) if form is Form.JSON else report.data.decode()


def own_references(bench, patients=(0, 1)):
    return {
        reference for patient in patients for study in range(3) for reference in bench.subject(patient, study)
    }


def expected(bench, first="", last="9"):
    """Brute force over all entries: (start, action, outcome of the end, counts, certainty, list, positions)."""
    own = own_references(bench)
    everything = bench.entries()
    ends = {entry["of"]: (idx, entry) for idx, entry in everything if entry.get("phase") == "finished"}
    lines = []
    for idx, entry in everything:
        named = {value for subject in entry.get("subjects", []) for value in subject.values()}
        if not named & own or entry.get("phase") == "finished":
            continue
        start = entry.get("time", entry["recorded"])
        if not first <= start < last:
            continue
        end = ends.get(entry["id"])
        letter = LETTER[Action(entry["action"])]
        sure = "whole"
        if entry.get("phase") == "authorised" and (end is None or end[1]["outcome"] == "unknown"):
            sure = "unknown"
        lines.append(
            (
                start,
                entry["action"],
                (end[1] if end else entry)["outcome"],
                (end[1] if end else entry).get("counts", {}),
                sure,
                entry.get("counts", {}).get("results", 0) if letter == "Q" else 0,
                [idx, *([end[0]] if end else [])],
            )
        )
    return sorted(lines, key=lambda line: (line[0], line[6]), reverse=True)


def shown(report):
    return [
        (
            line["start"],
            line["action"],
            line["outcome"],
            line.get("counts", {}),
            line["certainty"],
            line["list"],
            line["entries"],
        )
        for line in report["lines"]
    ]


def test_every_entry_about_the_patient_is_a_line_and_no_other_is(bench):
    report = made(bench)
    assert shown(report) == expected(bench)
    assert len(report["lines"]) > 40
    kinds = {line["kind"] for line in report["lines"]}
    assert kinds == {"seen", "listed", "refused", "other"}


def test_a_period_is_of_the_time_it_happened(bench):
    all_lines = expected(bench)
    last, first = all_lines[len(all_lines) // 4][0], all_lines[len(all_lines) // 2][0]
    period = Period(*(round(datetime.fromisoformat(moment).timestamp() * 1000) for moment in (first, last)))
    assert shown(made(bench, period=period)) == expected(bench, first, last)


def test_what_is_told_of_another_patient_is_nothing(bench):
    for form in (Form.JSON, Form.HTML):
        text = made(bench, form=form) if form is Form.HTML else json.dumps(made(bench))
        for reference in own_references(bench, (2, 3, 4)):
            assert reference not in text
        assert bench.subject(0, 0)[0] in text


def test_no_identifier_that_was_given_is_in_the_report_or_the_trail(bench):
    bench.seal()
    texts = [
        json.dumps(made(bench)),
        made(bench, form=Form.HTML),
        json.dumps([row for _, row in bench.entries()]),
    ]
    for text in texts:
        for issuer, id_ in OWN:
            assert id_ not in text
            assert not issuer or issuer not in text
        for uid in STUDIES[0]:
            assert uid not in text


def test_the_report_is_an_entry_before_it_is_given(bench):
    bench.seal()
    before = len(bench.entries())
    lines = made(bench)["lines"]
    bench.seal()
    [entry] = [row for _, row in bench.entries()[before:] if row["action"] == "subject:report:access"]
    assert entry["actor"]["id"] == bench.actors[2].id
    assert entry["purpose"] == "PATRQT"
    assert entry["object"]["ref"] == bench.references.patient(OWN[0][1], OWN[0][0])
    assert {subject["patient"] for subject in entry["subjects"]} == {
        bench.subject(0, 0)[0],
        bench.subject(1, 0)[0],
    }
    assert entry["detail"] == {"format": "json", "names": False}
    assert entry["counts"] == {"results": len(lines)}


def test_a_report_that_cannot_be_recorded_is_not_given(bench, monkeypatch):
    def broken(*_):
        raise WardlightError("unavailable")

    monkeypatch.setattr(type(bench.platform.recorder), "write", broken)
    with pytest.raises(WardlightError, match="unavailable"):
        made(bench)


def test_only_roles_are_told_unless_names_are_wanted(bench):
    roles = json.dumps(made(bench), ensure_ascii=False)
    assert "Clinician 1" in roles
    for person in bench.people:
        assert person.name not in roles
        assert person.id not in roles
    named = json.dumps(made(bench, names=True), ensure_ascii=False)
    assert bench.people[1].name in named
    assert "Clinician 1" not in named


def test_one_person_has_one_number(bench):
    report, everything = made(bench), dict(bench.entries())
    labels = {}
    for line in report["lines"]:
        actor = everything[line["entries"][0]]["actor"]
        if actor["kind"] == "person":
            labels.setdefault(actor["id"], set()).add(line["actor"]["label"])
    assert len(labels) == 3
    assert all(len(told) == 1 for told in labels.values())
    assert len(set.union(*labels.values())) == 3


def test_the_signed_head_is_cited(bench):
    bench.seal()
    [head] = made(bench)["checkpoints"]
    note = bench.platform.audit_log.checkpoint(bench.platform.audit_log.logs(bench.institution)[-1])
    assert note.split("\n")[:3] == [head["origin"], str(head["size"]), head["root"]]


def test_nothing_known_of_a_patient(bench):
    report = made(bench, whom=Identifiers(patients=(("", "nobody"),)))
    assert report["lines"] == []
    assert "Nobody opened or received your data" in made(
        bench, whom=Identifiers(patients=(("", "nobody"),)), form=Form.HTML
    )


def test_an_open_read_is_told_as_open_while_it_may_go_on(bench):
    with a_platform() as platform:
        fresh = Bench(platform)
        fresh.read(fresh.actors[0], fresh.subject(0, 0), end="")
        fresh.seal()
        [line] = made(fresh, now=fresh.now)["lines"]
        assert line["certainty"] == "open"
        [line] = made(fresh, now=LATE)["lines"]
        assert line["certainty"] == "unknown"
        assert "may have seen everything" in made(fresh, form=Form.HTML)
        assert "may still be going on" in made(fresh, now=fresh.now, form=Form.HTML)


def test_words_of_the_page(bench):
    with a_platform() as platform:
        fresh = Bench(platform)
        me, others = fresh.subject(0, 0), tuple(fresh.subject(2, n) for n in range(3))
        query = Event(
            Action.DICOMWEB_STUDY_QUERY, fresh.actors[0], subjects=(me, *others), counts={"results": 40},
            purpose="TREAT", request="1" * 32,
        )  # fmt: skip
        fresh.write(query)
        denied = Event(
            Action.ACCESS_DECISION_DENY, Actor("anonymous", "-"), Outcome.DENIED, subjects=(("", me[1]),),
            reason="invalid-token", counts={"denied": 14},
        )  # fmt: skip
        fresh.write(denied)
        fresh.read(
            fresh.actors[0], me, basis="gdpr:6.1.c+9.2.h", agreement=("agr-12", 3),
            behalf=Actor("application", "acme_ai"),
        )  # fmt: skip
        view = Event(Action.APP_STUDY_VIEW, Actor("application", "acme_ai"), subjects=(me,))
        fresh.write(view, source="application")
        received = Event(Action.RECEIVER_STUDY_RECEIVE, Actor("receiver", "r-1"), subjects=(me,))
        fresh.write(received, source="receiver", time="2026-11-01T08:00:00.000Z")
        fresh.seal()
        page = made(fresh, form=Form.HTML, zone="Europe/Berlin")
    for words in (
        "You appeared in a list of 40",
        "1 line of 40",
        "14\u00a0attempts",
        "the login was not valid",
        "for acme_ai",
        "says acme_ai",
        "reported by the gateway",
        "5\u00a0images",
        "7.0\u00a0kB",
        "a legal duty, health care (GDPR Art. 6",
        "Agreement agr-12",
        "Treatment",
        "1 Nov 2026</b><small>09:00",  # in Berlin
        "St. Mary Hospital",
    ):
        assert words in page, words


def test_pruned_entries_are_told(bench):
    with a_platform() as platform:
        fresh = Bench(platform)
        detail = {
            "before": "2016-11-01T00:00:00.000Z",
            "ranges": [[0, 7]],
            "count": 7,
            "rule": "retention:3650d",
        }
        fresh.write(Event(Action.AUDIT_ENTRIES_PRUNE, Actor("system", "worker"), detail=detail))
        fresh.seal()
        report, page = made(fresh), made(fresh, form=Form.HTML)
    assert report["pruned"][0]["count"] == 7
    assert "Until here pruned by rule" in page
    assert "1 Nov 2016" in page


def test_another_institution_knows_nothing_of_it(bench):
    other = Bench(bench.platform, "elsewhere", "Elsewhere")
    other.seal()
    assert made(other)["lines"] == []
    assert made(other)["patients"] != made(bench)["patients"]


def test_limits_are_told(bench, monkeypatch):
    monkeypatch.setattr(report_access, "MAX_ENTRIES", 20)
    with pytest.raises(WardlightError) as error:
        made(bench)
    assert error.value.code == "query-too-broad"
    assert PATIENTS[0][1] not in str(error.value)


def test_a_zone_that_nobody_knows(bench):
    with pytest.raises(WardlightError, match="bad-request"):
        made(bench, zone="Mars/Olympus")
