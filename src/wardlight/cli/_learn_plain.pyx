# cython: language_level=3, boundscheck=False, wraparound=False
"""What identifies in an explicit header, in C. A header that is not plain is left to `deidentify_known.py`, whose rules hold."""

from wardlight.dicom.vr import LONG_VRS, SHORT_VRS

cdef unsigned char KINDS[65536]  # by the two bytes of a VR: 0 other, 8 or 12 bytes of header
cdef list NAMES = [None] * 65536
cdef enum:
    PN = 0x504E
    SQ = 0x5351
    UN = 0x554E
    CHARSET = 0x00080005
    UNDEFINED = 0xFFFFFFFF


cdef void _learn() except *:
    for vrs, size in ((SHORT_VRS, 8), (LONG_VRS, 12)):
        for vr in vrs:
            KINDS[vr[0] << 8 | vr[1]] = size
            NAMES[vr[0] << 8 | vr[1]] = vr


_learn()


cdef class _Walk:
    """One header: what is looked for in it, what was found, and how much more may come."""

    cdef bytes data
    cdef bint big
    cdef object wanted, kept, meaning
    cdef Py_ssize_t longest, most, elements, items, each
    cdef int deepest
    cdef list found

    cdef Py_ssize_t level(self, Py_ssize_t p, Py_ssize_t end, bint delimited, object charset, int depth) except -2:
        """A data set; gives the offset after it and its delimiter, -1 where it is not plain."""
        cdef const unsigned char* b = self.data
        cdef unsigned int name, kind
        cdef long long tag, length, last = -1
        cdef Py_ssize_t value, stop
        cdef bytes vr
        while p < end:
            if p + 8 > end:
                return -1
            tag = self.tag_at(p)
            if tag >> 16 == 0xFFFE:
                return p + 8 if delimited and tag == 0xFFFEE00D else -1
            name = b[p + 4] << 8 | b[p + 5]
            kind = KINDS[name]
            value = p + kind
            if kind == 0 or value > end or self.elements == 0:
                return -1
            self.elements -= 1
            if kind == 8:
                length = b[p + 6] << 8 | b[p + 7] if self.big else b[p + 7] << 8 | b[p + 6]
            else:
                length = self.long_at(p + 8)
            if length == UNDEFINED and kind == 12:
                if name != SQ:
                    return -1
                stop = -1
            else:
                stop = value + length
                if stop > end:
                    return -1
                if name == UN and length >= 8 and self.may_be_item(value):
                    return -1
                if 0 < length <= self.longest:
                    if tag == CHARSET:
                        charset = self.data[value:stop]
                    else:
                        vr = NAMES[name] if name != UN else self.meaning(tag)
                        if (vr == b"PN" and tag not in self.kept) or tag in self.wanted:
                            if len(self.found) == self.most:
                                return -1
                            self.found.append((tag, vr, self.data[value:stop], charset))
            if name == SQ:
                # Items of a sequence that is there twice share their paths, and so their character sets.
                if tag <= last or depth == self.deepest:
                    return -1
                last = tag
                stop = self.sequence(value, end if stop < 0 else stop, stop < 0, charset, depth + 1)
                if stop < 0:
                    return -1
            p = stop
        return -1 if delimited else p

    cdef Py_ssize_t sequence(self, Py_ssize_t p, Py_ssize_t end, bint delimited, object charset, int depth) except -2:
        """The items of a sequence; gives the offset after it and its delimiter, -1 where it is not plain."""
        cdef long long tag, length
        cdef Py_ssize_t count = 0
        while p < end:
            if p + 8 > end:
                return -1
            tag, length = self.tag_at(p), self.long_at(p + 4)
            if tag != 0xFFFEE000:
                return p + 8 if delimited and tag == 0xFFFEE0DD else -1
            count += 1
            if self.items == 0 or count > self.each:
                return -1
            self.items -= 1
            p += 8
            if length == UNDEFINED:
                p = self.level(p, end, True, charset, depth)
            elif p + length > end:
                return -1
            else:
                p = self.level(p, p + length, False, charset, depth)
            if p < 0:
                return -1
        return -1 if delimited else p

    cdef long long long_at(self, Py_ssize_t p):
        cdef const unsigned char* b = self.data
        if self.big:
            return <long long>b[p] << 24 | b[p + 1] << 16 | b[p + 2] << 8 | b[p + 3]
        return <long long>b[p + 3] << 24 | b[p + 2] << 16 | b[p + 1] << 8 | b[p]

    cdef long long tag_at(self, Py_ssize_t p):
        cdef const unsigned char* b = self.data
        if self.big:
            return <long long>b[p] << 24 | b[p + 1] << 16 | b[p + 2] << 8 | b[p + 3]
        return <long long>b[p + 1] << 24 | b[p] << 16 | b[p + 3] << 8 | b[p + 2]

    cdef bint may_be_item(self, Py_ssize_t p):
        """Whether an item begins here in either byte order."""
        cdef const unsigned char* b = self.data
        return (b[p] == 0xFE and b[p + 1] == 0xFF and b[p + 2] == 0 and b[p + 3] == 0xE0) or (
            b[p] == 0xFF and b[p + 1] == 0xFE and b[p + 2] == 0xE0 and b[p + 3] == 0
        )


def identifying(bytes data, bint big, wanted, kept, meaning, Py_ssize_t longest, Py_ssize_t most, limits):
    """(tag, VR, value, character set) of PN but `kept` and of the tags of `wanted`; None where the header is not plain.

    meaning: VR of a tag. longest: bytes of a value. most: elements that may be found.
    """
    cdef _Walk walk = _Walk()
    walk.data, walk.big = data, big
    walk.wanted, walk.kept, walk.meaning = wanted, kept, meaning
    walk.longest, walk.most = longest, most
    walk.elements, walk.items, walk.each, walk.deepest = limits.elements, limits.elements, limits.items, limits.depth
    walk.found = []
    return walk.found if walk.level(0, len(data), False, b"", 0) >= 0 else None
