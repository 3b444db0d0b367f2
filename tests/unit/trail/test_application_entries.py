"""Entries of applications: each recorded once, tied to a grant of theirs, without free text; hostile ones refused."""

from __future__ import annotations

import copy
import json
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from archive_kit import REQUEST, Kit
from platform_kit import a_platform
from trail_kit import seal
from wardlight import clock
from wardlight.access import store as grants
from wardlight.access.model import Grant, Operation, Principal, PrincipalKind, Rights, Role, TokenScope
from wardlight.audit.actions import Action
from wardlight.db.engine import EVERYWHERE
from wardlight.db.ids import uuid7
from wardlight.errors import WardlightError
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.trail import application_entries as limits
from wardlight.trail.application_entry import Definition, parse
from wardlight.trail.dicom_message import messages
from wardlight.trail.entry import Sealed
from wardlight.trail.fhir import events

STUDY, PATIENT = "2.25.4711", "PSEUDO-1"
DEFINITION = {"codes": ["report-signed", "no-finding"], "params": {"slices": "integer", "urgent": "boolean",
                                                                     "tool": ["lung-nodule", "v1.2"]}}  # fmt: skip


@pytest.fixture(scope="module")
def platform(stores):
    with a_platform() as built:
        yield built


@pytest.fixture(scope="module")
def kit(platform):
    return Kit(platform, platform.settings.data_dir)


class Speaker:
    """An application at the kit's institution, with one grant."""

    def __init__(self, kit, id_="acme_ai_prod"):
        self.kit, self.platform, self.id = kit, kit.platform, id_
        self.institution = kit.institution.id
        self.principal = Principal(
            PrincipalKind.APPLICATION, id_, self.institution, None, frozenset({TokenScope.AUDIT_WRITE}), "tok",
            purpose="HRESCH",
        )  # fmt: skip
        self.entries = self.platform.api.application_entries
        self.grant = self.new_grant()

    def new_grant(self, study=STUDY, **more):
        now = clock.unix_ms()
        references = self.platform.recorder.references(self.institution)
        row = Grant(
            id=uuid7(), institution=self.institution, application=self.id, person=None, release=uuid4(),
            study_group=bytes(16), patient_ref=references.patient(PATIENT), study_ref=references.study(study),
            agreement=("agr-1", 1), purposes=("HRESCH",), rights=frozenset(Rights), not_before_ms=now,
            expires_ms=now + 3_600_000, created_ms=now, created_by="system:access", **more,
        )  # fmt: skip
        with self.platform.database.begin(self.institution) as tx:
            grants.add(tx, row)
        return row

    def scope(self):
        return self.platform.access.scope_for(
            self.principal, Action.AUDIT_ENTRY_STORE, operation=Operation.ENTRIES, request=REQUEST,
            address="192.0.2.17",
        )  # fmt: skip

    def define(self, definition=DEFINITION):
        return self.entries.define(self.scope(), definition)

    def send(self, *entries):
        body = json.loads(json.dumps({"entries": entries}))
        return self.entries.record(self.scope(), body)

    def entry(self, **more):
        """One that says all that can be said; None leaves a member out."""
        whole = {
            "id": str(uuid4()), "action": "app:study:process", "time": at(0), "grant": self.grant.id.hex,
            "study": STUDY, "user": {"local": "dr.m"}, "purpose": "TREAT", "outcome": "success",
            "code": "report-signed", "reason": "no-finding",
            "params": {"slices": 120, "tool": "lung-nodule", "urgent": True},
        }  # fmt: skip
        return {name: value for name, value in (whole | more).items() if value is not None}


def at(seconds: float) -> str:
    return clock.timestamp(datetime.now(UTC) + timedelta(seconds=seconds))


@pytest.fixture
def speaker(kit):
    """Another application each time: what one did counts against no other."""
    made = Speaker(kit, f"acme_{uuid4().hex[:8]}_prod")
    made.define()
    return made


def statuses(results):
    return [result["status"] for result in results]


def codes(results):
    return [result["error"]["code"] for result in results]


