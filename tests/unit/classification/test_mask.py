"""The mask for machine data: what comes out holds nothing of what went in, and lines stay lines."""

from __future__ import annotations

import json
from random import Random

from classifier_corpus import LANGUAGES, Person
from classifier_numbers import NATIONAL
from wardlight.classification.found import Confidence
from wardlight.classification.mask import DEEPEST, Masker
from wardlight.classification.model import DataClass

CLEAN = '2026-11-24T22:03:45.123Z INFO receiver: association accepted, calling AE "CT01", 512 objects\n' * 50


def test_text_without_anything_is_the_same_object() -> None:
    masker = Masker()
    assert masker.mask(CLEAN).text is CLEAN
    assert masker.speed.characters == len(CLEAN) and masker.speed.lines == 0 and masker.speed.seconds > 0


def test_nothing_planted_is_left() -> None:
    r = Random(11)
    planted, lines = [], []
    for number in range(60):
        person = Person(r, LANGUAGES[number % 10])
        lines += [CLEAN.split("\n")[0]] * 3
        word = NATIONAL[person.national][1]
        lines.append(f"lookup {word} {person.number} for patient: {person.name} <{person.email}>")
        lines.append(f"dob={person.iso} phone: {person.values['phone']} mrn={person.values['mrn']}")
        planted += [
            person.number,
            person.name,
            person.email,
            person.iso,
            person.values["phone"],
            person.values["mrn"],
        ]
    text = "\n".join(lines)
    masked = Masker().mask(text, "app.log")
    assert [value for value in planted if value in masked.text] == []
    assert masked.text.count("\n") == text.count("\n")
    assert {one.line for one in masked.findings} == {n for n in range(1, len(lines) + 1) if n % 5 in (4, 0)}
    assert all(one.file == "app.log" and not any(v in one.reason for v in planted) for one in masked.findings)
    # What is masked stays masked, and is nobody's any more.
    assert Masker(least=Confidence.MEDIUM).mask(masked.text).findings == ()


def test_json_stays_json_with_its_keys_as_context() -> None:
    record = {
        "time": "2026-01-01T00:00:00Z", "size": 4711, "ok": True, "none": None, "user": {"givenName": "Imogen"},
        "phone": 491701234567, "list": ["mail j@x.example", 5], "j.doe@x.example": 1, "patientBirthDate": "1950-02-03",
    }  # fmt: skip
    masked, findings = Masker().mask_json(record)
    text = json.dumps(masked)
    assert all(value not in text for value in ("Imogen", "491701234567", "j@x.example", "j.doe", "1950"))
    assert masked["size"] == 4711 and masked["ok"] is True and masked["none"] is None
    assert masked["time"] == record["time"] and masked["phone"] == "[phone]"
    assert {one.field for one in findings} >= {"user.givenName", "phone", "list[]", "patientBirthDate"}


def test_a_value_too_deep_goes_as_a_whole() -> None:
    value: object = "nhs 943 476 5919"
    for _ in range(DEEPEST + 5):
        value = [value]
    masked, _ = Masker().mask_json(value)
    assert "943" not in json.dumps(masked) and "[too-deep]" in json.dumps(masked)


def test_what_is_kept_and_how_sure_it_must_be_is_chosen() -> None:
    text = "from 93.184.216.34 nhs 943 476 5919 value 111222333\n"
    assert "93.184.216.34" in Masker(keep={"ip-address"}).mask(text).text
    assert "111222333" not in Masker().mask(text).text
    assert "111222333" in Masker(least=Confidence.MEDIUM).mask(text).text
    assert Masker(classes={DataClass.HEALTH}).mask(text).text == text


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert Masker().mask("\udc80 a@b.example \x00\r\n").findings
