"""The class of each field of the API: in bodies and answers, paths and queries (R1.2).

A field of the same name is of the same class everywhere; where that is not so, the schema's name stands before it. A
test of the rules fails for a field that is not here. OpenAPI has the class as `x-data-class`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wardlight.classification.model import DataClass
from wardlight.classification.values import Fields

CLASSES: Final = Fields(
    "api",
    {
        DataClass.PERSONAL: "Alphabetic Ideographic Phonetic PatientID PatientName AccessReportRequest.id"
        " AuditSearch.id",
        DataClass.HEALTH: "Value InlineBinary BulkDataURI StudyDate StudyInstanceUID ModalitiesInStudy instance"
        " objectUID series seriesUID study studies studyUID images_study subject report frame points quantity value"
        " unit tracking picture",
        DataClass.IMAGE_IDENTIFIED: "frames frameNumber",
        DataClass.LOG: "MachineDataPage.text MachineDataPage.value MachineDataPage.attributes",
        DataClass.ACCOUNT: "actor actors attested_by created_by declared_by deleted_by withdrawn_by login member"
        " owner person preferred_username sub user address seen timezone this Person.name Session.name UserInfo.name"
        " Invitation.name AdministratorInvitation.name FactorName.name Factors.name used role id_token_hint sent_by own"
        " contact representative officer"
        " return signed_in limited given people bell mail confirmed",
        DataClass.AUDIT: "action actor_kind AuditEntry.source codes day direction entry flows groups group halted index"
        " leaf local log log_vkey object origin outcome pruned recorded salt v vkey vkeys from to complete checkpoints"
        " proof row tile witnesses",
        DataClass.SECRET: "access_token client_assertion client_secret code_challenge csrf new old nonce passkey"
        " password recovery_codes secret session token receipt link local_code digits SignIn.code StepUp.code Code.code"
        " EnrolmentCode.code",
        DataClass.CONFIGURATION: "access_s ae_title agreement agreement_version alg anonymised application auth_method"
        " authorization_endpoint classes client_assertion_type client_id code_challenge_method crv document dpv"
        " end_session_endpoint ends environment evidence e file_bytes grant_type hours host institution iss issuer"
        " jwks_uri key kid kind kinds kty legal_basis level levels limit max_age method minimum_level n name names"
        " network networks of_version params path port post_logout_redirect_uri post_logout_uris prompt public purpose"
        " purpose_of_use purposes redirect_uri redirect_uris region regions release_application response_type"
        " response_types_supported results_of retention_days rights scope scopes slug source subject_types_supported"
        " transfer"
        " node_region objects_region runs_in transfer_dpv store protection leaves_region encryption readers fideslang"
        " class stores bases kept personal special subjects recipients transfers measures"
        " token_endpoint token_type token_type_hint type url use userinfo_endpoint vendor version vr x y factor"
        " receiver webhook transferSyntax sop_class before after viewer release_level recipient"
        " channels permission licence definition keyword detector confidence least metric",
        DataClass.STATUS: "accept access_ended_at acknowledged acknowledged_at active again allowed_again_at annotation"
        " attempts attested aware backups_unreadable_since base bytes charset checks code code_expires columns"
        " contentType created cursor datacontenttype deletion delivery detail ended ended_reason enrolled enrolment"
        " entitled entries error error_description event expires expires_at expires_in failures file files finished"
        " format fuzzymatching generation grant handed_out handover handovers iccprofile id imageQuality includefield"
        " instances"
        " key_destroyed_at last_object length methods next node not_before objects objects_removed_at offset"
        " old_secret_until overlap_hours quality quarantined reason reasons received request requestType result rows s"
        " seconds sequence signature size specversion state status step_up stored tags time title total tried until"
        " upload viewport wait window windowCenter windowWidth withdrawn findings why held"
        " granted_studies grants took_ms next_end first last of count subscribed refused DataMap.studies"
        " DataMapApplication.studies DataMapApplication.instances"
        " text ids all unread read values retired line Classified.element Classified.field more Classified.class"
        " Classified.classes"
        " records masked detectors hour errors modalities average most since found segment severity"
        " MachineDataSummary.from MachineDataSummary.to MachineDataSeries.complete MachineDataPage.object"
        " MachineDataSummary.hours",
    },
)


def classed(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of this name with the class of each of its fields."""
    return {
        word: {field: _field(name, field, value) for field, value in part.items()}
        if word == "properties"
        else _inner(name, word, part)
        for word, part in schema.items()
    }


def parameter(described: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter of a path or query with its class."""
    found = CLASSES.get(described["name"])
    return {**described, **({"x-data-class": found.value} if found else {})}


def fields(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """Names of the fields of a schema that hold values of their own, those of what lies within it too."""
    for field, value in schema.get("properties", {}).items():
        if _holds(value):
            yield field
        yield from fields(name, value)
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), Mapping):
            yield from fields(name, schema[word])
    for word in ("anyOf", "allOf", "oneOf"):
        for one in schema.get(word, ()):
            yield from fields(name, one)


def class_of(name: str, field: str) -> DataClass | None:
    """The class of a field of a schema, None where it is not declared."""
    return CLASSES.get(f"{name}.{field}", CLASSES.get(field))


def _field(name: str, field: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    found = class_of(name, field) if _holds(schema) else None
    return {**classed(name, schema), **({"x-data-class": found.value} if found else {})}


def _inner(name: str, word: str, part: Any) -> Any:
    if word in ("items", "additionalProperties") and isinstance(part, Mapping):
        return classed(name, part)
    if word in ("anyOf", "allOf", "oneOf"):
        return [classed(name, one) for one in part]
    return part


def _holds(schema: Mapping[str, Any]) -> bool:
    """Whether values stand in it, rather than fields of another schema."""
    if "$ref" in schema or "properties" in schema:
        return False
    inner = (schema.get("items"), schema.get("additionalProperties"))
    return all(_holds(one) for one in inner if isinstance(one, Mapping))
