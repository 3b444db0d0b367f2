"""Purposes that can be agreed on: HL7 v3 PurposeOfUse codes, each with its term of the W3C Data Privacy Vocabulary."""

from __future__ import annotations

from typing import Final

_DPV: Final = "https://w3id.org/dpv#"
_HEALTH: Final = "https://w3id.org/dpv/sector/health#"

#: HL7 v3 PurposeOfUse code (audit.md section 1) → IRI in DPV 2 or its health sector extension. Where DPV has no term as
#: narrow as the code, it is the nearest broader one, so that two codes may share a term.
PURPOSES: Final[dict[str, str]] = {
    "TREAT": _HEALTH + "ServiceProvision",
    "ETREAT": _HEALTH + "EmergencyCareManagement",
    "CAREMGT": _HEALTH + "HealthcareServiceManagement",
    "HRESCH": _HEALTH + "ResearchDevelopment",
    "CLINTRCH": _HEALTH + "ResearchDevelopment",
    "HQUALIMP": _HEALTH + "Optimisation",
    "HOPERAT": _HEALTH + "HealthcareManagement",
    "HPAYMT": _DPV + "PaymentManagement",
    "PUBHLTH": _HEALTH + "PublicHealthMonitoring",
    "PATRQT": _DPV + "RequestedServiceProvision",
    "HLEGAL": _DPV + "LegalCompliance",
    "HSYSADMIN": _DPV + "TechnicalServiceProvision",
    "TRAIN": _HEALTH + "WorkforceManagement",
}
