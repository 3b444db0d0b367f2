"""Where somebody can be reached, or from where they came: e-mail, telephone, postal and network addresses."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from wardlight.classification import words
from wardlight.classification.found import Confidence
from wardlight.classification.model import DataClass
from wardlight.classification.patterns import LOOSE, Detector, Judged, before, labelled, phrase_regex
from wardlight.classification.prefilter import Flag
from wardlight.classification.words import tokens

_HIGH, _MEDIUM, _LOW = Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW
_PERSONAL: Final = DataClass.PERSONAL

#: What looks like a top-level domain and is an extension of files.
_NO_DOMAIN: Final = tokens(
    """
    png jpg jpeg gif svg webp js ts py rs go java json yaml yml toml xml html css md txt log conf service
    socket local internal lan dcm so dll exe rb c h cpp
    """
)
_ROLE_MAILBOX: Final = tokens(
    """
    noreply no-reply donotreply postmaster abuse webmaster hostmaster mailer-daemon info support git root
    admin
    """
)


def _email(match: re.Match[str]) -> Judged:
    local, _, domain = match[0].rpartition("@")
    text, start = match.string, match.start()
    if domain.rpartition(".")[2].lower() in _NO_DOMAIN or ".." in domain:
        return None
    if "://" in text[max(0, start - 40) : start] and text[start - 1 : start] == ":":
        return None  # the password of an address with one
    if local.lower().partition("+")[0] in _ROLE_MAILBOX:
        return _LOW, "e-mail address of an office rather than a person"
    return _HIGH, "form of an e-mail address (RFC 5321)"


_CODES: Final = tokens(
    """
    1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66
    81 82 84 86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232
    233 234 235 236 237 238 239 240 241 242 243 244 245 246 248 249 250 251 252 253 254 255 256 257 258 260
    261 262 263 264 265 266 267 268 269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371
    372 373 374 375 376 377 378 380 381 382 383 385 386 387 389 420 421 423 500 501 502 503 504 505 506 507
    508 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676 677 678 679 680 681 682 683 685
    686 687 688 689 690 691 692 850 852 853 855 856 880 886 960 961 962 963 964 965 966 967 968 970 971 972
    973 974 975 976 977 992 993 994 995 996 998
    """
)
_NOT_DIGITS: Final = re.compile(r"\D")
_PHONE_WORDS: Final = phrase_regex(words.PHONE)


def _international(match: re.Match[str]) -> Judged:
    digits = _NOT_DIGITS.sub("", match[0])
    if match[0].startswith("00"):
        digits = digits[2:]
    if not 8 <= len(digits) <= 15 or not any(digits[:n] in _CODES for n in (1, 2, 3)):
        return None
    named = _PHONE_WORDS.search(before(match)) is not None
    if match[0].startswith("00") and not named:
        return (_MEDIUM, "international telephone number (00)") if re.search(r"[ /]", match[0]) else None
    return (
        _HIGH if named or len(match[0]) > len(digits) + 1 else _MEDIUM
    ), "international telephone number (E.164)"


def _national_phone(match: re.Match[str]) -> Judged:
    value = match["v"]
    digits = _NOT_DIGITS.sub("", value)
    if not 6 <= len(digits) <= 15 or len(set(digits)) < 3 or re.fullmatch(r"\d{4}-\d\d-\d\d.*", value):
        return None
    return _HIGH, "digits after a word for telephone"


def _american(match: re.Match[str]) -> Judged:
    named = _PHONE_WORDS.search(before(match)) is not None
    return (_HIGH if named else _MEDIUM), "telephone number of the North American numbering plan"


_PEER: Final = phrase_regex(
    "client|user|remote|peer|from|source|src|ip|address|addr|login|host|x forwarded for|forwarded for"
)
#: Just before the number, and anywhere near it.
_VERSION: Final = re.compile(
    r"(?:ver|v|rev|oid|sdk|chrome|safari|edge|firefox)[ :=/\"']{0,3}$", re.IGNORECASE
)
_VERSIONS: Final = phrase_regex(
    "version|firmware|release|released|build|upgrade|upgraded|library|package|driver|revision"
)


def _ipv4(match: re.Match[str]) -> Judged:
    try:
        address = ipaddress.IPv4Address(match[0])
    except ValueError:
        return None
    if address.is_loopback or address.is_unspecified or address.is_multicast or match[0].startswith("255."):
        return None
    near = before(match)
    if (
        _VERSION.search(near)
        or _VERSIONS.search(near[-40:])
        or match[0].endswith(".0")
        or match.string[match.end() : match.end() + 3] in ("/8 ", "/16", "/24")
    ):
        return None
    named = _PEER.search(near) is not None
    if int(address) >> 24 < 3 and not named:
        return None  # versions, far more often
    if address.is_private:
        return (_MEDIUM if named else _LOW), "address within a network (IPv4)"
    return (_HIGH if named else _MEDIUM), "public network address (IPv4)"


def _ipv6(match: re.Match[str]) -> Judged:
    try:
        address = ipaddress.IPv6Address(match[0])
    except ValueError:
        return None
    if address.is_loopback or address.is_unspecified or address.is_multicast or match[0].count(":") < 2:
        return None
    if len(match[0]) < 6:
        return None
    return (_MEDIUM if address.is_private else _HIGH), "network address (IPv6)"


def _mac(match: re.Match[str]) -> Judged:
    if len(set(match[0].replace(":", "").replace("-", ""))) < 3:
        return None
    return _MEDIUM if "-" in match[0] else _HIGH, "hardware address of a network interface"


_CAPITAL: Final = "A-ZÄÖÜÉÈÀÁÍÓÚÑÇÅØÆŁŚŻŹ"
_LETTER: Final = r"[^\W\d_]"
_NAMED: Final = rf"[{_CAPITAL}]{_LETTER}{{1,24}}+(?:[ '’-][{_CAPITAL}d]{_LETTER}{{0,24}}+){{0,3}}+"
_STREET_EN: Final = (
    rf"\d{{1,5}}[A-Za-z]?,? (?:[{_CAPITAL}]{_LETTER}{{1,20}} ){{1,3}}"
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Dr|Boulevard|Blvd|Court|Crescent|Terrace)\b"
)
_STREET_DE: Final = (
    rf"[{_CAPITAL}]{_LETTER}{{2,24}}"
    r"(?:straße|strasse|str\.|weg|platz|allee|gasse|straat|laan|plein|gracht|kade|dijk|gatan|vägen|vej|gade|veien|gata|"
    r"katu|kuja|tie) \d{1,4}[ ]?[a-zA-Z]?\b"
)
_STREET_ROMANCE: Final = (
    r"\d{1,4}(?: bis| ter)?,? (?i:rue|avenue|boulevard|place|chemin|allée|impasse)"
    rf"(?: (?:des|de|du|les|le|la|l'|d')){{0,3}}+[ '’]?{_NAMED}"
)
_STREET_FIRST: Final = (
    r"(?:Calle|C/(?= ?[A-ZÁÉÍÓÚÑ][a-záéíóúñ])|"
    r"Avenida|Avda\.?|Av\.|Plaza|Paseo|Via|Viale|Piazza|Corso|Rua|Travessa|ul\.|ulica|al\.|aleja|ул\.|улица)"
    r"(?: (?:della|del|dei|de|dos|das|do|da|las|los|la|el)){0,3}+ ?"
    rf"{_LETTER}{{2,24}}+(?:[ '’-]{_LETTER}{{1,24}}+){{0,3}}+,? (?:n[.º°] ?|nº ?|д\. ?)?\d{{1,4}}"
)
_STREET_EAST: Final = (
    r"[\u4e00-\u9fff]{2,4}[都道府県省市][\u3040-\u30ff\u4e00-\u9fff]{1,12}+"
    r"[0-9０-９]{1,4}(?:丁目|番地|号|路|-[0-9]{1,4})"
)


def _street(_match: re.Match[str]) -> Judged:
    return _HIGH, "street with a house number"


def _address(match: re.Match[str]) -> Judged:
    value = match["v"]
    if len(value) < 8 or "@" in value or "://" in value or re.match(r"[\d.:a-fA-F]+$", value):
        return None
    letters = sum(c.isalpha() for c in value)
    if letters < 5 or " " not in value.strip() or not re.search(r"\d", value):
        return None
    if not re.search(rf"[{_CAPITAL}\u3040-\u9fff][^\W\d_]", value):
        return None
    return _MEDIUM, "words and digits after a word for address"


DETECTORS: Final = (
    Detector(
        *("email", _PERSONAL, int(Flag.AT)),
        re.compile(r"(?<![\w.%+-])[\w.%+'-]{1,64}+@(?:[\w-]{1,63}+\.){1,8}[^\W\d_]{2,24}+(?![\w-])"),
        _email,
    ),
    Detector(
        *("phone", _PERSONAL, int(Flag.DIGITS | Flag.PHONE)),
        re.compile(r"(?<![\w.+-])(?:\+|00)[1-9]\d{0,2}+(?:[ .\-/]?\(?\d{1,5}+\)?){1,7}(?![\w+]|\.\d)"),
        _international,
    ),
    labelled(
        *("phone", _PERSONAL, Flag.PHONE, r"\(?\+?\d(?:[ .\-/()]{0,2}\d){5,14}"),
        _national_phone,
        between=LOOSE,
    ),
    Detector(
        *("phone", _PERSONAL, int(Flag.DIGITS)),
        re.compile(
            r"(?<![\w.(+-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[.-])[2-9]\d{2}[.-]\d{4}(?![\w-]|\.\d)"
        ),
        _american,
    ),
    Detector(
        *("ip-address", _PERSONAL, int(Flag.DOTTED)),
        re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)"),
        _ipv4,
    ),
    Detector(
        *("ip-address", _PERSONAL, int(Flag.COLONS)),
        re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}+[0-9A-Fa-f]{0,4}(?![\w:]|\.\d)"),
        _ipv6,
    ),
    Detector(
        *("mac-address", _PERSONAL, int(Flag.COLONS)),
        re.compile(
            r"(?<![\w:-])(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![\w:])|(?<![\w:-])(?:[0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}(?![\w-])"
        ),
        _mac,
    ),
    *(
        Detector(
            "address", _PERSONAL, int(Flag.ADDRESS | Flag.TITLE), re.compile(rf"(?<!\w)(?:{street})"), _street
        )
        for street in (_STREET_EN, _STREET_DE, _STREET_ROMANCE, _STREET_FIRST, _STREET_EAST)
    ),
    labelled("address", _PERSONAL, Flag.ADDRESS, r"[^\n\"|<>{}=;]{8,120}+", _address),
)
