"""Check digits: numbers that authorities and textbooks publish, makers that share no code, and spoilt ones."""

from __future__ import annotations

from random import Random

import pytest

import classifier_numbers as numbers
from wardlight.classification import checks
from wardlight.classification.found import Confidence
from wardlight.classification.text import find

PUBLISHED = (
    (checks.nhs, "9434765919"), (checks.steuer_id, "86095742719"), (checks.kvnr, "A123456780"),
    (checks.nir, "255081416802538"), (checks.dni, "12345678Z"), (checks.dni, "X1234567L"),
    (checks.codice_fiscale, "RSSMRA85T10A562S"), (checks.bsn, "111222333"), (checks.niss, "85073003328"),
    (checks.personnummer, "8112189876"), (checks.hetu, "131052-308T"), (checks.pesel, "44051401359"),
    (checks.svnr, "1237010180"), (checks.ean13, "7569217076985"), (checks.nif, "123456789"),
    (checks.cpr_checked, "0707614285"), (checks.fodselsnummer, "13097248022"), (checks.verhoeff, "234123412346"),
    (checks.resident_id, "11010519491231002X"), (checks.cpf, "52998224725"), (checks.my_number, "123456789018"),
    (checks.iban, "DE89370400440532013000"),
)  # fmt: skip


@pytest.mark.parametrize(("check", "number"), PUBLISHED, ids=lambda one: getattr(one, "__name__", str(one)))
def test_published_numbers_are_right_and_their_neighbours_wrong(check, number: str) -> None:
    assert check(number)
    last = number[-1]
    others = "0123456789" if last.isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    # One that stands for two digits of a check is possible, two are not.
    assert sum(check(number[:-1] + other) for other in others if other != last) <= 1


@pytest.mark.parametrize("name", numbers.NATIONAL)
def test_made_numbers_are_found_by_name_and_spoilt_ones_are_not(name: str) -> None:
    make, word = numbers.NATIONAL[name]
    r = Random(3)
    for _ in range(20):
        number = make(r)
        assert name in {hit.detector for hit in find(f"{word}: {number}")}, number
        assert name not in {hit.detector for hit in find(f"{word}: {numbers.wrong(r, name)}")}


def test_a_number_within_others_is_none() -> None:
    for text in (
        "nhs 1.943.4765919", "commit 9434765919ab", "f81d4fae-7dec-11d0-a765-943476591900", "0.9434765919",
        "943 476 5919-1", "2.25.943476591994347659199434765919943",
    ):  # fmt: skip
        assert "uk-nhs" not in {hit.detector for hit in find(text)}, text


def test_a_weak_check_alone_is_weak() -> None:
    """One of eleven numbers passes: without a word near it that is little."""
    sure = {hit.detector: hit.confidence for hit in find("value 4128376459 and bsn 111222333")}
    assert sure["nl-bsn"] is Confidence.HIGH
    assert all(hit.confidence is Confidence.LOW for hit in find("value 111222333 was read"))
