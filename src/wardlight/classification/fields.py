"""Values with a name: fields of JSON, columns of tables, elements. The name is put before the value, as a label."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from wardlight.classification.found import Hit
from wardlight.classification.text import find

#: Characters of a name that are context; longer ones are data.
_LONGEST: Final = 80
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-./:\s]+")
_SAYS_NOTHING: Final = re.compile(
    r"(?<=.)[.\[](?:\d+|\]|v|[vV]alues?|text|string|Alphabetic|Ideographic|Phonetic)\]?\Z"
)
_TAG: Final = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(?![0-9A-Za-z])")


def _keyword(match: re.Match[str]) -> str:
    from wardlight.dicom.dictionary import keyword_of  # its tables take a while to load

    return keyword_of(int(match[0], 16)) or match[0]


@lru_cache(maxsize=8192)
def spaced(name: str) -> str:
    """`patientBirthDate`, `patient_birth_date`, `Patient-Birth-Date` → `patient birth date`.

    Of a path what says nothing of its value is left out (`patient.id.value`, `patient.id.0`), and a tag as the JSON of
    DICOM has it is spelt out: `00100020.Value` → `patient id`.
    """
    while (bare := _SAYS_NOTHING.sub("", name)) != name:
        name = bare
    name = _TAG.sub(_keyword, name)
    return " ".join(part for part in _CAMEL.split(name[:_LONGEST]) if part).lower()


def labelled_hits(label: str, value: str) -> list[Hit]:
    """What is found in a value that has a name; places count within the value."""
    if not label:
        return find(value)
    begin = f"{label}: "
    size = len(begin)
    return [
        hit._replace(start=max(hit.start - size, 0), end=hit.end - size)
        for hit in find(begin + value)
        if hit.end > size
    ]
