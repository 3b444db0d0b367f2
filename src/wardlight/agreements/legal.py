"""Legal bases that can be attested: GDPR Art. 6(1) with Art. 9(2), or a category of the HIPAA Privacy Rule (R2.1).

A basis is spelt as the audit trail does: `gdpr:6.1.e+9.2.h`, `hipaa:tpo`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from wardlight.agreements.model import Level
from wardlight.agreements.purposes import PURPOSES
from wardlight.classification.model import DataClass
from wardlight.errors import WardlightError

#: What an agreement can be about. The platform's own accounts, trail and secrets are nobody's to agree on.
CLASSES: Final = (
    DataClass.PERSONAL,
    DataClass.HEALTH,
    DataClass.IMAGE_IDENTIFIED,
    DataClass.IMAGE_PSEUDONYMISED,
    DataClass.IMAGE_ANONYMISED,
    DataClass.LOG,
    DataClass.STATUS,
    DataClass.CONFIGURATION,
)
#: Special categories of personal data (GDPR Art. 9(1)): pseudonymised data stays personal (recital 26).
SPECIAL: Final = frozenset({DataClass.HEALTH, DataClass.IMAGE_IDENTIFIED, DataClass.IMAGE_PSEUDONYMISED})

#: Condition of GDPR Art. 9(2) → letters of Art. 6(1) with which it can stand. Consent that is explicit goes with
#: nothing that is done without asking (c, d); what rests on a law goes with legal duty and public task; (d), of
#: associations, and (e), what patients made public themselves, are never a hospital's.
_ARTICLE_9: Final[dict[str, str]] = {
    "a": "abef",
    "b": "bce",
    "c": "cde",
    "f": "bcef",
    "g": "ce",
    "h": "abcdef",
    "i": "cde",
    "j": "acef",
}
_GDPR: Final = re.compile(r"gdpr:((?:6\.1\.[a-f])(?:\+6\.1\.[a-f])*)((?:\+9\.2\.[a-j])*)")

_OPERATIONS: Final = frozenset({"HOPERAT", "HQUALIMP", "TRAIN", "HSYSADMIN"})
_RESEARCH: Final = frozenset({"HRESCH", "CLINTRCH"})
_ANY: Final = frozenset(PURPOSES)
#: Category of the HIPAA Privacy Rule (45 CFR 164) → its section, and the purposes it can be for.
HIPAA: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "tpo": ("164.506", _OPERATIONS | {"TREAT", "ETREAT", "CAREMGT", "HPAYMT"}),
    "authorization": ("164.508", _ANY),
    "required-by-law": ("164.512(a)", frozenset({"HLEGAL", "PUBHLTH"})),
    "public-health": ("164.512(b)", frozenset({"PUBHLTH"})),
    "oversight": ("164.512(d)", frozenset({"HLEGAL", "HQUALIMP"})),
    "legal-proceedings": ("164.512(e)", frozenset({"HLEGAL"})),
    "research": ("164.512(i)", _RESEARCH),
    "de-identified": ("164.514(a)", _ANY),
    "limited-data-set": ("164.514(e)", _RESEARCH | _OPERATIONS | {"PUBHLTH"}),
    "individual": ("164.524", frozenset({"PATRQT"})),
}
_WITHOUT_NAMES: Final = ("de-identified", "limited-data-set")


def covers(classes: Collection[DataClass], levels: Collection[Level]) -> bool:
    """Whether data at these levels is of these classes; what is not identified may be said to be anonymised."""
    shown = {DataClass.IMAGE_PSEUDONYMISED, DataClass.IMAGE_ANONYMISED}
    identified = Level.IDENTIFIED in levels
    return (not identified or DataClass.IMAGE_IDENTIFIED in classes) and (
        len(levels) == identified or not shown.isdisjoint(classes)
    )


def require_basis(
    basis: str, purposes: Collection[str], classes: Collection[DataClass], levels: Collection[Level]
) -> None:
    """Raise `bad-request` unless data of these classes and levels may be used for these purposes on this basis."""
    law, _, category = basis.partition(":")
    if law == "gdpr":
        _require_gdpr(basis, classes)
    elif law == "hipaa" and category in HIPAA:
        section, allowed = HIPAA[category]
        if not allowed.issuperset(purposes):
            raise WardlightError("bad-request", f"45 CFR {section} does not allow all of these purposes")
        if category in _WITHOUT_NAMES and Level.IDENTIFIED in levels:
            raise WardlightError("bad-request", f"45 CFR {section} does not allow data that is identified")
    else:
        raise WardlightError(
            "bad-request", "the legal basis is gdpr: with articles, or hipaa: with a category"
        )


def _require_gdpr(basis: str, classes: Collection[DataClass]) -> None:
    parts = _GDPR.fullmatch(basis)
    if parts is None:
        raise WardlightError("bad-request", "a basis in the GDPR is like gdpr:6.1.e+9.2.h")
    lawful = {article[-1] for article in parts[1].split("+")}
    conditions = {article[-1] for article in parts[2].split("+") if article}
    if not conditions and not SPECIAL.isdisjoint(classes):
        raise WardlightError(
            "bad-request", "health data needs a condition of GDPR Art. 9(2) beside Art. 6(1)"
        )
    for condition in sorted(conditions):
        if lawful.isdisjoint(_ARTICLE_9.get(condition, "")):
            raise WardlightError(
                "bad-request", f"GDPR Art. 9(2)({condition}) cannot stand with this basis of Art. 6(1)"
            )
