"""Findings as SARIF 2.1.0 (OASIS), for the pages of code hosts and other tools of continuous integration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from wardlight import __version__
from wardlight.classification.explained import EXPLAINED
from wardlight.classification.found import Confidence, Finding

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVEL: Final = {Confidence.HIGH: "error", Confidence.MEDIUM: "warning", Confidence.LOW: "note"}


def document(findings: Iterable[Finding], refused: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """One run. refused: files that were not looked at, and why."""
    names = list(EXPLAINED)
    index = {name: place for place, name in enumerate(names)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Wardlight classify",
                        "version": __version__,
                        "rules": [
                            {
                                "id": name,
                                "shortDescription": {"text": EXPLAINED[name]},
                                "defaultConfiguration": {"level": "warning"},
                            }
                            for name in names
                        ],
                    }
                },
                "results": [_result(finding, index) for finding in findings],
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {
                                "level": "warning",
                                "message": {"text": f"not looked at: {code}"},
                                "locations": [
                                    {"physicalLocation": {"artifactLocation": {"uri": _uri(file)}}}
                                ],
                            }
                            for file, code in refused
                        ],
                    }
                ],
                "columnKind": "unicodeCodePoints",
            }
        ],
    }


def _result(finding: Finding, index: dict[str, int]) -> dict[str, Any]:
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": _uri(finding.file)}}}
    if finding.line:
        location["physicalLocation"]["region"] = {"startLine": finding.line}
    if place := finding.element or finding.field:
        location["logicalLocations"] = [{"fullyQualifiedName": place}]
    return {
        "ruleId": finding.detector,
        "ruleIndex": index[finding.detector],
        "level": _LEVEL[finding.confidence],
        "message": {"text": f"{finding.data_class.value}: {finding.reason}"},
        "locations": [location],
        "properties": {"class": finding.data_class.value, "confidence": finding.confidence.value},
    }


def _uri(name: str) -> str:
    return quote(name.replace("\\", "/"), safe="/!-_.~")
