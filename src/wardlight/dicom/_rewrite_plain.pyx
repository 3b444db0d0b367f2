# cython: language_level=3, boundscheck=False, wraparound=False
"""The plain elements of an explicit data set rewritten in C. What is not plain is left to `rewrite.py`, whose rules hold."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

from wardlight.dicom.vr import LONG_VRS, SHORT_VRS

cdef unsigned char KINDS[65536]  # by the two bytes of a VR: 0 not plain, 8 or 12 bytes of header
cdef list NAMES = [None] * 65536


cdef void _learn() except *:
    for vrs, size in ((SHORT_VRS, 8), (LONG_VRS - {b"SQ", b"UN"}, 12)):
        for vr in vrs:
            KINDS[vr[0] << 8 | vr[1]] = size
            NAMES[vr[0] << 8 | vr[1]] = vr


_learn()


cdef bytes _encoded(const unsigned char* head, bytes value):
    """An element of 16-bit length in little endian: tag and VR as they were, the value with its length."""
    cdef Py_ssize_t size = len(value)
    cdef bytes made = PyBytes_FromStringAndSize(NULL, 8 + size)
    cdef unsigned char* out = <unsigned char*>PyBytes_AS_STRING(made)
    memcpy(out, head, 6)
    out[6], out[7] = size & 0xFF, size >> 8
    memcpy(out + 8, PyBytes_AS_STRING(value), size)
    return made


def run(
    bytes data, Py_ssize_t p, Py_ssize_t end, codec, dict table, state, remove, collect, collector, encode,
    list parts, Py_ssize_t kept, long long before, bint private, Py_ssize_t most,
):
    """Rewrite elements until one is not plain; gives its place, where the kept slice begins, and the count.

    Plain: below the tag `before`, of a known VR but SQ and UN, of a defined length that ends before `end`, under a rule
    that keeps it, removes it, collects it or is a handler. private: private elements without a rule go too.
    """
    cdef const unsigned char* b = data
    cdef bint big = codec.big
    cdef Py_ssize_t count = 0, value, stop
    cdef unsigned int name, kind
    cdef long long tag, length
    cdef object rule, vr, old, new
    end = min(end, len(data))
    while count < most and p + 8 <= end:
        name = b[p + 4] << 8 | b[p + 5]
        kind = KINDS[name]
        value = p + kind
        if kind == 0 or value > end:
            break
        if big:
            tag = <long long>b[p] << 24 | b[p + 1] << 16 | b[p + 2] << 8 | b[p + 3]
        else:
            tag = <long long>b[p + 1] << 24 | b[p] << 16 | b[p + 3] << 8 | b[p + 2]
        if kind == 8:
            length = b[p + 6] << 8 | b[p + 7] if big else b[p + 7] << 8 | b[p + 6]
        elif big:
            length = <long long>b[p + 8] << 24 | b[p + 9] << 16 | b[p + 10] << 8 | b[p + 11]
        else:
            length = <long long>b[p + 11] << 24 | b[p + 10] << 16 | b[p + 9] << 8 | b[p + 8]
        stop = value + length
        if tag >= before or tag >> 16 == 0xFFFE or length == 0xFFFFFFFF or stop > end:
            break
        rule = table.get(tag)
        vr = NAMES[name]
        new = None
        if rule is None:
            if tag & 0x10000 and not private:
                break
        elif rule is collect:
            collector(state, tag, vr, data[value:stop])
        elif rule is not remove:
            if isinstance(rule, bytes):
                if rule != vr:
                    break
                p = stop
                count += 1
                continue
            if not callable(rule):
                break
            old = data[value:stop]
            new = rule(state, tag, vr, old)
            if new is old:
                p = stop
                count += 1
                continue
            if new is not None:
                if kind == 8 and not big and not len(new) & 1 and len(new) <= 0xFFFF:
                    new = _encoded(b + p, new)
                else:
                    new = encode(codec, tag, vr, new)
        parts.append(data[kept:p])
        if new is not None:
            parts.append(new)
        kept = p = stop
        count += 1
    return p, kept, count
