"""`wardlight deidentify --explain`: what it says is what the engine does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from deid_kit import CT, MR
from wardlight.cli.deidentify import deidentify
from wardlight.deid import actions
from wardlight.deid.profile import LEVELS, load_profile
from wardlight.deid.profile_explain import explain
from wardlight.deid.profile_rules import Applied
from wardlight.deid.standard import concepts, safe_private
from wardlight.dicom.dictionary import vr_of
from wardlight.dicom.rewrite import COLLECT, EMPTY, Items

app = Typer(add_completion=False)
app.command()(deidentify)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(*arguments: object) -> dict[str, Any]:
    result = call("--explain", *arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    assert found["schema"] == "wardlight-explain/1"
    return found


@pytest.mark.parametrize(
    ("arguments", "decided", "outcome"),
    [
        (("StationName",), "E.1-1, Basic Profile", "removed"),
        (("StationName", "--level", "low"), "E.1-1, option device", "searched"),
        (("(0008,1030)",), "E.1-1, option descriptors", "cleaned"),
        (("PatientName",), "E.1-1, Basic Profile", "pseudonym"),
        (("StudyDate",), "E.1-1, option modified_dates", "shifted"),
        (("PatientAge",), "E.1-1, option patient", "age"),
        (("SOPClassUID",), "names a kind, not a thing", "kind"),
        (("AccessionNumber",), "E.1-1, Basic Profile", "keyed"),
        (("KVP", "--sop-class", "CTImageStorage"), "allowlist", "kept"),
        (("SharedFunctionalGroupsSequence",), "allowlist", "contents"),
        (("PatientIdentityRemoved",), "written by Wardlight", "written"),
        (("60xx3000",), "a repeating group, which no level keeps", "removed"),
        (("00020010",), "is no part of a data set that leaves; file meta information is written anew", "removed"),
        (("00081FFF",), "not in the standard", "removed"),
        (("0019xx0C", "--private-creator", "ACME"), "private, and not in Table E.3.10-1 of safe ones", "removed"),
        (("121022:DCM",), "Table E.3.4-1", "removed"),
        (("DCM:121008",), "Table E.3.4-1", "dummy"),
    ],
)  # fmt: skip
def test_what_decides_and_what_happens(arguments: tuple[str, ...], decided: str, outcome: str) -> None:
    found = said(*arguments)
    assert found["decided_by"] == decided and found["happens"][0]["outcome"] == outcome
    text = call("--explain", *arguments).output
    assert decided in text and found["happens"][0]["words"] in text and "What the verifier looks at" in text


def test_columns_types_and_safe_private_elements() -> None:
    found = said("FrameOfReferenceUID")
    assert found["table"]["basic"] == "U" and found["table"]["uids"] == "K" and len(found["table"]) == 11
    by_type = said("ContentDate")["happens"]
    assert [place.get("type") for place in by_type] == [
        1,
        2,
        3,
        3,
    ] and "what is no date is removed" in by_type[2]["words"]
    assert by_type[-1]["where"] == "inside sequences" and "107 of 175" in by_type[0]["where"]
    empty = said("StudyID", "--sop-class", CT)["happens"][0]
    assert empty["type"] == 2
    safe = said("0019,xx0C", "--private-creator", "SIEMENS MR HEADER", "--level", "medium")
    assert (
        safe["element"]["vr"] == "IS"
        and safe["happens"][0]["outcome"] == "cleaned"
        and safe["element"]["name"]
    )
    assert said("0019,xx0C", "--private-creator", "SIEMENS MR HEADER")["happens"][0]["outcome"] == "removed"


def test_overrides_are_told(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(
        "inherit = 'high'\nname = 'ward 7'\n[[override]]\nkeyword = 'StationName'\nmodality = 'CT'\n"
        "action = 'keep'\nreason = 'the physicists need it'\n"
        "[[override]]\nprivate_creator = 'ACME'\nelement = 'xx0C'\naction = 'clean'\n"
    )
    found = said("StationName", "--profile", file, "--modality", "CT")
    assert found["decided_by"] == "override: the physicists need it" and found["override"]["action"] == "keep"
    assert found["profile"]["name"] == "ward 7" and found["happens"][0]["outcome"] == "searched"
    assert said("StationName", "--profile", file, "--modality", "MR")["override"] is None
    text = call("--explain", "StationName", "--profile", file, "--modality", "CT").output
    assert "action keep, for modality CT" in text and "profile ward 7 (level high)" in text
    own = said("xx0C", "--private-creator", "ACME", "--profile", file)
    assert own["override"]["action"] == "clean" and own["happens"][0]["outcome"] == "cleaned"


def test_each_concept_and_each_safe_element_can_be_asked_for() -> None:
    profile = load_profile("medium")
    for scheme, code, meaning, *_ in concepts.CONCEPTS:
        assert explain(profile, f"{code}:{scheme}")["concept"]["meaning"] == meaning
    for creator, group, element, _vr, _vm, meaning in safe_private.SAFE_PRIVATE[::7]:
        found = explain(profile, f"{group:04X}xx{element:02X}", creator=creator)
        assert found["decided_by"] == "Table E.3.10-1, option safe_private", meaning


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("StationNam",), "did you mean StationName?"),
        (("StationName", "--sop-class", "CTImagStorage"), "did you mean CTImageStorage?"),
        (("StationName", "--level", "higher"), "--level is one of"),
        (("0019xx0C",), "--private-creator"),
        (("99999:DCM",), "no row of Table E.3.4-1"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], says: str) -> None:
    result = call("--explain", *arguments)
    assert result.exit_code == 2 and says in result.output
    assert call().exit_code == 2


@pytest.mark.parametrize("level", LEVELS)
def test_the_words_are_what_the_rules_do(level: str) -> None:
    """Removed, emptied and replaced by a code: the rule of each known element says the same."""
    profile = load_profile(level)
    applied = Applied(profile, ())
    plans = actions.plans(profile, applied)
    for sop_class in (CT, MR):
        rules = actions.table(profile, plans, actions.types().iod(sop_class))
        for tag in list(plans)[::11]:
            code = explain(profile, f"{tag:08X}", sop_class=sop_class)["happens"][0]["outcome"]
            rule = rules.get(tag)
            if code in ("pseudonym", "written") or vr_of(tag) == b"TM":
                continue  # A handler takes times away.
            assert (code == "removed") == (rule is None or rule is COLLECT), hex(tag)
            if vr_of(tag) == b"SQ":
                expected = {"emptied": EMPTY, "contents": b"SQ"}.get(code)
                assert (
                    isinstance(rule, Items) if code == "dummy" else expected == rule or code == "removed"
                ), hex(tag)
