"""Random operations on a live platform: afterwards each is in the trail exactly once, and nothing else is.

The model says of every operation what it must leave, from what was asked and how it was answered; read sessions are
counted by what was handed out. The trail is read from the tables, not by the code under test.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from archive_kit import dataset, part10
from platform_kit import STORES
from wardlight import jobs
from wardlight.access.model import Role, TokenScope
from wardlight.agreements.model import Level
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from web_kit import Web, a_web

BOUNDARY = "wardlight-property"
STUDIES = st.integers(0, 2)
ACTORS = st.sampled_from(("administrator", "clinician"))
NUMBERS = itertools.count(1)


class Trail:
    """The platform, what was done to it, and what the trail must say of that."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.platform = web.kit.platform
        self.institution = web.kit.institution
        self.run = next(NUMBERS)
        self.tokens = dict[str, str]()
        for role in (Role.ADMINISTRATOR, Role.CLINICIAN, Role.RESEARCHER, Role.PRIVACY_OFFICER):
            self.tokens[role.value] = self._token(role)
        self.stored: dict[int, list[bytes]] = {}
        self.quiet: set[int] = set()
        self.expected: Counter[Any] = Counter()
        #: Of open read sessions: (actor, action, study) → requests, instances, frames.
        self.reading: dict[tuple[str, str, int], list[int]] = {}
        self.settle()
        self.seen = self._last()

    def _token(self, role: Role) -> str:
        identity = self.platform.identity
        login = f"{role.value}-{next(NUMBERS)}@x.example"
        person = identity.create_person(self.institution.id, login, role.value, role, by=LOCAL_ADMINISTRATOR)
        scopes = (TokenScope.IMAGES_READ, TokenScope.IMAGES_STORE)
        return identity.issue_person_token(person, by=LOCAL_ADMINISTRATOR, scopes=scopes)

    def _last(self) -> int:
        return self.web.kit.sql("SELECT coalesce(max(seq), 0) FROM audit_pending")[0][0]

    def settle(self) -> None:
        """All that is under way ends: read sessions, counts of denials, completion of studies."""
        self.platform.sessions.close()
        self.platform.denials.close()
        while self.platform.archive.complete(_worker()):
            pass

    # What is done ---------------------------------------------------------------------------------------------

    def ask(self, actor: str | None, method: str, path: str, **options: Any) -> Any:
        headers = (
            {"Authorization": f"Bearer {self.tokens[actor]}"} if actor else {"Authorization": "Bearer no"}
        )
        headers |= options.pop("headers", {})
        return self.web.client.request(method, f"/dicom-web{path}", headers=headers, **options)

    def uid(self, study: int) -> str:
        return f"1.2.826.0.1.{self.run}.{study}"

    def file(self, study: int, number: int, **values: Any) -> bytes:
        return part10(
            dataset(
                StudyInstanceUID=self.uid(study),
                SeriesInstanceUID=f"{self.uid(study)}.1",
                SOPInstanceUID=f"{self.uid(study)}.1.{number}",
                **values,
            )
        )

    def store(self, actor: str, study: int, new: int, again: int, other: int, broken: int) -> None:
        """A request with so many new files, ones stored before, ones of other content, and no files at all."""
        held = self.stored.get(study, [])
        again, other = min(again, len(held)), min(other, len(held))
        fresh = [self.file(study, len(held) + n + 1) for n in range(new)]
        files = [*fresh, *held[:again]]
        files += [self.file(study, n + 1, StudyDescription="altered") for n in range(other)]
        files += [b"no DICOM at all"] * broken
        if not files:
            return
        body = b"".join(
            f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file + b"\r\n"
            for file in files
        )
        body += f"--{BOUNDARY}--".encode()
        answer = self.ask(
            actor, "POST", "/studies", content=body,
            headers={"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'},
        )  # fmt: skip
        assert answer.status_code in (200, 202, 409), answer.text
        if new + again + other:
            counts = {"instances": new, "duplicates": again, "conflicts": other}
            self.expect("dicomweb:study:store", "partial" if other else "success", actor, counts)
            if not held:
                self.expect("archive:key:create", "success", actor)
        if broken:
            self.expect("ingest:object:refuse", "denied", actor, {"instances": broken})
        self.stored.setdefault(study, []).extend(fresh) if fresh else None
        if fresh:
            self.quiet.discard(study)

    def search(self, actor: str, study: int) -> None:
        answer = self.ask(actor, "GET", f"/studies?StudyInstanceUID={self.uid(study)}")
        assert answer.status_code == 200
        assert len(answer.json()) == int(study in self.stored)
        self.expect("dicomweb:study:query", "success", actor, {"results": len(answer.json())})

    def search_for_nonsense(self, actor: str) -> None:
        assert self.ask(actor, "GET", "/studies?NoSuchKey=1").status_code == 400
        self.refused_later("dicomweb:study:query", "failed", actor)

    def read(self, actor: str, study: int, what: str) -> None:
        path = f"/studies/{self.uid(study)}"
        instance = f"{path}/series/{self.uid(study)}.1/instances/{self.uid(study)}.1.1"
        path, action, instances, frames = {
            "study": (path, "study", len(self.stored.get(study, ())), 0),
            "metadata": (f"{path}/metadata", "metadata", 0, 0),
            "frame": (f"{instance}/frames/1", "frame", 0, 1),
            "no frame": (f"{instance}/frames/9", "frame", 0, 0),
        }[what]
        accept = "application/dicom+json" if what == "metadata" else "*/*"
        answer = self.ask(actor, "GET", path, headers={"Accept": accept})
        action = f"dicomweb:{action}:read"
        if study in self.stored:
            session = self.reading.setdefault((actor, action, study), [0, 0, 0])
            for place, number in enumerate((1, instances, frames)):
                session[place] += number
        if study not in self.stored or what == "no frame":
            assert answer.status_code == 404
            self.refused_later(action, "failed", actor)
        else:
            assert answer.status_code == 200

    def denied(self, actor: str | None, study: int) -> None:
        answer = self.ask(actor, "GET", f"/studies/{self.uid(study)}")
        assert answer.status_code == (403 if actor else 401)
        self.refused_later("access:decision:deny", "denied", actor)

    def administer(self, what: str) -> None:
        identity, by, name = self.platform.identity, LOCAL_ADMINISTRATOR, f"x{next(NUMBERS)}"
        own = self.institution.id
        if what == "person":
            identity.create_person(own, name, name, Role.CLINICIAN, by=by)
            self.expect("identity:person:create", "success", "operator")
        elif what == "people":
            self.expect(
                "identity:person:read", "success", "operator", {"results": len(identity.people(own, by=by))}
            )
        elif what == "receiver":
            receiver = identity.create_receiver(own, name, by=by)
            identity.issue_receiver_token(receiver, by=by)
            identity.revoke_tokens(own, receiver.id, by=by)
            self.expect("identity:receiver:enrol", "success", "operator")
            self.expect("identity:token:issue", "success", "operator")
            self.expect("identity:token:revoke", "success", "operator", {"tokens": 1})
        elif what == "application":
            self.platform.applications.register(f"a_b_{name}", name, "Vendor", by=by)
            self.expect("identity:application:register", "success", "operator")
        elif what == "institution":
            identity.create_institution(name, name, "eu", by=by)
            # In its own log and in the operator's.
            self.expect("platform:institution:create", "success", "operator")
            self.expect("platform:institution:create", "success", "operator")
        elif what == "agreement":
            row = self.platform.agreements.create(
                own, "images", Level, legal_basis="gdpr:6.1.e+9.2.h", purposes=("TREAT",), attested_by="Kim", by=by
            )  # fmt: skip
            if row.version == 1:  # Images is subscribed to with its first agreement.
                self.expect("agreement:entitlement:subscribe", "success", "operator")
            self.expect(
                f"agreement:agreement:{'amend' if row.version > 1 else 'create'}", "success", "operator"
            )

    def work(self) -> None:
        """The worker comes by; each study that got something since is complete."""
        jobs.run(self.platform, jobs.ROUND)
        for study in self.stored.keys() - self.quiet:
            self.expect("archive:study:complete", "success", "worker", {"instances": len(self.stored[study])})
            self.quiet.add(study)

    def end_reads(self) -> None:
        """Sessions end, as they do after a minute of silence."""
        self.platform.sessions.sweep(everything=True)
        for (actor, action, study), (requests, instances, frames) in self.reading.items():
            counts = {"requests": requests, "instances": instances, "frames": frames}
            self.expect(action, "success", actor, {}, "authorised", study)
            self.expect(action, "success", actor, counts, "finished", study)
        self.reading.clear()

    # What must be in the trail --------------------------------------------------------------------------------

    def expect(
        self,
        action: str,
        outcome: str,
        actor: str | None,
        counts: dict[str, int] | None = None,
        phase: str = "",
        study: int | None = None,
    ) -> None:
        present = tuple(sorted((name, count) for name, count in (counts or {}).items() if count))
        self.expected[action, outcome, actor or "anonymous", present, phase, study] += 1

    def refused_later(self, action: str, outcome: str, actor: str | None) -> None:
        """One of those that are written singly up to ten, then as a count when their minute is over."""
        self.expected[action, outcome, actor or "anonymous", "capped"] += 1

    def entries(self) -> list[dict[str, Any]]:
        with self.platform.database.read(EVERYWHERE) as tx:
            rows = tx.execute(
                text("SELECT content FROM audit_pending WHERE seq > :seen ORDER BY seq"), {"seen": self.seen}
            ).scalars()
            return [json.loads(content) for content in rows]

    def found(self) -> Counter[Any]:
        """The trail in the model's words."""
        references = self.platform.recorder.references(self.institution.id)
        studies = {references.study(self.uid(study)): study for study in range(3)}
        found: Counter[Any] = Counter()
        for entry in self.entries():
            actor = entry["actor"].get("role") or entry["actor"]["kind"]
            actor = entry["actor"]["id"] if actor == "system" else actor
            counts = dict(entry.get("counts", {}))
            key = (entry["action"], entry["outcome"], actor)
            if entry["action"] == "access:decision:deny" or (
                entry["outcome"] == "failed" and entry["action"] != "ingest:object:refuse"
            ):
                found[(*key, "capped")] += counts.get("denied", counts.get("requests", 1))
                continue
            counts.pop("bytes", None)
            study = studies[entry["object"]["ref"]] if "phase" in entry else None
            present = tuple(sorted((name, count) for name, count in counts.items() if count))
            found[(*key, present, entry.get("phase", ""), study)] += 1
        return found


def _worker() -> Any:
    from wardlight.bootstrap import WORKER

    return WORKER


OPERATIONS = st.one_of(
    st.tuples(
        st.just("store"),
        ACTORS,
        STUDIES,
        st.integers(0, 3),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 2),
    ),
    st.tuples(st.just("read"), ACTORS, STUDIES, st.sampled_from(("study", "metadata", "frame", "no frame"))),
    st.tuples(st.just("search"), ACTORS, STUDIES),
    st.tuples(st.just("search_for_nonsense"), ACTORS),
    st.tuples(st.just("denied"), st.sampled_from(("privacy-officer", None)), STUDIES),
    st.tuples(
        st.just("administer"),
        st.sampled_from(("person", "people", "receiver", "application", "institution", "agreement")),
    ),
    st.tuples(st.just("work")),
    st.tuples(st.just("end_reads")),
)


@pytest.fixture(scope="module")
def web(stores):
    with a_web() as made:
        yield made


@pytest.mark.parametrize("stores", STORES, indirect=True, scope="module")
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(operations=st.lists(OPERATIONS, min_size=4, max_size=40))
def test_every_operation_is_in_the_trail_once_and_every_entry_is_of_an_operation(web, operations):
    trail = Trail(web)
    for name, *arguments in operations:
        getattr(trail, name)(*arguments)
    trail.end_reads()
    trail.platform.denials.sweep(everything=True)
    found = trail.found()
    assert found == trail.expected, {
        "missing": trail.expected - found, "of no operation": found - trail.expected
    }  # fmt: skip
    ids = [entry["id"] for entry in trail.entries()]
    assert len(ids) == len(set(ids))
    trail.settle()
