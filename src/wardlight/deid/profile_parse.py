"""Reads a profile from TOML: every key checked, every error with its line and a reason."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from wardlight.deid.profile_lines import Lines, Place
from wardlight.deid.profile_model import (
    CHOICES,
    LEVELS,
    NOT_OFFERED,
    OPTIONS,
    Override,
    Profile,
    ProfileError,
)
from wardlight.deid.profile_overrides import check_legal, combined, override_of
from wardlight.deid.profile_suggest import suggestion
from wardlight.dicom.dictionary import keywords, tag_of

#: What errors call a profile, whatever its file is called.
LABEL: Final = "profile.toml"
#: Each key of a profile and what it is for; docs/reference/profiles.md says more.
KEYS: Final[dict[str, str]] = {
    "inherit": "the level that everything not named here is taken from",
    "name": "what the output says of its method",
    "level": "what the output counts as",
    "options": "columns of Table E.1-1 besides the Basic Profile",
    "times": "times of day",
    "ages": "patients' ages",
    "patient": "what the option patient keeps of its column",
    "text": "what clean means for text",
    "unlisted": "elements in no row of the table and not on the allowlist",
    "pixels": "which images may carry burned-in text",
    "faces": "head CT, MR and PT say that they show a face",
    "quarantine_faces": "head CT, MR and PT are not released",
    "vocabulary": "words that may stay in text besides the built-in ones",
    "terms": "values of coded strings that may stay besides the built-in ones",
    "override": "what happens with single elements",
}
MOST_WORDS: Final = 2000
MOST_TERMS: Final = 500
MOST_OVERRIDES: Final = 1000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")
_WORD: Final = re.compile(r"[A-Za-z]{2,40}")
_TERM: Final = re.compile(r"(?=.*[A-Z])[A-Z0-9][A-Z0-9 _]{0,15}")
_DIGITS_IN_TERM: Final = 4
_NO_TOML: Final = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", re.DOTALL)
_FLAGS: Final = ("faces", "quarantine_faces")


def parse(content: bytes, built_in: Callable[[str], Profile] | None, *, label: str = LABEL) -> Profile:
    """A profile. built_in: gives a level's, None while one of them is read. Raises ProfileError."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ProfileError(f"{label}:{line}: not TOML: the text is not UTF-8") from None
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        match = _NO_TOML.fullmatch(str(error))
        line = int(match[2]) if match and match[2] else len(text.splitlines()) or 1
        why = match[1] if match else "too deep"
        raise ProfileError(f"{label}:{line}: not TOML: {why}") from None
    return _Parser(data, Lines(text), label).profile(built_in)


