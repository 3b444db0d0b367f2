"""Secrets: keys and tokens by their beginnings, and what follows a word for a password."""

from __future__ import annotations

import re
from typing import Final

from wardlight.classification.found import Confidence
from wardlight.classification.model import DataClass
from wardlight.classification.patterns import Detector, Judged, labelled
from wardlight.classification.prefilter import Flag

_SECRET: Final = DataClass.SECRET
_KNOWN: Final = (
    r"eyJ[\w-]{10,2000}+\.eyJ[\w-]{10,4000}+\.[\w-]{10,1000}+",  # JWT (RFC 7519)
    r"(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)",
    r"gh[opusr]_[A-Za-z0-9]{30,100}+",
    r"github_pat_[A-Za-z0-9_]{30,120}+",
    r"glpat-[\w-]{20,60}+",
    r"xox[abpr]-[\w-]{10,100}+",
    r"sk_live_[A-Za-z0-9]{16,100}+",
    r"wl_(?:pt|rt|at|rf|st|in|cs)_[\w-]{16,200}+",
)


def _known(_match: re.Match[str]) -> Judged:
    return Confidence.HIGH, "form of a known kind of key or token"


def _pem(_match: re.Match[str]) -> Judged:
    return Confidence.HIGH, "private key (RFC 7468)"


_MASKED: Final = re.compile(
    r"[*x•.<>\-_]+|\[?(?:masked|redacted|hidden|removed|secret|none|null|true|false|required|expired|invalid|missing|changed|unset|not)\b.*",
    re.I,
)


def _labelled(match: re.Match[str]) -> Judged:
    value = match["v"]
    if _MASKED.fullmatch(value) or value.startswith(("${", "{{", "%", "$(", "env:")):
        return None
    kinds = (re.search(p, value) is not None for p in (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^\w]"))
    if len(value) < 20 and sum(kinds) < 2:
        return Confidence.LOW, "value after a word for a secret"
    return Confidence.HIGH, "value after a word for a secret"


def _bearer(match: re.Match[str]) -> Judged:
    if not match.string[: match.start()].lower().endswith(("bearer", "basic")):
        return None
    return Confidence.HIGH, "credentials of HTTP (RFC 6750, RFC 7617)"


DETECTORS: Final = (
    Detector(
        *("secret", _SECRET, int(Flag.SECRET)),
        re.compile(rf"(?<![\w-])(?:{'|'.join(_KNOWN)})"),
        _known,
    ),
    Detector(
        *("secret", _SECRET, int(Flag.SECRET)),
        re.compile(r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY-----"),
        _pem,
    ),
    labelled("secret", _SECRET, Flag.SECRET, r"[\w+/=.~-]{16,4000}+", _bearer, between=" "),
    labelled("secret", _SECRET, Flag.SECRET, r"[^\s\"'<>,;&|]{4,200}+", _labelled),
    Detector(
        *("secret", _SECRET, int(Flag.AT)),
        re.compile(r"(?<=://)[^\s/:@]{1,64}+:(?P<v>[^\s/:@]{3,100}+)@(?=[\w.-])"),
        _labelled,
    ),
)