def written(speaker):
    """The log's entries of this application, pending ones too, oldest first."""
    with speaker.platform.database.read(EVERYWHERE) as tx:
        rows = [
            *tx.execute(
                text("SELECT content FROM audit_entry WHERE content IS NOT NULL ORDER BY log, idx")
            ).scalars(),
            *tx.execute(text("SELECT content FROM audit_pending ORDER BY seq")).scalars(),
        ]
    found = [json.loads(bytes(content)) for content in rows]
    return [one for one in found if one["actor"]["id"] == speaker.id]


def said(speaker):
    return [one for one in written(speaker) if one["source"] == "application"]


# ---- what is recorded ----


def test_an_entry_is_the_applications_word_beside_what_the_platform_knows(speaker) -> None:
    sent = speaker.entry()
    (result,) = speaker.send(sent)
    assert result == {"id": sent["id"], "status": "recorded", "entry": result["entry"]}
    (entry,) = said(speaker)
    references = speaker.platform.recorder.references(speaker.institution)
    assert entry.pop("salt") and entry.pop("recorded") and entry.pop("log").endswith("/audit/stmary/1")
    assert entry == {
        "v": 1, "id": result["entry"], "node": speaker.platform.recorder.node, "source": "application",
        "action": "app:study:process", "time": sent["time"], "outcome": "success", "purpose": "TREAT",
        "actor": {"kind": "application", "id": speaker.id}, "token": "tok", "request": REQUEST,
        "network": {"address": "192.0.2.17"}, "grant": speaker.grant.id.hex,
        "agreement": {"id": "agr-1", "version": 1},
        "object": {"kind": "study", "ref": references.study(STUDY)},
        "subjects": [{"patient": references.patient(PATIENT), "study": references.study(STUDY)}],
        "detail": {
            "grant": "ended",  # agreement, subscription and application are not there: it gives no access
            "claim": {
                "id": sent["id"], "user": "dr.m", "code": "report-signed", "reason": "no-finding",
                "params": sent["params"],
            },
        },
    }  # fmt: skip


def test_without_study_and_with_a_person_of_the_institution(speaker, kit) -> None:
    person = kit.platform.identity.create_person(
        speaker.institution, f"{uuid4().hex}@x.example", "A", Role.CLINICIAN, by=LOCAL_ADMINISTRATOR
    )
    least = {"id": str(uuid4()), "action": "app:user:login", "time": at(-1), "user": {"id": person.id}}
    assert statuses(speaker.send(least)) == ["recorded"]
    (entry,) = said(speaker)
    assert entry["behalf"] == {"kind": "person", "id": person.id}
    assert entry["purpose"] == "HRESCH"  # the token's
    assert not entry.keys() & {"grant", "object", "subjects", "agreement"}
    least |= {"id": str(uuid4()), "user": {"id": "u-nobody"}}
    assert codes(speaker.send(least)) == ["not-found"]


def test_what_the_grant_was_is_told(speaker, kit) -> None:
    now = clock.unix_ms()
    ended = speaker.new_grant("2.25.5", ended_ms=now, ended_reason="revoked")
    speaker.send(speaker.entry(grant=ended.id.hex, study="2.25.5"))
    assert said(speaker)[-1]["detail"]["grant"] == "revoked"


def test_a_study_is_found_by_the_reference_of_its_grants_epoch(speaker, kit) -> None:
    kit.platform.recorder.open_reference_epoch(
        kit.platform.database, speaker.institution, by=LOCAL_ADMINISTRATOR
    )
    newer = speaker.new_grant("2.25.6")
    results = speaker.send(speaker.entry(), speaker.entry(grant=newer.id.hex, study="2.25.6"))
    assert statuses(results) == ["recorded", "recorded"]


def test_it_is_sealed_mapped_and_marked(speaker) -> None:
    speaker.send(speaker.entry())
    seal(speaker.platform)
    content = next(one for one in written(speaker) if one["source"] == "application")
    sealed = Sealed(0, bytes(32), content)
    (event,) = events(sealed)
    assert event["source"]["observer"]["identifier"]["value"] == speaker.id
    assert event["period"]["start"] == content["time"]
    assert {"type": "claim", "valueString": "report-signed"} in event["entity"][1]["detail"]
    (message,) = messages(sealed)
    assert f'AuditSourceID="{speaker.id}@'.encode() in message
    assert b'type="claim"' in message


# ---- once each ----


