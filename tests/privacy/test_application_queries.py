"""What an application's searches tell of patients that were not granted to it: nothing, by answer, work or time.

Security test 27: for each kind of key, a patient of others and one that nobody has are asked for in turn.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from share_kit import ACME, BETA, CANARIES, Desk, a_desk, ct
from wardlight.agreements.model import IMAGES, Level
from wardlight.bootstrap import WORKER

PATIENTS = 60
#: Searches of each kind that are timed, and by how much their medians may differ: more than that is no noise.
TIMED, FACTOR = 20, 1.5


_NAMES = ("OWN", "MUSTER", "NOBODY")


def values(number: int, name: str = "MUSTER") -> dict[str, str]:
    return {
        "PatientID": f"PAT-{name}-{number:03}", "PatientName": f"{name}{number:03}^X", "StudyID": "S",
        "AccessionNumber": f"ACC-{name}-{number:03}", "StudyInstanceUID": f"1.2.826.0.1.{_NAMES.index(name)}.{number}",
        "SeriesInstanceUID": f"1.2.826.0.1.{_NAMES.index(name)}.{number}.1",
        "SOPInstanceUID": f"1.2.826.0.1.{_NAMES.index(name)}.{number}.1.1",
    }  # fmt: skip


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """Three studies are granted to the application, sixty are Images' and another application's."""
    with a_desk() as built:
        kit = built.hospital
        for number in range(3):
            kit.store(ct(**values(number, "OWN")), application=ACME, level=Level.IDENTIFIED)
        for number in range(PATIENTS):
            kit.store(ct(**values(number)), application=IMAGES, level=Level.IDENTIFIED)
            kit.store(ct(**values(number)), application=BETA, level=Level.IDENTIFIED)
        kit.archive.complete(WORKER)
        # Into postings, which are the institution's: both what is granted and what is not stands there.
        assert kit.archive._postings.merge(kit.institution.id) == 3 + 2 * PATIENTS
        yield built


def keys(number: int, name: str) -> dict[str, str]:
    """Searches for one patient, by kind."""
    one = values(number, name)
    return {
        "id": f"/studies?PatientID={one['PatientID']}",
        "name": f"/studies?PatientName={one['PatientName']}",
        "prefix": f"/studies?PatientName={one['PatientName'][:8]}*",
        "inside": f"/studies?PatientName=*{one['PatientName'][2:8]}*",
        "fuzzy": f"/studies?PatientName={one['PatientName'].replace('^', ' ')}&fuzzymatching=true",
        "accession": f"/studies?AccessionNumber={one['AccessionNumber']}",
        "study": f"/studies?StudyInstanceUID={one['StudyInstanceUID']}",
        "series": f"/series?SeriesInstanceUID={one['SeriesInstanceUID']}",
        "instance": f"/instances?SOPInstanceUID={one['SOPInstanceUID']}",
        "below": f"/studies/{one['StudyInstanceUID']}/series",
        "metadata": f"/studies/{one['StudyInstanceUID']}/metadata",
        "file": f"/studies/{one['StudyInstanceUID']}",
    }


KINDS = list(keys(0, "MUSTER"))


_LIST = re.compile(r"IN \((\?(, \?)*|SELECT 1 FROM \(SELECT 1\) WHERE 1!=1)\)")


class Watch:
    """Counts the statements that a request runs, and takes its time."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.token = desk, desk.hospital.token(ACME)
        self.statements: list[str] = []
        database: Any = desk.hospital.platform.database
        for engine in {database._writer, database._reader}:
            event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        self.statements.append(statement)

    def ask(self, path: str, token: str | None = "") -> tuple[int, bytes, list[str], float]:
        self.statements = []
        began = time.process_time()
        held = token if token is None else self.token
        answer = self.desk.ask("GET", "/dicom-web" + path, held, headers={"Accept": "application/dicom+json"})
        took = time.process_time() - began
        body = answer.content
        if answer.status_code >= 400:
            problem = answer.json()
            problem.pop("request")
            body = repr(sorted(problem.items())).encode()
        return answer.status_code, body, self.statements, took


@pytest.fixture(scope="module")
def watch(desk: Desk) -> Watch:
    return Watch(desk)


def test_what_was_granted_is_found(watch: Watch) -> None:
    for kind, path in keys(1, "OWN").items():
        if kind not in ("file", "fuzzy"):
            status, body, *_ = watch.ask(path)
            assert status == 200 and len(body) > 10, kind


def test_of_whom_may_see_both_the_same_watch_sees_a_difference(watch: Watch) -> None:
    for kind in ("id", "prefix", "study"):
        theirs, nobodys = (watch.ask(keys(1, name)[kind], token=None) for name in ("MUSTER", "NOBODY"))
        assert theirs[1] != nobodys[1], kind
        assert theirs[2] != nobodys[2], kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_patient_of_others_is_as_one_that_nobody_has(watch: Watch, kind: str) -> None:
    times: dict[str, list[float]] = {"MUSTER": [], "NOBODY": []}
    seen: dict[str, set[tuple[int, bytes, str]]] = {"MUSTER": set(), "NOBODY": set()}
    for number in range(TIMED):
        # In turn, and each first half of the time: what the machine does meanwhile falls on both.
        order = ("MUSTER", "NOBODY") if number % 2 else ("NOBODY", "MUSTER")
        for name in order:
            status, body, statements, took = watch.ask(keys(number, name)[kind])
            assert not any(value.encode() in body for value in CANARIES.values())
            times[name].append(took)
            # How long a list is that is looked up by index is noise.
            seen[name].add((status, body, _LIST.sub("IN (…)", "\n".join(statements))))
    assert {one[:2] for one in seen["MUSTER"]} == {one[:2] for one in seen["NOBODY"]}
    assert {one[2] for one in seen["MUSTER"]} == {one[2] for one in seen["NOBODY"]}
    theirs, nobodys = (statistics.median(times[name]) for name in ("MUSTER", "NOBODY"))
    assert 1 / FACTOR < theirs / nobodys < FACTOR
