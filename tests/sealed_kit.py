"""A sealed log full of entries that tests know, and what must be found in it by reading all of it."""

from __future__ import annotations

import json
import random
from datetime import timedelta

from sqlalchemy import insert

from wardlight import clock
from wardlight.audit.actions import Action
from wardlight.audit.canonical import canonical
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.tables import pending
from wardlight.db.engine import EVERYWHERE

#: After everything that making an institution writes.
START = clock.now().replace(second=0, microsecond=0) + timedelta(hours=1)
ACTIONS = (
    Action.DICOMWEB_STUDY_READ,
    Action.DICOMWEB_STUDY_QUERY,
    Action.IDENTITY_SESSION_LOGIN,
    Action.RECEIVER_ROUTE_CHANGE,
    Action.ACCESS_DECISION_DENY,
)
PEOPLE = tuple(f"u-{number:02}" for number in range(6))
PURPOSES = ("TREAT", "HRESCH", "")


def fill(platform, institution, count, *, seed=1, patients=12, step_s=60):
    """Seal `count` entries, a minute apart but for some that come late; returns them as they stand in the log."""
    chance = random.Random(seed)
    references = platform.recorder.references(institution)
    with platform.database.begin(EVERYWHERE) as tx:
        number, origin = platform.recorder.log_for(tx, institution)
        rows = []
        for place in range(count):
            patient = chance.randrange(patients)
            action = chance.choice(ACTIONS)
            subjects = ()
            if action in ACTIONS[:2]:
                subjects = (
                    (references.patient(f"PAT-{patient}", "hospital"), references.study(f"1.2.{patient}")),
                )
            event = Event(
                action,
                Actor("person", chance.choice(PEOPLE), "clinician"),
                outcome=chance.choices(list(Outcome), (20, 3, 2, 1, 1))[0],
                target=Target("route", id=f"rt-{patient}")
                if action is Action.RECEIVER_ROUTE_CHANGE
                else None,
                subjects=subjects,
                purpose=chance.choice(PURPOSES),
                grant=f"gr-{patient}" if subjects else "",
            )
            entry = platform.recorder.entry(origin, event, subjects)
            late = chance.choice((0, 0, 0, 20))
            entry["recorded"] = clock.timestamp(START + timedelta(seconds=place * step_s - late))
            rows.append({"log": number, "content": canonical(entry)})
        tx.execute(insert(pending), rows)
    seal(platform)
    return sealed(platform, institution)


def seal(platform):
    """Seal everything that waits."""
    for _ in range(100):
        if not platform.sealer.seal():
            return
    raise AssertionError("the sealer never comes to an end")


def sealed(platform, institution):
    """All entries of the newest log, by position."""
    head = platform.audit_log.logs(institution)[-1]
    return [json.loads(content) for _, content, _ in platform.audit_log.entries(head, 0, head.size)]