def test_the_same_again_is_a_duplicate_and_other_content_is_refused(speaker) -> None:
    one, other = speaker.entry(), speaker.entry()
    first = speaker.send(one, other)
    again = speaker.send(other, one, one)
    assert statuses(again) == ["duplicate"] * 3
    assert [result["entry"] for result in again] == [first[1]["entry"], first[0]["entry"], first[0]["entry"]]
    changed = speaker.send({**one, "code": "no-finding"})
    assert codes(changed) == ["audit-id-reused"]
    twice = speaker.entry()
    mixed = speaker.send(twice, twice, {**twice, "code": "no-finding"})
    assert statuses(mixed) == ["recorded", "duplicate", "refused"]
    assert len(said(speaker)) == 3


def test_a_known_entry_is_a_duplicate_when_its_time_is_long_past(speaker, monkeypatch) -> None:
    entry = speaker.entry()
    first = speaker.send(entry)
    later = clock.unix_ms() + 30 * 24 * 3_600_000
    monkeypatch.setattr(clock, "unix_ms", lambda: later)
    assert speaker.send(entry) == [{**first[0], "status": "duplicate"}]


def test_an_id_of_another_application_is_ones_own(speaker, kit) -> None:
    other = Speaker(kit, f"other_{uuid4().hex[:8]}_prod")
    other.define()
    id_ = str(uuid4())
    assert statuses(speaker.send(speaker.entry(id=id_))) == ["recorded"]
    assert statuses(other.send(other.entry(id=id_))) == ["recorded"]


