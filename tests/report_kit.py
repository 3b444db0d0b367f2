"""A sealed trail of an institution: reads with and without end, lists, denials, what others told."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from unittest import mock

from wardlight import clock
from wardlight.access.model import Role
from wardlight.audit.actions import Action
from wardlight.audit.canonical import canonical
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.tables import pending
from wardlight.db.engine import EVERYWHERE
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail.report_service import Asker, Reports

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
READS = (
    Action.DICOMWEB_STUDY_READ,
    Action.DICOMWEB_FRAME_READ,
    Action.DICOMWEB_METADATA_READ,
    Action.DICOMWEB_STUDY_EXPORT,
)
STEPS = (
    Action.ARCHIVE_STUDY_COMPLETE,
    Action.DICOMWEB_STUDY_STORE,
    Action.ACCESS_GRANT_CREATE,
    Action.ARCHIVE_STUDY_DELETE,
)
IMAGES = ("health", "image:pseudonymised")
#: (issuer, Patient ID) of the patients; the first is the one who asks, and has two identifiers.
PATIENTS = (
    ("HOSP-A", "MRN-77123456"),
    ("", "PSEUDO-Z9-4711"),
    ("HOSP-A", "MRN-2"),
    ("HOSP-A", "MRN-3"),
    ("", "X"),
)
OWN = PATIENTS[:2]
#: Studies of each patient.
STUDIES = tuple(
    tuple(f"1.2.826.0.1.3680043.8.498.{number}.{n}" for n in range(3)) for number in range(len(PATIENTS))
)


class Bench:
    """A platform with one institution whose trail the tests write and seal."""

    def __init__(self, platform, slug="stmary", name="St. Mary Hospital"):
        self.platform = platform
        identity = platform.identity
        self.institution = identity.create_institution(slug, name, "eu", by=LOCAL_ADMINISTRATOR).id
        people = ("Ottoline Hale", "山田 太郎", "د. محمد علي")
        roles = (Role.CLINICIAN, Role.CLINICIAN, Role.ADMINISTRATOR)
        self.people = [
            identity.create_person(
                self.institution, f"{n}@{slug}.example", person, role, by=LOCAL_ADMINISTRATOR
            )
            for n, (person, role) in enumerate(zip(people, roles, strict=True))
        ]
        self.actors = [Actor("person", person.id, person.role.value) for person in self.people]
        self.references = platform.recorder.references(self.institution)
        self.reports = Reports(platform.parts)
        self.asker = Asker(self.institution, self.actors[2], address="192.0.2.9", request="ab" * 16)
        self.now = START

    def subject(self, patient, study):
        """The references of a study of a patient, by their numbers."""
        issuer, id_ = PATIENTS[patient]
        return self.references.patient(id_, issuer), self.references.study(STUDIES[patient][study])

    def write(self, event, *, source="platform", time="", of=""):
        """Write one event at the bench's time, as the platform or as somebody whose word it keeps; returns its id."""
        recorder = self.platform.recorder
        with self.at(self.now), self.platform.database.begin(EVERYWHERE) as tx:
            number, origin = recorder.log_for(tx, self.institution)
            entry = recorder.entry(origin, event, event.subjects)
            entry |= {"source": source} | ({"time": time} if time else {}) | ({"of": of} if of else {})
            tx.execute(pending.insert(), {"log": number, "content": canonical(entry)})
        return entry["id"]

    def at(self, moment):
        """The clock stands there."""
        return mock.patch.object(clock, "now", lambda: moment)

    def later(self, **span):
        self.now += timedelta(**span)

    def seal(self):
        while self.platform.sealer.seal():
            pass

    def entries(self):
        """(position, entry) of everything that is sealed, decoded from the leaves."""
        log = self.platform.audit_log
        head = log.logs(self.institution)[-1]
        return [(idx, json.loads(content)) for idx, content, _ in log.entries(head, 0, head.size) if content]

    def read(self, actor, subject, *, end="success", action=Action.DICOMWEB_STUDY_READ, **more):
        """A read session; `end` is its outcome, "" where it has none."""
        event = Event(
            action, actor, target=Target("study", ref=subject[1]), subjects=(subject,), purpose="TREAT",
            classes=IMAGES, phase="authorised", **more,
        )  # fmt: skip
        id_ = self.write(event)
        self.later(seconds=30)
        if end:
            counts = {} if end == "unknown" else {"requests": 2, "instances": 5, "frames": 5, "bytes": 7000}
            finished = Event(
                action, actor, Outcome(end), target=Target("study", ref=subject[1]), subjects=(subject,),
                phase="finished", counts=counts, purpose="TREAT", **more,
            )  # fmt: skip
            self.write(finished, of=id_)
        return id_

    def fill(self, seed, count):
        """Things that happen, by chance."""
        chance = random.Random(seed)
        for number in range(count):
            self.later(seconds=chance.randrange(1, 4000))
            actor = chance.choice(self.actors)
            subject = self.subject(chance.randrange(len(PATIENTS)), chance.randrange(3))
            what = chance.randrange(8)
            if what < 3:
                behalf = Actor("application", "acme_ai") if chance.random() < 0.3 else None
                end = chance.choice(("success", "success", "success", "unknown", ""))
                self.read(actor, subject, end=end, action=chance.choice(READS), behalf=behalf, token="t" * 22)
            elif what < 5:
                rows = {
                    self.subject(chance.randrange(len(PATIENTS)), chance.randrange(3))
                    for _ in range(chance.randrange(0, 9))
                }
                event = Event(
                    Action.DICOMWEB_STUDY_QUERY, actor, subjects=tuple(sorted(rows)), purpose="TREAT",
                    classes=("health",), counts={"results": len(rows)}, request=f"{number:032x}",
                )  # fmt: skip
                self.write(event)
            elif what == 5:
                event = Event(
                    Action.ACCESS_DECISION_DENY, actor, Outcome.DENIED, Target("study", ref=subject[1]),
                    subjects=(("", subject[1]),), reason="role", detail={"action": "x", "status": 403},
                    address="198.51.100.7",
                )  # fmt: skip
                self.write(event)
            elif what == 6:
                event = Event(
                    chance.choice(STEPS), Actor("system", "worker"), subjects=(subject,), classes=IMAGES
                )
                self.write(event)
            else:
                told = clock.timestamp(self.now - timedelta(hours=chance.randrange(48)))
                event = Event(Action.APP_STUDY_VIEW, Actor("application", "acme_ai"), subjects=(subject,))
                self.write(event, source="application", time=told)
        self.seal()
