"""Fields of FHIR R4 resources that hold somebody's data, by resource and path; the rest of one is looked at as text."""

from __future__ import annotations

from typing import Final

from wardlight.classification.model import DataClass

_P, _H = DataClass.PERSONAL, DataClass.HEALTH
Kind = tuple[str, DataClass]
_NAME: Final[dict[str, Kind]] = {
    **dict.fromkeys(("name.family", "name.given", "name.text", "name.prefix"), ("name", _P)),
}
_PERSON: Final[dict[str, Kind]] = {
    **_NAME,
    "birthDate": ("birth-date", _P),
    "identifier.value": ("mrn", _P),
    **dict.fromkeys(
        ("address.line", "address.text", "address.city", "address.postalCode", "address.district"),
        ("address", _P),
    ),
    "contact.name.family": ("name", _P),
    "contact.name.given": ("name", _P),
    "contact.name.text": ("name", _P),
}
_ABOUT: Final[dict[str, Kind]] = {
    **dict.fromkeys(
        ("subject.display", "patient.display", "performer.display", "recorder.display"), ("name", _P)
    ),
    **dict.fromkeys(("subject.identifier.value", "patient.identifier.value"), ("mrn", _P)),
}
_HEALTH: Final[dict[str, Kind]] = {
    **_ABOUT,
    **dict.fromkeys(
        (
            *(
                "code.text",
                "code.coding.display",
                "code.coding.code",
                "conclusion",
                "note.text",
                "valueString",
            ),
            *("valueCodeableConcept.text", "valueCodeableConcept.coding.display", "valueQuantity.value"),
            *("conclusionCode.coding.display", "conclusionCode.text", "medicationCodeableConcept.text"),
            *("medicationCodeableConcept.coding.display", "reaction.description", "reasonCode.text"),
            *(
                "vaccineCode.text",
                "component.code.text",
                "component.valueQuantity.value",
                "dosageInstruction.text",
            ),
        ),
        ("health", _H),
    ),
}
_RULES: Final[dict[str, dict[str, Kind]]] = {
    **dict.fromkeys(("Patient", "Person", "RelatedPerson", "Practitioner"), _PERSON),
    **dict.fromkeys(
        (
            *(
                "Condition",
                "Observation",
                "DiagnosticReport",
                "AllergyIntolerance",
                "Procedure",
                "MedicationRequest",
            ),
            *(
                "MedicationStatement",
                "Immunization",
                "FamilyMemberHistory",
                "ServiceRequest",
                "ClinicalImpression",
            ),
        ),
        _HEALTH,
    ),
    "Coverage": {
        **_ABOUT,
        "subscriberId": ("insurance-number", _P),
        "identifier.value": ("insurance-number", _P),
    },
    "Device": {"serialNumber": ("device-serial", _P), "identifier.value": ("device-serial", _P)},
    "ImagingStudy": {**_ABOUT, "identifier.value": ("uid", _P), "series.uid": ("uid", _P)},
    "Encounter": {**_ABOUT, "identifier.value": ("mrn", _P), "reasonCode.text": ("health", _H)},
}


def kind_of(inside: str) -> Kind | None:
    """What a field is. inside: `Patient|name[].family`, as `json_text.Value` has it."""
    resource, _, path = inside.partition("|")
    rules = _RULES.get(resource)
    return rules.get(path.replace("[]", "")) if rules else None
