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


@lru_cache(maxsize=8192)
def spaced(name: str) -> str:
    """`patientBirthDate`, `patient_birth_date`, `Patient-Birth-Date` → `patient birth date`."""
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
