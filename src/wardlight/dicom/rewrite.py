"""Rewrite an encoded data set by rules: untouched runs of elements are copied as slices, the rest is decided by tag.

What the rules mean is the caller's business (`wardlight.deid`). The rewriter keeps the structure valid: lengths of
items and sequences are written anew where their content changed, group lengths go, private creators stay only while
an element of their block does, and inserted elements stand at their sorted place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from struct import Struct
from struct import error as StructError
from typing import Any, Final, NamedTuple, TypeAlias

from wardlight.dicom.codec import (
    DELIMITER_GROUP,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Codec,
    codec_of,
    content_codec,
    unknown_codecs,
)
from wardlight.dicom.dictionary import vr_of
from wardlight.dicom.errors import DicomError, Truncated
from wardlight.dicom.limits import LIMITS, Limits
from wardlight.dicom.skip import read_item, skip_undefined
from wardlight.dicom.transfer_syntax import TransferSyntax
from wardlight.dicom.vr import LONG_VRS, SHORT_VRS, padding

# Plain elements in C, where they were built; see `elements.py`.
_run_plain: Callable[..., tuple[int, int, int]] | None = None
if not os.environ.get("WARDLIGHT_PURE"):
    try:
        from wardlight.dicom._rewrite_plain import run as _run_plain
    except ImportError:
        pass


class Action(Enum):
    """What a rule without a handler does. COLLECT removes and hands the value to `Rules.collect`."""

    REMOVE = "remove"
    COLLECT = "collect"
    EMPTY = "empty"


REMOVE: Final = Action.REMOVE
COLLECT: Final = Action.COLLECT
EMPTY: Final = Action.EMPTY


class Items(NamedTuple):
    """Replaces a sequence by one item with these elements (tag, VR, value)."""

    elements: tuple[tuple[int, bytes, bytes], ...]


#: (state, tag, VR, value) → new value; None removes the element; the same object keeps it as it is.
Handler: TypeAlias = Callable[[Any, int, bytes, bytes], bytes | None]
#: Bytes: keep while the element has this VR, and descend where it is SQ.
Rule: TypeAlias = bytes | Action | Items | Handler
#: (state, encoded sequence, codec, what rewrites it) → what that gives: the new encoding (None: as it is, b"": it goes)
#: and of how many elements it was made.
Memory: TypeAlias = Callable[
    [Any, bytes, Codec, Callable[[], tuple[bytes | None, int]]], tuple[bytes | None, int]
]


@dataclass(frozen=True, slots=True)
class Rules:
    """What to do with each element.

    top, nested: rule by tag at the top level and inside sequences; a tag that is in neither is removed.
    private: rule of a private element by (private creator, group, last byte of the element), None removes it; where
    this is None every private element goes. mismatch: (state, tag, VR, value, expected VR) for a kept element whose VR
    is not the one of its rule; gives the new value or None. collect: takes (state, tag, VR, value) of removed ones.
    enter: (state, tag of the sequence, data, start, end, codec) before the elements of an item, whose end is a bound
    where its length is undefined; leave: (state) after them, true where the whole item goes. A sequence whose items
    all go goes with them. What holds inside one data set only, such as its character set, hangs on them.
    memory: rewrites a sequence of the top level, or knows what came of it before.
    """

    top: Mapping[int, Rule]
    nested: Mapping[int, Rule]
    mismatch: Callable[[Any, int, bytes, bytes, bytes], bytes | None]
    collect: Callable[[Any, int, bytes, bytes], None]
    private: Callable[[bytes, int, int], Rule | None] | None = None
    #: Nothing goes that no rule removes: private elements have their rules by tag as all others, and what has an
    #: undefined length and is no sequence stays as it is.
    whole: bool = False
    enter: Callable[[Any, int, bytes, int, int, Codec], None] | None = None
    leave: Callable[[Any], bool] | None = None
    memory: Memory | None = None


#: One line of a trace: the path of tags from the top level, and what happened ("remove", "empty", "replace", "add").
Trace: TypeAlias = list[tuple[tuple[int, ...], str]]

_NEVER: Final = 1 << 40
_NOTHING: Final = (_NEVER, b"")
_DELIMITERS: Final = DELIMITER_GROUP << 16
_LITTLE_IMPLICIT: Final = Struct("<HHI").pack
_BIG_IMPLICIT: Final = Struct(">HHI").pack
_LITTLE_SHORT: Final = Struct("<HH2sH").pack
_BIG_SHORT: Final = Struct(">HH2sH").pack
_LITTLE_LONG: Final = Struct("<HH2sHI").pack
_BIG_LONG: Final = Struct(">HH2sHI").pack
_LITTLE_U32: Final = Struct("<I").pack
_BIG_U32: Final = Struct(">I").pack


@dataclass(slots=True)
class _Run:
    """One rewrite: what every level of it shares."""

    data: bytes
    rules: Rules
    state: Any
    limits: Limits
    trace: Trace | None
    left: int


@dataclass(slots=True)
class _Creator:
    """A private creator of the current level, written only once something of its block is kept."""

    name: bytes
    encoded: bytes
    place: int


class _Level:
    """One data set of the tree: the top level or an item."""

    __slots__ = ("codec", "creators", "depth", "end", "parts", "path")

    def __init__(self, codec: Codec, end: int, depth: int, path: tuple[int, ...]) -> None:
        self.codec = codec
        self.end = end
        self.depth = depth
        self.path = path
        self.parts: list[bytes] = []
        self.creators: dict[int, _Creator] = {}


def encode_element(codec: Codec, tag: int, vr: bytes, value: bytes) -> bytes:
    """One element with an even length; DicomError "length" where the value is too long for its VR (PS3.5 6.2)."""
    if len(value) & 1:
        value += padding(vr)
    big = codec.big
    if codec.implicit:
        return (_BIG_IMPLICIT if big else _LITTLE_IMPLICIT)(tag >> 16, tag & 0xFFFF, len(value)) + value
    if vr in LONG_VRS:
        return (_BIG_LONG if big else _LITTLE_LONG)(tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value
    if len(value) > 0xFFFF:
        raise DicomError("length", 0)
    return (_BIG_SHORT if big else _LITTLE_SHORT)(tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def rewrite(
    data: bytes,
    syntax: TransferSyntax,
    rules: Rules,
    state: Any,
    *,
    insert: Sequence[tuple[int, bytes, bytes]] = (),
    limits: Limits = LIMITS,
    trace: Trace | None = None,
) -> bytes:
    """The data set rewritten by the rules, in the same transfer syntax.

    data: encoded elements up to (not including) the top-level pixel data, inflated where the syntax is deflated.
    insert: (tag, VR, value) in ascending order of tags; the rules must remove these tags. trace: takes one line for
    each element that changed. Raises `Truncated` or `DicomError` where the input is malformed or beyond a limit.
    """
    codec = codec_of(syntax, data, 0)
    run = _Run(data, rules, state, limits, trace, limits.elements)
    encoded = [(tag, encode_element(codec, tag, vr, value)) for tag, vr, value in insert]
    try:
        new, _ = _rewrite_level(run, _Level(codec, len(data), 0, ()), rules.top, 0, False, encoded)
    except StructError:
        raise Truncated(len(data)) from None
    return data if new is None else new


def _rewrite_level(
    run: _Run,
    level: _Level,
    table: Mapping[int, Rule],
    p: int,
    open_item: bool,
    insert: Sequence[tuple[int, bytes]] = (),
    kept_from: int = -1,
) -> tuple[bytes | None, int]:
    """Rewrite the elements from p to the level's end or item delimiter: (None if unchanged, the offset after).

    kept_from: where the slice begins that goes into the output next, p where it is below zero.
    """
    # The hot loop: all names local, a kept element costs one parse and one look-up and stays part of a slice.
    data, codec, end, get = run.data, level.codec, level.end, table.get
    head, u32, shorts, longs, implicit = codec.head, codec.u32, SHORT_VRS, LONG_VRS, codec.implicit
    collect, state, trace = run.rules.collect, run.state, run.trace
    # Private elements need a look at their creator only where some of them may stay.
    whole_groups = 0x10000 if run.rules.private is None else 0
    add = level.parts.append
    if kept_from < 0:
        kept_from = p
    waiting = iter(insert)
    next_tag, next_bytes = next(waiting, _NOTHING)
    # A report wants every change, which only Python lists.
    plain = _run_plain if trace is None and not implicit and table.__class__ is dict else None
    count = 0
    budget = left = run.left
    for count in range(budget + 1):
        if plain is not None:
            p, kept_from, settled = plain(
                data, p, end, codec, table, state, REMOVE, COLLECT, collect, encode_element,
                level.parts, kept_from, next_tag, whole_groups, left - count,
            )  # fmt: skip
            left -= settled
        if p >= end:
            break
        if count > left:
            raise DicomError("count", p)
        if implicit:
            tag, vr, v, length = codec.read(data, p)
        else:
            group, element, vr, length = head(data, p)
            tag = group << 16 | element
            if vr in shorts:
                v = p + 8
            elif vr in longs:
                v = p + 12
                length = u32(data, p + 8)[0]
                if length == UNDEFINED:
                    length = -1
            else:
                tag, vr, v, length = codec.read(data, p)
        q = v + length
        if q > end:
            raise Truncated(p, q)
        if tag >= next_tag:
            add(data[kept_from:p])
            kept_from = p
            while tag >= next_tag:
                add(next_bytes)
                next_tag, next_bytes = next(waiting, _NOTHING)
        rule = get(tag)
        new: bytes | None
        if callable(rule) and length >= 0 and vr != b"SQ":
            value = data[v:q]
            new = rule(state, tag, vr, value)
            if new is value:
                p = q
                continue
            new = b"" if new is None else encode_element(codec, tag, vr if vr != b"UN" else vr_of(tag), new)
        elif rule == vr and rule != b"SQ" and length >= 0:
            p = q
            continue
        elif length >= 0 and (
            rule is REMOVE or (rule is None and tag < _DELIMITERS and tag & 0x10000 <= whole_groups)
        ):
            new = b""
        elif rule is COLLECT and length >= 0:
            collect(state, tag, vr, data[v:q])
            new = b""
        elif tag >= _DELIMITERS:
            # In an item of defined length a delimiter is superfluous, but does no harm as its last element.
            if tag != ITEM_END or not (open_item or (p + 8 == end and level.depth)):
                raise DicomError("bad-item", p)
            run.left -= budget - left + count
            return _joined(level, data[kept_from:p]), p + 8
        else:
            new, q = _decide(run, level, rule, tag, vr, p, v, length)
            if tag & 0x10000 and new != b"":
                _write_creator(level, tag)
            if new is None:
                p = q
                continue
        if trace is not None:
            trace.append(((*level.path, tag), "change" if new else "remove"))
        add(data[kept_from:p])
        if new:
            add(new)
        kept_from = p = q
    else:
        raise DicomError("count", p)
    if open_item:
        raise Truncated(p)
    run.left -= budget - left + count
    if next_tag is not _NEVER:
        add(data[kept_from:p])
        kept_from = p
        add(next_bytes)
        level.parts.extend(encoded for _, encoded in waiting)
    return _joined(level, data[kept_from:p]), p


def _joined(level: _Level, rest: bytes) -> bytes | None:
    if not level.parts:
        return None
    level.parts.append(rest)
    return b"".join(level.parts)


def _decide(
    run: _Run, level: _Level, rule: Rule | None, tag: int, vr: bytes, p: int, v: int, length: int
) -> tuple[bytes | None, int]:
    """The new encoding of one element that the hot loop did not settle (None: as it is), and the offset after it."""
    data, rules = run.data, run.rules
    q = v + length
    if tag & 0x10000 and not rules.whole:
        if 0x10 <= tag & 0xFFFF <= 0xFF and length >= 0 and rules.private is not None:
            # The slice that ends before it becomes the next part; the creator goes to that part's end once an
            # element of its block is kept.
            name = data[v:q].rstrip(b" \0")
            level.creators[tag >> 16 << 8 | tag & 0xFF] = _Creator(name, data[p:q], len(level.parts))
            return b"", q
        rule = _private_rule(run, level, tag)
    if length < 0 or vr == b"SQ" or (rule == b"SQ" and vr == b"UN"):
        if rules.memory is not None and rule == vr and length >= 0 and not level.depth and run.trace is None:
            return _remembered(run, level, tag, p, v, q), q
        return _sequence(run, level, rule, tag, vr, p, v, length)
    if rule is None or rule is REMOVE:
        return b"", q
    value = data[v:q]
    fresh: bytes | None
    if rule is COLLECT:
        rules.collect(run.state, tag, vr, value)
        return b"", q
    if rule is EMPTY:
        fresh = b""
    elif isinstance(rule, Items):
        return encode_element(level.codec, tag, b"SQ", encode_items(level.codec, [rule])), q
    elif isinstance(rule, bytes):
        fresh = value if rule == vr else rules.mismatch(run.state, tag, vr, value, rule)
    else:
        fresh = rule(run.state, tag, vr, value)
    if fresh is value:
        return None, q
    if fresh is None:
        return b"", q
    if vr == b"UN" and not tag & 0x10000:
        vr = vr_of(tag)
    return encode_element(level.codec, tag, vr, fresh), q


def _remembered(run: _Run, level: _Level, tag: int, p: int, v: int, q: int) -> bytes | None:
    """A sequence of the top level that may have been rewritten before."""
    left = run.left

    def anew() -> tuple[bytes | None, int]:
        new, _ = _sequence(run, level, b"SQ", tag, b"SQ", p, v, q - v)
        return new, left - run.left

    assert run.rules.memory is not None
    new, count = run.rules.memory(run.state, run.data[p:q], level.codec, anew)
    run.left = left - count
    if run.left < 0:
        raise DicomError("count", p)
    return new


def _private_rule(run: _Run, level: _Level, tag: int) -> Rule | None:
    """The rule of a private element; None for all that has no creator."""
    creator = level.creators.get(tag >> 8)
    if creator is None or run.rules.private is None or tag & 0xFFFF < 0x1000:
        return None
    return run.rules.private(creator.name, tag >> 16, tag & 0xFF)


def _write_creator(level: _Level, tag: int) -> None:
    """The creator of the first private element of its block that is kept stays with it (PS3.5 7.8.1)."""
    creator = level.creators.get(tag >> 8)
    if creator is not None and creator.encoded:
        level.parts[creator.place] += creator.encoded
        creator.encoded = b""


def _sequence(
    run: _Run, level: _Level, rule: Rule | None, tag: int, vr: bytes, p: int, v: int, length: int
) -> tuple[bytes | None, int]:
    """A sequence, or any value of undefined length: descend where the rule keeps sequences, else remove or empty it."""
    data, codec = run.data, level.codec
    if rule != b"SQ" or (vr != b"SQ" and vr != b"UN"):
        q = v + length
        if length < 0:
            q = skip_undefined(data, p, v, vr, codec, run.limits, level.depth + 1)
        if q > level.end:
            raise Truncated(p, q)
        if run.rules.whole and rule is not REMOVE:
            return None, q
        if rule is COLLECT and (vr == b"SQ" or vr == b"UN"):
            run.rules.collect(run.state, tag, b"SQ", data[v : q - 8 if length < 0 else q])
        elif rule is EMPTY and vr == b"SQ":
            return encode_element(codec, tag, vr, b""), q
        elif isinstance(rule, Items) and vr == b"SQ":
            return encode_element(codec, tag, b"SQ", encode_items(codec, [rule])), q
        return b"", q
    stop = -1 if length < 0 else v + length
    if vr == b"UN" and length >= 0:
        for inner in unknown_codecs(data, v):
            try:
                bodies, _ = _items(run, level, inner, tag, v, stop)
            except (DicomError, StructError):
                continue
            return _sequence_bytes(data, codec, inner, bodies, p, v), stop
        # Not a sequence after all, or one that nobody can read: nothing of it may stay.
        return (None if length == 0 else b""), stop
    inner = content_codec(data, vr, v, codec)
    bodies, q = _items(run, level, inner, tag, v, stop)
    return _sequence_bytes(data, codec, inner, bodies, p, v), q


def _items(
    run: _Run, level: _Level, codec: Codec, tag: int, p: int, stop: int
) -> tuple[list[bytes] | None, int]:
    """The items of a sequence rewritten (None if all are unchanged), and the offset after the sequence."""
    data, limits, depth = run.data, run.limits, level.depth + 1
    enter, leave, state, nested = run.rules.enter, run.rules.leave, run.state, run.rules.nested
    if depth > limits.depth:
        raise DicomError("depth", p)
    bodies: list[bytes] = []
    changed = False
    count = 0
    path = (*level.path, tag)
    bound = level.end if stop < 0 else stop
    plain = _run_plain if run.trace is None and not codec.implicit and nested.__class__ is dict else None
    while p != stop:
        if p + 8 > bound:
            raise Truncated(p)
        kind, _, v, length = read_item(data, p, codec)
        if kind == SEQUENCE_END:
            if stop >= 0 and v != stop:
                raise DicomError("bad-item", p)
            p = v
            break
        count += 1
        if count > limits.items:
            raise DicomError("items", p)
        end = bound if length < 0 else v + length
        if end > bound:
            raise Truncated(p, end)
        if enter is not None:
            enter(state, tag, data, v, end, codec)
        goes = False
        try:
            if plain is None:
                body, q = _rewrite_level(run, _Level(codec, end, depth, path), nested, v, length < 0)
            else:
                body, q = _rewrite_item(run, _Level(codec, end, depth, path), plain, v, length < 0)
        finally:
            # Also where a value of VR UN turns out to be no sequence and is tried in another encoding.
            if leave is not None:
                goes = leave(state)
        p = q
        if goes:
            changed = True
            continue
        if body is None:
            body = data[v : q - 8 if length < 0 else q]
        else:
            changed = True
        bodies.append(body)
    return (bodies if changed else None), p


def _rewrite_item(
    run: _Run, level: _Level, plain: Callable[..., tuple[int, int, int]], p: int, open_item: bool
) -> tuple[bytes | None, int]:
    """As `_rewrite_level` for an item: most have plain elements only, and so need no more than C."""
    data, rules, end = run.data, run.rules, level.end
    whole_groups = 0x10000 if rules.private is None else 0
    p, kept_from, settled = plain(
        data, p, end, level.codec, rules.nested, run.state, REMOVE, COLLECT, rules.collect, encode_element,
        level.parts, p, _NEVER, whole_groups, run.left,
    )  # fmt: skip
    run.left -= settled
    if p < end or open_item:
        return _rewrite_level(run, level, rules.nested, p, open_item, (), kept_from)
    return _joined(level, data[kept_from:p]), p


def _sequence_bytes(
    data: bytes, outer: Codec, inner: Codec, bodies: list[bytes] | None, p: int, v: int
) -> bytes | None:
    """A sequence element of defined length from its items; its tag and VR are those it had. None stays None.

    Without items it goes: it had some, and most sequences must not be empty (PS3.5 7.5.1).
    """
    if not bodies:
        return None if bodies is None else b""
    pack = _BIG_IMPLICIT if inner.big else _LITTLE_IMPLICIT
    content = b"".join(
        part for body in bodies for part in (pack(DELIMITER_GROUP, ITEM & 0xFFFF, len(body)), body)
    )
    return data[p : v - 4] + (_BIG_U32 if outer.big else _LITTLE_U32)(len(content)) + content


def encode_items(codec: Codec, items: Sequence[Items]) -> bytes:
    """The value of a sequence with these items, each of defined length."""
    pack = _BIG_IMPLICIT if codec.big else _LITTLE_IMPLICIT
    parts: list[bytes] = []
    for item in items:
        body = b"".join(encode_element(codec, *element) for element in item.elements)
        parts += (pack(DELIMITER_GROUP, ITEM & 0xFFFF, len(body)), body)
    return b"".join(parts)
