"""The breach report counts what an incident touched, as a count by hand over all entries does."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import datetime, timedelta

import pytest

from platform_kit import a_platform
from report_kit import IMAGES, START, STUDIES, Bench
from wardlight import clock
from wardlight.audit.actions import LETTER, Action
from wardlight.audit.model import Actor, Event, Outcome
from wardlight.errors import WardlightError
from wardlight.trail import report_breach
from wardlight.trail.report_breach import Incident
from wardlight.trail.report_forms import Form
from wardlight.trail.report_model import Period

NOW = START + timedelta(days=9)


@pytest.fixture(scope="module")
def bench(stores):
    with a_platform() as platform:
        bench = Bench(platform)
        bench.fill(seed=9, count=250)
        yield bench


def ms(moment):
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def made(bench, incident, form=Form.JSON, now=NOW, zone="UTC"):
    with bench.at(now):
        report = bench.reports.breach(bench.asker, incident, form, zone=zone)
    return json.loads(report.data) if form is Form.JSON else report.data.decode()


def expected(bench, matches, first="", last="9"):
    """By hand: totals, patients with the number of their accesses, counts, unknown, refused."""
    everything = [entry for _, entry in bench.entries()]
    ends = {entry["of"]: entry for entry in everything if entry.get("phase") == "finished"}
    accesses = unknown = refused = 0
    counts, patients, studies = Counter(), Counter(), set()
    for entry in everything:
        start = entry.get("time", entry["recorded"])
        if entry.get("phase") == "finished" or not matches(entry) or not first <= start < last:
            continue
        if entry["outcome"] == "denied":
            refused += 1
            continue
        if LETTER[Action(entry["action"])] not in "RQEIPUX":
            continue
        end = ends.get(entry["id"])
        accesses += 1
        open_ended = entry.get("phase") == "authorised" and end is None
        unknown += open_ended or (end or entry)["outcome"] == "unknown"
        for name, value in (end or entry).get("counts", {}).items():
            counts[name] += value
        subjects = entry.get("subjects", [])
        studies |= {subject["study"] for subject in subjects}
        for patient in {subject["patient"] for subject in subjects if "patient" in subject}:
            patients[patient] += 1
    return accesses, unknown, refused, dict(counts), dict(patients), studies


def told(report):
    refused = sum(group["accesses"] for group in report["groups"] if group["refused"])
    assert report["total"]["accesses"] == sum(
        group["accesses"] for group in report["groups"] if not group["refused"]
    )
    patients = {row["patient"]: row["accesses"] for row in report["affected"] if row["patient"]}
    assert report["patients"] == len(patients)
    studies = {study for row in report["affected"] for study in row["studies"]}
    assert report["studies"] == len(studies)
    total = report["total"]
    return total["accesses"], total["of_unknown_extent"], refused, total["counts"], patients, studies


def parties(entry):
    return [(one["kind"], one["id"]) for one in (entry["actor"], entry.get("behalf")) if one]


def test_everything_of_a_time(bench):
    moments = sorted(entry["recorded"] for _, entry in bench.entries())
    first, last = moments[len(moments) // 4], moments[len(moments) // 2]
    report = made(bench, Incident(Period(ms(first), ms(last))))
    assert told(report) == expected(bench, lambda entry: True, first, last)
    assert report["total"]["accesses"] > 30


def test_one_actor(bench):
    actor = bench.people[0].id
    report = made(bench, Incident(actor=f"person:{actor}"))
    assert told(report) == expected(bench, lambda entry: ("person", actor) in parties(entry))
    assert {group["actor"]["id"] for group in report["groups"]} == {actor}


def test_one_application_as_actor_and_as_the_one_acted_for(bench):
    report = made(bench, Incident(application="acme_ai"))
    assert told(report) == expected(bench, lambda entry: ("application", "acme_ai") in parties(entry))
    assert report["unknown"]["claimed"] > 0


def test_one_token(bench):
    report = made(bench, Incident(token="t" * 22))
    assert told(report) == expected(bench, lambda entry: entry.get("token") == "t" * 22)
    assert report["total"]["accesses"] > 20


def test_one_address(bench):
    report = made(bench, Incident(address="198.51.100.7"))
    address = expected(bench, lambda entry: entry.get("network", {}).get("address") == "198.51.100.7")
    assert told(report) == address
    assert address[2] > 5, "denials, that touched nothing"
    assert report["patients"] == 0


def test_studies(bench):
    uids = STUDIES[1][:2]
    references = bench.reports.study_references(bench.institution, uids)
    report = made(bench, Incident(studies=references))
    wanted = set(references)

    def named(entry):
        return any(subject.get("study") in wanted for subject in entry.get("subjects", []))

    accesses, unknown, refused, counts, _, _ = expected(bench, named)
    assert told(report)[:4] == (accesses, unknown, refused, counts)
    assert [row["patient"] for row in report["affected"]] == [bench.subject(1, 0)[0]]
    assert set(report["affected"][0]["studies"]) == wanted


def test_all_that_is_named_must_hold(bench):
    actor = bench.people[1].id
    report = made(bench, Incident(actor=f"person:{actor}", application="acme_ai"))
    assert told(report) == expected(
        bench, lambda entry: parties(entry) == [("person", actor), ("application", "acme_ai")]
    )


def test_classes_and_days_add_up(bench):
    report = made(bench, Incident(Period(0, None)))
    rows = [
        entry
        for _, entry in bench.entries()
        if entry.get("phase") != "finished"
        and LETTER[Action(entry["action"])] in "RQEIPUX"
        and entry.get("subjects")
    ]
    classes = Counter(name for entry in rows for name in entry.get("classes", [""]))
    assert {row["class"]: row["accesses"] for row in report["classes"]} == dict(classes)
    assert sum(row["accesses"] for row in report["days"]) == report["total"]["accesses"]


def test_nothing_found(bench):
    report = made(bench, Incident(token="x" * 22))
    assert report["total"]["accesses"] == 0
    assert report["affected"] == []
    page = made(bench, Incident(token="x" * 22), Form.HTML)
    assert "no access to data was found" in page


def test_a_study_without_its_patient_is_given_to_whom_others_name_for_it():
    with a_platform() as platform:
        bench = Bench(platform)
        patient, study = bench.subject(0, 0)
        _, lone = bench.subject(2, 0)
        for subject in (("", study), (patient, study), ("", lone)):
            bench.write(
                Event(Action.DICOMWEB_STUDY_EXPORT, bench.actors[0], subjects=(subject,), classes=IMAGES)
            )
        bench.seal()
        report = made(bench, Incident(Period(0, None)))
    assert [(row["patient"], row["studies"], row["accesses"]) for row in report["affected"]] == [
        (patient, [study], 2),
        ("", [lone], 1),
    ]
    assert report["unknown"]["without_patient"] == 1


def test_refusals_that_were_counted_are_as_many():
    with a_platform() as platform:
        bench = Bench(platform)
        nobody = Actor("anonymous", "-")
        bench.write(Event(Action.ACCESS_DECISION_DENY, nobody, Outcome.DENIED, counts={"denied": 14}))
        bench.write(Event(Action.ACCESS_DECISION_DENY, nobody, Outcome.DENIED))
        bench.seal()
        [group] = made(bench, Incident(Period(0, None)))["groups"]
    assert (group["refused"], group["accesses"]) == (True, 15)


def test_what_receivers_told_late_is_of_the_time_it_happened():
    with a_platform() as platform:
        bench = Bench(platform)
        bench.later(days=5)
        event = Event(
            Action.RECEIVER_STUDY_RECEIVE, Actor("receiver", "r-1"), subjects=(bench.subject(0, 0),)
        )
        bench.write(event, source="receiver", time=clock.timestamp(START))
        bench.seal()
        day = Period(ms(clock.timestamp(START)), ms(clock.timestamp(START + timedelta(hours=1))))
        assert made(bench, Incident(day))["total"]["accesses"] == 1
        late = Period(ms(clock.timestamp(START + timedelta(hours=1))), None)
        assert made(bench, Incident(late))["total"]["accesses"] == 0


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (0, "72\u00a0hours left"),
        (71.5, "0\u00a0hours left"),
        (73, "over since 1\u00a0hour; say why it is late"),
    ],
)
def test_the_72_hours(bench, hours, words):
    aware = ms(clock.timestamp(NOW - timedelta(hours=hours)))
    page = made(bench, Incident(Period(0, None), aware=aware), Form.HTML)
    assert words in page
    report = made(bench, Incident(Period(0, None), aware=aware))
    due = datetime.fromisoformat(report["incident"]["authority_due"])
    assert due - datetime.fromisoformat(report["incident"]["aware"]) == timedelta(hours=72)


def test_without_a_time_of_becoming_aware_the_report_says_so(bench):
    assert "No time of becoming aware was given" in made(bench, Incident(Period(0, None)), Form.HTML)


def test_csv_has_everybody(bench):
    incident = Incident(Period(0, None))
    rows = list(csv.DictReader(io.StringIO(made(bench, incident, Form.CSV), newline="")))
    affected = made(bench, incident)["affected"]
    assert [(row["patient"], row["studies"].split(";"), int(row["accesses"])) for row in rows] == [
        (row["patient"], row["studies"], row["accesses"]) for row in affected
    ]


def test_the_report_is_an_entry_that_holds_no_value_of_the_search(bench):
    bench.seal()
    before = len(bench.entries())
    made(bench, Incident(Period(0, None), token="t" * 22, address="198.51.100.7"))
    bench.seal()
    [entry] = [row for _, row in bench.entries()[before:] if row["action"] == "audit:report:create"]
    assert entry["detail"] == {"format": "json", "query": "time=range&token=exact&address=exact"}
    assert "t" * 22 not in json.dumps(entry["detail"])


@pytest.mark.parametrize(("limit", "value"), [("MAX_LOOKED_AT", 50), ("MAX_AFFECTED", 10)])
def test_limits_are_told(bench, monkeypatch, limit, value):
    monkeypatch.setattr(report_breach, limit, value)
    with pytest.raises(WardlightError, match="query-too-broad"):
        made(bench, Incident(Period(0, None)))


def test_another_institution_knows_nothing_of_it(bench):
    other = Bench(bench.platform, "elsewhere", "Elsewhere")
    other.seal()
    assert made(other, Incident(Period(0, None)))["total"]["accesses"] == 0