class _Parser:
    """One profile while it is read."""

    def __init__(self, data: dict[str, Any], lines: Lines, label: str) -> None:
        self._data = data
        self._lines = lines
        self._label = label

    def wrong(self, place: Place, why: str) -> ProfileError:
        """An error that names its line."""
        return ProfileError(f"{self._label}:{self._lines.of(place)}: {why}")

    def profile(self, built_in: Callable[[str], Profile] | None) -> Profile:
        """The whole of it."""
        for key in self._data:
            if key not in KEYS:
                raise self.wrong((key,), f"{key}: unknown key{suggestion(key, KEYS)}")
        parent = self._data.pop("inherit", None)
        if parent is not None and (parent not in LEVELS or built_in is None):
            raise self.wrong(("inherit",), f"inherit: one of {', '.join(LEVELS)}{suggestion(parent, LEVELS)}")
        base = built_in(parent) if parent is not None and built_in is not None else None
        fields = {key: self._field(key, value) for key, value in self._data.items() if key != "override"}
        if base is None:
            fields = {"patient": None, "overrides": {}, **fields}
            missing = {*CHOICES, "name", "level", "options", "faces"} - fields.keys()
            if missing:
                raise self.wrong((), f"missing: {', '.join(sorted(missing))}; or inherit a level")
            profile = Profile(**fields)
        else:
            profile = replace(base, **{"name": f"{parent}-site", **fields})
        found = self._overrides(self._data.get("override", []))
        profile = combined(profile, found)
        check_legal(profile, found, self.wrong)
        if built_in is not None:
            if profile.name in LEVELS:
                raise self.wrong(("name",), f"name: {profile.name} is a built-in level; choose another")
            self._not_looser(profile, built_in(profile.level))
        return profile

    def _field(self, key: str, value: object) -> Any:
        place = (key,)
        if key == "level" or key in CHOICES:
            allowed = LEVELS if key == "level" else CHOICES[key]
            if value not in allowed:
                raise self.wrong(place, f"{key}: one of {', '.join(allowed)}{suggestion(value, allowed)}")
            return value
        if key in _FLAGS:
            if not isinstance(value, bool):
                raise self.wrong(place, f"{key}: true or false is needed")
            return value
        if key == "name":
            if not isinstance(value, str) or not _NAME.fullmatch(value):
                raise self.wrong(place, "name: up to 40 letters, digits, spaces and . _ - are needed")
            return value
        if key == "options":
            return self._options(value)
        if key == "patient":
            return frozenset(self._keywords(value))
        return self._words(key, value)

    def _options(self, value: object) -> frozenset[str]:
        offered = [option for option in OPTIONS if option not in NOT_OFFERED]
        chosen = self._list(("options",), value)
        for number, option in enumerate(chosen):
            place = ("options", number)
            if option in NOT_OFFERED:
                raise self.wrong(place, f"options: {option} is not offered")
            if option not in offered:
                raise self.wrong(place, f"options: any of {', '.join(offered)}{suggestion(option, offered)}")
        if {"full_dates", "modified_dates"} <= set(chosen):
            raise self.wrong(("options",), "options: full_dates and modified_dates exclude each other")
        return frozenset(chosen)

    def _keywords(self, value: object) -> list[int]:
        found: list[int] = []
        for number, keyword in enumerate(self._list(("patient",), value)):
            tag = tag_of(keyword)
            if tag is None:
                why = f"patient: no keyword of the standard{suggestion(keyword, keywords())}"
                raise self.wrong(("patient", number), why)
            found.append(tag)
        return found

    def _words(self, key: str, value: object) -> frozenset[bytes]:
        """`vocabulary` in lower case, or `terms`."""
        most, form, rule = (
            (MOST_WORDS, _WORD, "one word of 2 to 40 letters a to z; digits are judged by themselves")
            if key == "vocabulary"
            else (MOST_TERMS, _TERM, "up to 16 of A to Z, 0 to 9, space and _, with a letter and few digits")
        )
        words = self._list((key,), value)
        if len(words) > most:
            raise self.wrong((key,), f"{key}: {most} at most")
        for number, word in enumerate(words):
            if not form.fullmatch(word) or sum(map(str.isdigit, word)) > _DIGITS_IN_TERM:
                raise self.wrong((key, number), f"{key}: {rule}")
        lower = key == "vocabulary"
        return frozenset((word.lower() if lower else word.strip()).encode("ascii") for word in words)

    def _list(self, place: Place, value: object) -> list[str]:
        if not isinstance(value, list):
            raise self.wrong(place, f"{place[0]}: a list is needed")
        for number, one in enumerate(value):
            if not isinstance(one, str):
                raise self.wrong((*place, number), f"{place[0]}: a list of texts is needed")
        return value

    def _overrides(self, rows: object) -> list[Override]:
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.wrong(("override",), "override: write [[override]] tables")
        if len(rows) > MOST_OVERRIDES:
            raise self.wrong(("override",), f"override: {MOST_OVERRIDES} at most")
        found = []
        for number, row in enumerate(rows):
            place = ("override", number)
            found.append(override_of(row, self._lines.of(place), self._wrong_in(place)))
        return found

    def _wrong_in(self, place: Place) -> Callable[[str, str], ProfileError]:
        return lambda key, why: self.wrong((*place, key), f"override: {why}")

    def _not_looser(self, profile: Profile, level: Profile) -> None:
        """A profile's output is taken for its level's by platform and verifier, so only overrides may keep more."""
        for key, allowed in CHOICES.items():
            if allowed.index(getattr(profile, key)) > allowed.index(getattr(level, key)):
                raise self._looser(key, f"{key}: {getattr(profile, key)}", level)
        more = profile.options - level.options
        if more:
            raise self._looser("options", f"options: {', '.join(sorted(more))}", level)
        if level.faces and not profile.faces:
            raise self._looser("faces", "faces: false", level)
        kept = level.patient
        if kept is not None and (profile.patient is None or not profile.patient <= kept):
            raise self._looser("patient", "patient: more elements", level)

    def _looser(self, key: str, what: str, level: Profile) -> ProfileError:
        place = key if key in self._data else "level" if "level" in self._data else "inherit"
        why = (
            f"{what} is looser than level {level.level}; inherit a level that has it, or keep single elements"
        )
        return self.wrong((place,), f"{why} by [[override]]")
