"""The rule of columns: each says of which class it is and how it is protected."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column

from wardlight.classification.model import CLEAR, DataClass

#: Health data that stands in clear, by the decision of security.md section 4: this list and no other.
IN_CLEAR = {
    "archive_release.study_date",
    "archive_release.modalities",
    "archive_series.modality",
}


def problem(column: Column[Any]) -> str:
    """What is wrong with a column's declaration, or nothing."""
    info = column.info
    if not isinstance(info.get("data_class"), DataClass):
        return "no data class"
    if info["data_class"] in CLEAR:
        return ""
    if info["protection"] in ("sealed", "hashed", "token"):
        return ""
    if info["protection"] == "clear" and info["reason"] and str(column) in IN_CLEAR:
        return ""
    return "neither sealed nor hashed"
