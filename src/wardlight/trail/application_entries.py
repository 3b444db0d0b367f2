"""Takes in what applications say for the institution's audit trail (audit.md section 6).

The platform vouches for who said it, when it came, and what the grant was then; the rest is the application's word, in
`detail.claim`, under the source `application`. Each entry is recorded once, however often it comes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from wardlight import clock
from wardlight.access import store as grants
from wardlight.access.model import Grant, Operation, Scope
from wardlight.audit.actions import Action
from wardlight.audit.canonical import canonical
from wardlight.audit.model import Actor, Event, Outcome, Target
from wardlight.audit.recorder import Recorder
from wardlight.db.engine import Database
from wardlight.errors import WardlightError
from wardlight.identity.model import PrincipalKind
from wardlight.identity.rates import Rates
from wardlight.identity.service import actor_of
from wardlight.trail import application_store as store
from wardlight.trail.application_entry import EARLY_MS, LATE_MS, Claim, Definition, parse

#: Most entries of a request; requests in a minute; entries and changes of the definition in a day.
MAX_ENTRIES: Final = 100
REQUESTS_A_MINUTE: Final = 60
ENTRIES_A_DAY: Final = 50_000
DEFINITIONS_A_DAY: Final = 20
_DAY_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class _Sent:
    """An entry of a request. place: in the request. digest: of what was sent."""

    place: int
    claim: Claim
    digest: bytes
    sent: Mapping[str, Any] = field(repr=False)


class ApplicationEntries:
    """The trail of one platform, as applications write it."""

    def __init__(self, database: Database, recorder: Recorder, rates: Rates) -> None:
        self._database = database
        self._recorder = recorder
        self._rates = rates

    def define(self, scope: Scope, members: Mapping[str, Any]) -> Definition:
        """Register what entries of this application may say at this institution, in the place of what was before."""
        scope.require(Operation.ENTRIES)
        definition = Definition.parse(members)
        application = scope.principal.id
        content = json.dumps(definition.members(), sort_keys=True)
        with self._database.begin(scope.institution) as tx:
            if store.definition_of(tx, scope.institution, application) == content:
                return definition
            self._rates.take(tx, _key("define", scope), DEFINITIONS_A_DAY, _DAY_S)
            store.define(tx, scope.institution, application, content, clock.unix_ms())
            self._recorder.write(tx, scope.institution, _defined(scope, definition, content))
        return definition

    def record(self, scope: Scope, members: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Record what is new; tells of each, in its order, whether it is recorded, a duplicate, or refused, and why.

        All that is recorded is so in one transaction. Raises `bad-request`, `too-large`, `rate-limited`.
        """
        scope.require(Operation.ENTRIES)
        with self._database.begin(scope.institution) as tx:
            self._rates.take(tx, _key("request", scope), REQUESTS_A_MINUTE, 60)
        entries = members.get("entries")
        if members.keys() != {"entries"} or not isinstance(entries, list) or not entries:
            raise WardlightError("bad-request", "the body holds a list of entries, and nothing else")
        if len(entries) > MAX_ENTRIES:
            raise WardlightError("too-large", f"more than {MAX_ENTRIES} entries in one request")
        results: list[dict[str, Any]] = [{} for _ in entries]
        with self._database.begin(scope.institution) as tx:
            sent = _parsed(entries, self._definition(tx, scope), results)
            new = self._settle(tx, scope, sent, results)
            if new:
                self._rates.take(tx, _key("entry", scope), ENTRIES_A_DAY, _DAY_S, len(new))
                self._recorder.write_foreign(tx, scope.institution, new)
            refused = [result["error"]["code"] for result in results if result["status"] == "refused"]
            if refused:
                self._recorder.write(tx, scope.institution, _denied(scope, refused))
        return results

    def _definition(self, tx: Connection, scope: Scope) -> Definition:
        content = store.definition_of(tx, scope.institution, scope.principal.id)
        return Definition.parse(json.loads(content)) if content else Definition()

    def _settle(
        self, tx: Connection, scope: Scope, sent: Sequence[_Sent], results: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Decide on each; returns the entries to be written."""
        application, institution = scope.principal.id, scope.institution
        known = store.claims(tx, institution, application, {one.claim.id for one in sent})
        people = store.people(tx, institution, {one.claim.person for one in sent if one.claim.person})
        new = []
        # In the order of ids, so that two requests with the same entries wait for each other and do not deadlock.
        for one in sorted(sent, key=lambda each: (each.claim.id, each.place)):
            id_ = one.claim.id
            if id_ not in known:
                try:
                    entry = self._entry(tx, scope, one.claim, people)
                except WardlightError as error:
                    results[one.place] = _refused(one.sent, error)
                    continue
                if store.add_claim(tx, institution, application, id_, one.digest, UUID(entry["id"])):
                    known[id_] = (one.digest, UUID(entry["id"]))
                    new.append(entry)
                    results[one.place] = {"id": str(id_), "status": "recorded", "entry": entry["id"]}
                    continue
                known.update(store.claims(tx, institution, application, {id_}))
            digest, first = known[id_]
            if hmac.compare_digest(digest, one.digest):
                results[one.place] = {"id": str(id_), "status": "duplicate", "entry": str(first)}
            else:
                results[one.place] = _refused(one.sent, WardlightError("audit-id-reused"))
        return new

    def _entry(self, tx: Connection, scope: Scope, claim: Claim, people: set[str]) -> dict[str, Any]:
        """The entry as it is written. Raises what the claim is refused with."""
        now = clock.unix_ms()
        if not now - LATE_MS <= claim.time_ms <= now + EARLY_MS:
            raise WardlightError("bad-request", "time is more than 7 days past, or to come")
        if claim.person and claim.person not in people:
            raise WardlightError("not-found", "no such person")
        grant, state = self._grant(tx, scope, claim, now)
        event = Event(
            claim.action,
            actor_of(scope.principal),
            outcome=claim.outcome,
            target=Target("study", ref=grant.study_ref) if grant else None,
            subjects=((grant.patient_ref, grant.study_ref),) if grant else (),
            behalf=Actor(PrincipalKind.PERSON.value, claim.person) if claim.person else None,
            purpose=claim.purpose or scope.purpose,
            agreement=grant.agreement if grant else None,
            grant=grant.id.hex if grant else "",
            address=scope.address,
            request=scope.request,
            token=scope.principal.token_ref,
            detail={"claim": dict(claim.detail), **({"grant": state} if state else {})},
        )
        _, origin = self._recorder.log_for(tx, scope.institution)
        entry = self._recorder.entry(origin, event, event.subjects)
        return {**entry, "source": "application", "time": claim.time}

    def _grant(self, tx: Connection, scope: Scope, claim: Claim, now_ms: int) -> tuple[Grant | None, str]:
        """The grant that the claim names, and what it is now: `live`, or why it ended."""
        if claim.grant is None:
            return None, ""
        grant = grants.by_id(tx, scope.institution, claim.grant)
        # Of another application, another study, or never there: all the same to whoever asks.
        if (
            grant is None
            or grant.application != scope.principal.id
            or not self._is_of(scope, grant, claim.study)
        ):
            raise WardlightError("not-found", "no such grant and study")
        live = grants.live_by_id(tx, scope.institution, grant.id, now_ms)
        return grant, "live" if live else grant.ended_reason or "ended"

    def _is_of(self, scope: Scope, grant: Grant, study: str) -> bool:
        """Whether the grant's study has this UID in the application's view, by the reference of the grant's epoch."""
        return any(
            hmac.compare_digest(references.study(study), grant.study_ref)
            for references in self._recorder.all_references(scope.institution)
        )


def _key(what: str, scope: Scope) -> str:
    return f"audit-{what}:{scope.institution.hex}:{scope.principal.id}"


def _parsed(entries: Sequence[Any], definition: Definition, results: list[dict[str, Any]]) -> list[_Sent]:
    sent = []
    for place, one in enumerate(entries):
        try:
            claim = parse(one, definition)
        except WardlightError as error:
            results[place] = _refused(one, error)
        else:
            sent.append(_Sent(place, claim, hashlib.sha256(canonical(one)).digest(), one))
    return sent


def _refused(one: object, error: WardlightError) -> dict[str, Any]:
    id_ = one.get("id") if isinstance(one, dict) else None
    named = {"id": id_} if isinstance(id_, str) and len(id_) <= 36 else {}
    detail = error.detail or error.kind.title
    return {**named, "status": "refused", "error": {"code": error.code, "detail": detail}}


def _denied(scope: Scope, codes: Sequence[str]) -> Event:
    """The platform's own word on what it did not take."""
    return Event(
        Action.ACCESS_DECISION_DENY,
        actor_of(scope.principal),
        outcome=Outcome.DENIED,
        reason=codes[0],
        purpose=scope.purpose,
        address=scope.address,
        request=scope.request,
        token=scope.principal.token_ref,
        counts={"denied": len(codes)},
        detail={"action": Action.AUDIT_ENTRY_STORE.value, "status": 200},
    )


def _defined(scope: Scope, definition: Definition, content: str) -> Event:
    """digest: of what was registered, so that nobody can say later that it was something else."""
    return Event(
        Action.AUDIT_DEFINITION_CHANGE,
        actor_of(scope.principal),
        target=Target("application", id=scope.principal.id),
        address=scope.address,
        request=scope.request,
        token=scope.principal.token_ref,
        detail={
            "codes": len(definition.codes),
            "params": len(definition.params),
            "digest": hashlib.sha256(content.encode()).hexdigest(),
        },
    )
