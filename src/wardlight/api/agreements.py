"""What an institution agreed to, and where third parties' data is from (R2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from wardlight import clock
from wardlight.agreements.model import ACCESS_S, Agreement, Level, Source, SourceKind, Terms
from wardlight.agreements.purposes import PURPOSES
from wardlight.agreements.service import differences
from wardlight.api.call import ApiRequest
from wardlight.api.fields import Fields
from wardlight.audit.actions import Action
from wardlight.audit.model import Event
from wardlight.classification.model import DataClass
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.trail.call import answer

_TERMS: Final = frozenset(
    {
        "levels", "minimum_level", "legal_basis", "purposes", "attested_by", "document", "attested", "classes",
        "region", "transfer", "access_s", "retention_days", "source", "results_of", "ends", "of_version",
    }
)  # fmt: skip
_SOURCE: Final = frozenset(
    {"kind", "name", "legal_basis", "attested_by", "document", "anonymised", "evidence"}
)


def listed(request: ApiRequest) -> Answer:
    """GET /api/v1/agreements: the newest version of each."""
    rows = request.platform.agreements.list(request.scope.institution)
    newest = list({row.application: row for row in reversed(rows)}.values())
    _read(request, len(newest))
    return answer({"agreements": [_row(row, newest=True) for row in newest]})


def versions(request: ApiRequest) -> Answer:
    """GET /api/v1/agreements/{application}: all versions, newest first, each with what it changed."""
    rows = request.platform.agreements.list(request.scope.institution, request.path["application"])
    if not rows:
        raise WardlightError("not-found")
    _read(request, len(rows))
    return answer(_versions(rows))


def agree(request: ApiRequest) -> Answer:
    """PUT /api/v1/agreements/{application}: agree, or amend; what an amendment does not name stays as it is."""
    agreements, application = request.platform.agreements, request.path["application"]
    institution = request.scope.institution
    changes, of_version = _terms(request.body)
    if agreements.list(institution, application):
        row = agreements.amend(institution, application, changes, by=request.actor, of_version=of_version)
    else:
        if missing := {"levels", "legal_basis", "purposes"} - changes.keys():
            raise WardlightError("bad-request", f"{', '.join(sorted(missing))} are missing")
        row = agreements.record(institution, application, Terms(**changes), by=request.actor)
    return answer(_row(row, newest=True), 201 if row.version == 1 else 200)


def withdraw(request: ApiRequest) -> Answer:
    """DELETE /api/v1/agreements/{application}: all versions, or one; access that rests on them is over."""
    version = request.query.get("version", "")
    if version and (not version.isascii() or not version.isdigit() or len(version) > 9):
        raise WardlightError("bad-request", "version is a number")
    rows = request.platform.agreements.withdraw(
        request.scope.institution,
        request.path["application"],
        by=request.actor,
        version=int(version) if version else None,
    )
    return answer({"agreement": rows[0].id, "withdrawn": sorted(row.version for row in rows)})


def standing(request: ApiRequest) -> Answer:
    """GET /api/v1/receiver/agreements: for which releases the receiver may take data in, and why not for others."""
    found = request.platform.agreements.standing(request.scope.institution)
    rows = [
        {"application": application, "level": level.value, "reason": reason}
        for (application, level), reason in sorted(found.items())
    ]
    return answer({"targets": rows})


def sources(request: ApiRequest) -> Answer:
    """GET /api/v1/sources."""
    rows = request.platform.sources.list(request.scope.institution)
    _read(request, len(rows))
    return answer({"sources": [_source(row) for row in rows]})


def record_source(request: ApiRequest) -> Answer:
    """POST /api/v1/sources: who provides data, on which legal basis, attested by whom."""
    body = Fields(request.body, _SOURCE)
    row = request.platform.sources.record(
        request.scope.institution,
        body.choice("kind", SourceKind),
        body.text("name"),
        legal_basis=body.text("legal_basis"),
        attested_by=body.text("attested_by"),
        document=body.text("document"),
        anonymised=body.flag("anonymised"),
        evidence=body.text("evidence", ""),
        by=request.actor,
    )
    return answer(_source(row), 201)


def _read(request: ApiRequest, results: int) -> None:
    """That they were shown is in the trail: they name people."""
    event = Event(Action.AGREEMENT_AGREEMENT_READ, request.actor, counts={"results": results})
    institution = request.scope.institution
    with request.platform.database.begin(institution) as tx:
        request.platform.recorder.write(tx, institution, event)


def _terms(sent: Any) -> tuple[dict[str, Any], int | None]:
    """What the body says of `Terms`. Who attested a version, and in which document, is said anew for each."""
    body = Fields(sent, _TERMS)
    found: dict[str, Any] = {
        "attested_by": body.text("attested_by"),
        "document": body.text("document"),
        "attested_ms": body.moment("attested") or 0,
    }
    if "minimum_level" in body:
        if "levels" in body:
            raise WardlightError("bad-request", "either levels or minimum_level")
        found["levels"] = body.choice("minimum_level", Level).at_least()
    if "levels" in body:
        found["levels"] = body.choices("levels", Level)
    if "classes" in body:
        found["classes"] = body.choices("classes", DataClass)
    elif "levels" in found:
        found["classes"] = frozenset()  # What the new levels are.
    for name in ("purposes", "results_of"):
        if name in body:
            found[name] = body.words(name)
    for name in ("legal_basis", "region", "transfer"):
        if name in body:
            found[name] = body.text(name)
    # Null takes away what was agreed before.
    if "access_s" in sent:
        found["access_s"] = body.number("access_s", ACCESS_S)
    if "retention_days" in sent:
        found["retention_days"] = body.number("retention_days") if "retention_days" in body else None
    if "source" in sent:
        found["source"] = body.id("source")
    if "ends" in sent:
        found["ends_ms"] = body.moment("ends")
    return found, body.number("of_version") if "of_version" in body else None


def _versions(rows: Sequence[Agreement]) -> dict[str, Any]:
    shown = []
    for number, row in enumerate(rows):
        one = _row(row, newest=number == 0)
        if number + 1 < len(rows):
            changes = differences(rows[number + 1].terms, row.terms)
            one["changes"] = [
                {"member": change.path, "before": change.before, "after": change.after} for change in changes
            ]
        shown.append(one)
    return {"application": rows[0].application, "id": rows[0].id, "versions": shown}


def _row(row: Agreement, *, newest: bool) -> dict[str, Any]:
    return {
        "id": row.id,
        "application": row.application,
        "version": row.version,
        "state": _state(row, newest=newest),
        "levels": [level.value for level in Level if level in row.levels],
        "legal_basis": row.legal_basis,
        "purposes": [{"code": code, "dpv": PURPOSES.get(code, "")} for code in sorted(row.purposes)],
        "classes": [one.value for one in DataClass if one in row.classes],
        "region": row.region,
        "transfer": row.transfer,
        "access_s": row.access_s,
        "retention_days": row.retention_days,
        "attested_by": row.attested_by,
        "attested": clock.timestamp_ms(row.attested_ms),
        "document": row.document,
        "source": row.source.hex if row.source else None,
        "results_of": sorted(row.results_of),
        "ends": clock.timestamp_ms(row.ends_ms) if row.ends_ms is not None else None,
        "created": clock.timestamp_ms(row.created_ms),
        "withdrawn": clock.timestamp_ms(row.withdrawn_ms) if row.withdrawn_ms is not None else None,
        "withdrawn_by": row.withdrawn_by,
    }


def _state(row: Agreement, *, newest: bool) -> str:
    if row.withdrawn_ms is not None:
        return "withdrawn"
    if not row.in_force(clock.unix_ms()):
        return "over"
    return "in-force" if newest else "superseded"


def _source(row: Source) -> dict[str, Any]:
    shown = {field.name: getattr(row, field.name) for field in fields(Source)}
    del shown["institution"], shown["created_ms"]
    return shown | {
        "id": row.id.hex,
        "kind": row.kind.value,
        "created": clock.timestamp_ms(row.created_ms),
    }
