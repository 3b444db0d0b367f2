"""How each data class is handled (R1.1), and what it is called in vocabularies that others use.

Looked up: W3C DPV 2.3 and its extension PD (https://w3id.org/dpv, https://w3id.org/dpv/pd); every term is the same in
2.0, 2.1 and 2.2. fideslang 3.0 (IAB Tech Lab) for the categories. DPV has no term for a log file or a configuration:
they are its non-personal data, which our rules keep true by keeping persons out of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wardlight.classification.model import DataClass

_DPV: Final = "https://w3id.org/dpv#"
_PD: Final = "https://w3id.org/dpv/pd#"
#: Versions of DPV in which the terms were found.
DPV_VERSIONS: Final = ("2.0", "2.1", "2.2", "2.3")


_NOT_PERSONAL: Final = ("NonPersonalData", "AnonymisedData", "ConfidentialData")


class Export(StrEnum):
    """Whether data of a class may leave its institution's region."""

    NEVER = "never"
    TRANSFER_BASIS = "with a transfer basis in the agreement"
    FREELY = "yes"


class Kept(StrEnum):
    """What decides how long data of a class is kept."""

    AGREEMENT = "as the agreement says; else until it is deleted"
    WITH_SUBJECT = "as long as what it belongs to"
    SETTING = "as a setting says"
    ACCOUNT = "as long as the account, and the trail keeps who it was"
    TRAIL = "as the trail's retention says"
    USE = "as long as it is used; destroyed with what it opens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """The rules of one class.

    dpv, fideslang: terms of those vocabularies; together they say what the data is. special: a special category
    (GDPR Art. 9). legal_basis, purpose: whether nothing of it is taken in, or read, without. encryption: at rest; in
    transfer it is TLS for all. readers: roles of people of the institution, or applications, that may read it.
    """

    dpv: tuple[str, ...]
    fideslang: tuple[str, ...]
    special: bool = False
    legal_basis: bool
    purpose: bool
    encryption: str
    readers: tuple[str, ...]
    kept: Kept
    export: Export

    @property
    def personal(self) -> bool:
        """Whether the GDPR applies to it."""
        return not any(term.rpartition("#")[2] in _NOT_PERSONAL for term in self.dpv)


_SEALED: Final = "a key of its own for each study, under the institution's epoch key (AES-256-GCM)"
_STAFF: Final = ("administrator", "clinician", "researcher", "application")
_OVERSEERS: Final = ("administrator", "privacy-officer")

HANDLING: Final[dict[DataClass, Handling]] = {
    DataClass.PERSONAL: Handling(
        dpv=(_DPV + "IdentifyingPersonalData", _PD + "Identifying"),
        fideslang=("user",),
        legal_basis=True,
        purpose=True,
        encryption=_SEALED,
        readers=("administrator", "clinician", "privacy-officer", "application"),
        kept=Kept.AGREEMENT,
        export=Export.TRANSFER_BASIS,
    ),
    DataClass.HEALTH: Handling(
        dpv=(_DPV + "SpecialCategoryPersonalData", _PD + "MedicalHealth"),
        fideslang=("user.health_and_medical",),
        special=True,
        legal_basis=True,
        purpose=True,
        encryption=_SEALED,
        readers=(*_STAFF, "privacy-officer"),
        kept=Kept.AGREEMENT,
        export=Export.TRANSFER_BASIS,
    ),
    DataClass.IMAGE_IDENTIFIED: Handling(
        dpv=(_DPV + "IdentifyingPersonalData", _PD + "HealthRecord"),
        fideslang=("user.health_and_medical", "user.biometric.health"),
        special=True,
        legal_basis=True,
        purpose=True,
        encryption=_SEALED,
        readers=_STAFF,
        kept=Kept.AGREEMENT,
        export=Export.TRANSFER_BASIS,
    ),
    DataClass.IMAGE_PSEUDONYMISED: Handling(
        dpv=(_DPV + "PseudonymisedData", _PD + "HealthRecord"),
        fideslang=("user.health_and_medical", "user.unique_id.pseudonymous"),
        special=True,
        legal_basis=True,
        purpose=True,
        encryption=_SEALED,
        readers=_STAFF,
        kept=Kept.AGREEMENT,
        export=Export.TRANSFER_BASIS,
    ),
    DataClass.IMAGE_ANONYMISED: Handling(
        dpv=(_DPV + "AnonymisedData",),
        fideslang=(),
        legal_basis=False,
        purpose=False,
        encryption=_SEALED,
        readers=_STAFF,
        kept=Kept.AGREEMENT,
        export=Export.FREELY,
    ),
    DataClass.LOG: Handling(
        dpv=(_DPV + "NonPersonalData",),
        fideslang=("system.operations",),
        legal_basis=False,
        purpose=False,
        encryption="the disk's",
        readers=("administrator", "operator"),
        kept=Kept.SETTING,
        export=Export.TRANSFER_BASIS,
    ),
    DataClass.STATUS: Handling(
        dpv=(_DPV + "NonPersonalData",),
        fideslang=("system.operations",),
        legal_basis=False,
        purpose=False,
        encryption="the disk's",
        readers=(*_OVERSEERS, "clinician", "researcher", "operator", "application"),
        kept=Kept.WITH_SUBJECT,
        export=Export.FREELY,
    ),
    DataClass.CONFIGURATION: Handling(
        dpv=(_DPV + "NonPersonalData",),
        fideslang=("system",),
        legal_basis=False,
        purpose=False,
        encryption="the disk's",
        readers=(*_OVERSEERS, "operator"),
        kept=Kept.WITH_SUBJECT,
        export=Export.FREELY,
    ),
    DataClass.ACCOUNT: Handling(
        dpv=(_DPV + "PersonalData", _PD + "Username"),
        fideslang=("user.account",),
        legal_basis=True,
        purpose=True,
        encryption="the disk's",
        readers=_OVERSEERS,
        kept=Kept.ACCOUNT,
        export=Export.NEVER,
    ),
    DataClass.AUDIT: Handling(
        # It names people by opaque ids and patients by keyed references.
        dpv=(_DPV + "PseudonymisedData", _DPV + "PersonalData"),
        fideslang=("user.behavior", "system.operations"),
        legal_basis=True,
        purpose=True,
        encryption="the disk's; it is sealed against change, and names patients by keyed references only",
        readers=_OVERSEERS,
        kept=Kept.TRAIL,
        export=Export.TRANSFER_BASIS,
    ),
    DataClass.SECRET: Handling(
        dpv=(_DPV + "ConfidentialData",),
        fideslang=("system.authentication",),
        legal_basis=False,
        purpose=False,
        encryption="wrapped under the root key, or a hash",
        readers=(),
        kept=Kept.USE,
        export=Export.NEVER,
    ),
}