def test_many_at_once_record_each_once(speaker) -> None:
    entries = [speaker.entry() for _ in range(6)]
    results: list[list[dict]] = []

    def send(order) -> None:
        results.append(speaker.send(*order))

    threads = [
        threading.Thread(target=send, args=(entries if number % 2 else entries[::-1],)) for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (
        sorted(status for each in results for status in statuses(each))
        == ["duplicate"] * 18 + ["recorded"] * 6
    )
    assert len(said(speaker)) == 6
    assert {(one["id"], one["entry"]) for each in results for one in each} == {
        (one["detail"]["claim"]["id"], one["id"]) for one in said(speaker)
    }


def test_an_entry_that_cannot_be_written_is_not_known(speaker, monkeypatch) -> None:
    entry = speaker.entry()

    def broken(*arguments):
        raise OSError

    monkeypatch.setattr(speaker.platform.recorder, "write_foreign", broken)
    with pytest.raises(OSError):
        speaker.send(entry)
    monkeypatch.undo()
    assert statuses(speaker.send(entry)) == ["recorded"]


# ---- what is refused ----


HOSTILE = [
    {"action": "dicomweb:study:read"}, {"action": "audit:entries:prune"}, {"action": "app:study:nothing"},
    {"action": ["app:study:view"]}, {"source": "platform"}, {"actor": {"kind": "person", "id": "u"}},
    {"recorded": "2026-11-24T08:01:00.000Z"}, {"salt": "A" * 22}, {"log": "x"}, {"detail": {}},
    {"id": None}, {"id": "x"}, {"id": str(uuid4()).upper()}, {"id": 5}, {"id": {}},
    {"time": None}, {"time": "2026-11-24"}, {"time": "2026-13-24T08:01:00.000Z"}, {"time": 5},
    {"time": at(-7 * 86_400 - 60)}, {"time": at(6 * 3600)},
    {"study": None}, {"grant": None}, {"study": "x"}, {"study": "1.2\n"}, {"grant": "gr-881"}, {"grant": "A" * 32},
    {"purpose": "CURIOSITY"}, {"purpose": ""}, {"outcome": "maybe"}, {"outcome": ["success"]}, {"reason": 5},
    {"user": {"local": "Müller^Anna"}}, {"user": {"local": "dr m"}}, {"user": {"id": "u", "local": "x"}},
    {"user": {}}, {"user": "dr.m"}, {"user": {"local": "x" * 33}}, {"user": {"id": "A' OR 1=1"}},
    {"code": "Patient-Anna-Mueller"}, {"code": ""}, {"code": 5}, {"code": "report signed"},
    {"reason": "because of Anna"}, {"reason": "unregistered"},
    {"params": {"note": "Anna Müller"}}, {"params": {"tool": "Anna"}}, {"params": {"slices": "120"}},
    {"params": {"slices": True}}, {"params": {"urgent": 1}}, {"params": {"slices": 1.5}}, {"params": []},
    {"params": {"slices": 2**53}}, {"params": {"tool": ["lung-nodule"]}}, {"params": {"tool": None}},
    {"params": {"slices": {"a": {"b": 1}}}}, {"comment": "Anna"},
]  # fmt: skip


def test_what_an_application_may_not_say(speaker) -> None:
    bad = [speaker.entry() | change for change in HOSTILE]
    for entry, change in zip(bad, HOSTILE, strict=True):
        for name in change:
            if change[name] is None:
                del entry[name]
    *refused, recorded = speaker.send(*bad, speaker.entry())
    for change, result in zip(HOSTILE, refused, strict=True):
        assert result["status"] == "refused", change
        assert result["error"]["code"] == "bad-request", change
    assert recorded["status"] == "recorded"
    assert len(said(speaker)) == 1
    denial = next(one for one in written(speaker) if one["action"] == "access:decision:deny")
    assert (denial["outcome"], denial["reason"]) == ("denied", "bad-request")
    assert denial["counts"] == {"denied": len(HOSTILE)}
    assert denial["detail"]["action"] == "audit:entry:store"
    assert "Anna" not in json.dumps([refused, denial], ensure_ascii=False)


def test_of_a_foreign_grant_nothing_is_said(speaker, kit) -> None:
    other = Speaker(kit, f"other_{uuid4().hex[:8]}_prod")
    results = speaker.send(
        speaker.entry(grant=other.grant.id.hex),  # another application's, of the same study
        speaker.entry(study="2.25.4712"),  # its own, of another study
        speaker.entry(grant="0" * 32),  # nobody's
    )
    assert statuses(results) == ["refused"] * 3
    # None of them can be told from the others.
    assert len({json.dumps(result["error"]) for result in results}) == 1
    assert codes(results)[0] == "not-found"
    assert said(speaker) == []


def test_a_grant_of_another_institution_is_nobodys(speaker, kit) -> None:
    elsewhere = kit.platform.identity.create_institution(
        f"h{uuid4().hex[:8]}", "Elsewhere", "eu", by=LOCAL_ADMINISTRATOR
    )
    speaker.institution = elsewhere.id
    grant = speaker.new_grant()
    assert codes(speaker.send(speaker.entry(grant=grant.id.hex))) == ["not-found"]


def test_without_a_definition_there_are_no_codes(kit) -> None:
    silent = Speaker(kit, f"silent_{uuid4().hex[:8]}_prod")
    plain = {"code": None, "reason": None, "params": None}
    results = silent.send(silent.entry(**plain), silent.entry(**plain, outcome="failed"), silent.entry())
    assert statuses(results) == ["recorded", "recorded", "refused"]


def test_no_one_else_may(speaker) -> None:
    for principal in (
        Principal(PrincipalKind.APPLICATION, speaker.id, speaker.institution, None, frozenset({"images.read"})),
        Principal(PrincipalKind.RECEIVER, "gw", speaker.institution, None, frozenset(TokenScope)),
        Principal(PrincipalKind.PERSON, "u", speaker.institution, Role.ADMINISTRATOR,
                  frozenset(TokenScope)),
    ):  # fmt: skip
        speaker.principal = principal
        with pytest.raises(WardlightError, match="forbidden"):
            speaker.scope()


# ---- limits ----


def test_so_many_and_no_more(speaker) -> None:
    for body in ({}, {"entries": []}, {"entries": {}}, {"entries": [], "more": 1}, []):
        if isinstance(body, dict):
            with pytest.raises(WardlightError, match="bad-request"):
                speaker.entries.record(speaker.scope(), body)
    assert len(speaker.send(*[{"id": "x"}] * 100)) == 100
    with pytest.raises(WardlightError, match="too-large"):
        speaker.send(*[{"id": "x"}] * 101)
    for value in (None, 5, "x", [], {}):
        assert codes(speaker.send(value)) == ["bad-request"]


def test_an_entry_has_four_kibibytes(speaker) -> None:
    values = [f"{number:02}" + "x" * 62 for number in range(64)]
    speaker.define({"params": {f"p{number:02}": values for number in range(16)}})
    params = {f"p{number:02}": values[number] for number in range(16)}
    assert statuses(speaker.send(speaker.entry(code=None, reason=None, params=params))) == ["recorded"]
    long = {"id": str(uuid4()), "action": "app:record:note", "time": at(0), "code": "x" * 4096}
    assert codes(speaker.send(long)) == ["too-large"]


def test_requests_a_minute(speaker, monkeypatch) -> None:
    now = clock.unix_ms()
    monkeypatch.setattr(clock, "unix_ms", lambda: now)
    entry = speaker.entry()
    for _ in range(60):
        speaker.send(entry)
    with pytest.raises(WardlightError, match="rate-limited") as raised:
        speaker.send(entry)
    assert raised.value.headers["Retry-After"] == "1"


def test_entries_a_day(speaker, monkeypatch, kit) -> None:
    monkeypatch.setattr(limits, "ENTRIES_A_DAY", 3)
    now = clock.unix_ms()
    monkeypatch.setattr(clock, "unix_ms", lambda: now)
    one = speaker.entry()
    assert statuses(speaker.send(one, speaker.entry())) == ["recorded", "recorded"]
    assert statuses(speaker.send(one)) == ["duplicate"]  # which counts for nothing
    with pytest.raises(WardlightError, match="rate-limited") as raised:
        speaker.send(speaker.entry(), speaker.entry())
    assert int(raised.value.headers["Retry-After"]) == 28_800  # a third of a day
    assert len(said(speaker)) == 2
    assert statuses(speaker.send(speaker.entry())) == ["recorded"]
    other = Speaker(kit, f"other_{uuid4().hex[:8]}_prod")
    other.define()
    assert statuses(other.send(other.entry())) == ["recorded"]


# ---- definitions ----


def test_a_definition_is_replaced_and_told_of_once(speaker) -> None:
    assert speaker.define() == speaker.define(copy.deepcopy(DEFINITION))
    speaker.define({"codes": ["other"]})
    told = [one for one in written(speaker) if one["action"] == "audit:definition:change"]
    assert [(one["detail"]["codes"], one["detail"]["params"]) for one in told] == [(2, 3), (1, 0)]
    assert told[0]["detail"]["digest"] != told[1]["detail"]["digest"]
    assert codes(speaker.send(speaker.entry())) == ["bad-request"]
    assert statuses(speaker.send(speaker.entry(code="other", reason=None, params=None))) == ["recorded"]


def test_definitions_a_day(speaker) -> None:
    for number in range(limits.DEFINITIONS_A_DAY - 1):
        speaker.define({"codes": [f"code-{number}"]})
    with pytest.raises(WardlightError, match="rate-limited"):
        speaker.define({"codes": ["one-more"]})


@pytest.mark.parametrize(
    "definition",
    [
        {"code": []}, {"codes": {}}, {"codes": ["a b"]}, {"codes": ["a"] * 65}, {"codes": [""]}, {"codes": ["x" * 65]},
        {"codes": [5]}, {"codes": ["Müller"]}, {"params": []}, {"params": {f"p{i}": "integer" for i in range(17)}},
        {"params": {"A": "integer"}}, {"params": {"": "integer"}}, {"params": {"a": "text"}}, {"params": {"a": 5}},
        {"params": {"a": ["x"] * 65}}, {"params": {"a": ["x y"]}}, {"params": {"a": {}}}, {"params": {"a": None}},
    ],
)  # fmt: skip
def test_definitions_that_are_none(definition) -> None:
    with pytest.raises(WardlightError, match="bad-request"):
        Definition.parse(definition)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_MEMBERS = (
    "id",
    "action",
    "time",
    "grant",
    "study",
    "user",
    "purpose",
    "outcome",
    "reason",
    "code",
    "params",
    "x",
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(_MEMBERS), _ANY, max_size=6))
def test_anything_is_refused_by_an_error_of_the_catalogue(members) -> None:
    entry = {
        "id": str(UUID(int=5)), "action": "app:study:view", "time": "2026-11-24T08:01:00.000Z",
        "grant": "0" * 32, "study": "1.2",
    } | members  # fmt: skip
    try:
        claim = parse(entry, Definition.parse(DEFINITION))
    except WardlightError as error:
        assert error.code in ("bad-request", "too-large")
    else:
        assert claim.action.value.startswith("app:")
