"""Unique identifiers: syntax (PS3.5 section 9.1), names (PS3.6 Annex A), the storage SOP classes (PS3.4 B.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from wardlight.dicom import _dictionary_data
from wardlight.dicom.transfer_syntax import TRANSFER_SYNTAXES

_UID: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+", re.ASCII)


def _names(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.splitlines())


#: Names of the SOP classes of the storage service, by UID; retired ones too, for old archives still send them.
STORAGE_SOP_CLASSES: Final[Mapping[str, str]] = MappingProxyType(_names(_dictionary_data.STORAGE_SOP_CLASSES))

#: Names of every UID of PS3.6 Annex A by UID.
UID_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **_names(_dictionary_data.OTHER_UIDS),
        **STORAGE_SOP_CLASSES,
        **{uid: syntax.name for uid, syntax in TRANSFER_SYNTAXES.items()},
    }
)


def is_valid_uid(uid: str) -> bool:
    """Whether the text is a UID by PS3.5 section 9.1: ≤ 64 characters, components without leading zeros."""
    return len(uid) <= 64 and _UID.fullmatch(uid) is not None


def uid_name(uid: str) -> str:
    """The name PS3.6 gives a UID, "" for an unknown or private one."""
    return UID_NAMES.get(uid, "")
