"""Where data may be (R10.3): regions, what lies in which, and on what a transfer to another can rest.

A region is a word as institutions have it (`eu`, `us`), or a narrower one that begins with it (`eu-central-1`).
"""

from __future__ import annotations

import re
from typing import Final

_REGION: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,15}")
#: Places that a provider names after a continent whose law does not hold there: London and Zurich are not in the EU.
_ELSEWHERE: Final = {"eu-west-2": "gb", "eu-central-2": "ch"}

_GDPR: Final = "https://w3id.org/dpv/legal/eu/gdpr#"
#: What a transfer can rest on → its term in DPV's extension for the GDPR. Art. 48 is no basis, and Art. 49(1)
#: second subparagraph (once, for few, told to the authority) is not for a platform. HIPAA has no rule of places: what
#: binds whoever gets the data there is the contract of 45 CFR 164.504(e).
TRANSFERS: Final[dict[str, str]] = {
    "gdpr:45.3": _GDPR + "A45-3",
    **{f"gdpr:46.2.{letter}": f"{_GDPR}A46-2-{letter}" for letter in "abcdef"},
    **{f"gdpr:46.3.{letter}": f"{_GDPR}A46-3-{letter}" for letter in "ab"},
    **{f"gdpr:49.1.{letter}": f"{_GDPR}A49-1-{letter}" for letter in "abcdefg"},
    "hipaa:164.504.e": "",
}


def is_region(text: str) -> bool:
    """Whether it is written as a region: up to 16 of a-z, 0-9 and inner hyphens."""
    return _REGION.fullmatch(text) is not None


def within(place: str, region: str) -> bool:
    """Whether what is at `place` is in `region`."""
    if place == region:
        return True
    return place.startswith(f"{region}-") and _ELSEWHERE.get(place, region) == region
