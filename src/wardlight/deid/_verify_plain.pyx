# cython: language_level=3, boundscheck=False, wraparound=False
"""The verifier's plain elements and searches in C: written for it alone. What is not plain is left to `verify_reader.py`."""

from libc.string cimport memcmp, memset

cdef unsigned char HEAD[65536]  # by the two bytes of a VR: bytes of an element's header, 0 for what is not plain
cdef list NAMES = [None] * 65536


def learn(shorts, longs):
    """The VRs of which elements are plain, with 16-bit and with 32-bit lengths."""
    for vrs, size in ((shorts, 8), (longs, 12)):
        for vr in vrs:
            HEAD[vr[0] << 8 | vr[1]] = size
            NAMES[vr[0] << 8 | vr[1]] = vr


cpdef Py_ssize_t read(bytes data, Py_ssize_t p, Py_ssize_t end, bint big, tuple path, list found, Py_ssize_t most) except -2:
    """Append elements until one is not plain: another VR, a delimiter, a length that is undefined or too long."""
    cdef const unsigned char* b = data
    cdef unsigned int number, first, second, third, fourth
    cdef unsigned long tag
    cdef unsigned long long length
    cdef Py_ssize_t start
    end = min(end, len(data))
    while end - p >= 8:
        number = b[p + 4] << 8 | b[p + 5]
        start = p + HEAD[number]
        if start == p or start > end:
            break
        if big:
            tag = <unsigned long>b[p] << 24 | b[p + 1] << 16 | b[p + 2] << 8 | b[p + 3]
        else:
            tag = <unsigned long>b[p + 1] << 24 | b[p] << 16 | b[p + 3] << 8 | b[p + 2]
        if start - p == 8:
            length = b[p + 6] << 8 | b[p + 7] if big else b[p + 7] << 8 | b[p + 6]
        else:
            first, second, third, fourth = b[p + 8], b[p + 9], b[p + 10], b[p + 11]
            if not big:
                first, second, third, fourth = fourth, third, second, first
            length = <unsigned long long>first << 24 | second << 16 | third << 8 | fourth
            if len(found) > most:
                break
        if tag >> 16 == 0xFFFE or length > <unsigned long long>(end - start):
            break
        p = start + <Py_ssize_t>length
        found.append((path, tag, NAMES[number], start, p))
    return p


cdef Py_ssize_t _sequence(
    bytes data, Py_ssize_t p, Py_ssize_t end, bint big, tuple path, list found, Py_ssize_t most, int deeper
) except -2:
    """Append what items of defined length hold; gives the offset after the last, -1 where one is not plain."""
    cdef const unsigned char* b = data
    cdef unsigned long long length
    cdef Py_ssize_t start, number = 0
    cdef tuple inner
    while p < end:
        if end - p < 8 or number > most:
            return -1
        if big:
            if b[p] != 0xFF or b[p + 1] != 0xFE or b[p + 2] != 0xE0 or b[p + 3] != 0:
                return -1
            length = <unsigned long long>b[p + 4] << 24 | b[p + 5] << 16 | b[p + 6] << 8 | b[p + 7]
        else:
            if b[p] != 0xFE or b[p + 1] != 0xFF or b[p + 2] != 0 or b[p + 3] != 0xE0:
                return -1
            length = <unsigned long long>b[p + 7] << 24 | b[p + 6] << 16 | b[p + 5] << 8 | b[p + 4]
        start = p + 8
        if length > <unsigned long long>(end - start):
            return -1
        p = start + <Py_ssize_t>length
        if start < p:
            inner = (*path, number)
            if read_all(data, start, p, big, inner, found, most, deeper) != p:
                return -1
        number += 1
    return p


cdef Py_ssize_t read_all(
    bytes data, Py_ssize_t p, Py_ssize_t end, bint big, tuple path, list found, Py_ssize_t most, int deeper
) except -2:
    """As `read`, and sequences of defined length with plain items in them; gives the place of what is not plain."""
    cdef const unsigned char* b = data
    cdef unsigned long tag
    cdef unsigned long long length
    cdef Py_ssize_t before, start
    while True:
        p = read(data, p, end, big, path, found, most)
        if deeper == 0 or end - p < 12 or end > len(data) or b[p + 4] != 0x53 or b[p + 5] != 0x51:
            return p
        if big:
            tag = <unsigned long>b[p] << 24 | b[p + 1] << 16 | b[p + 2] << 8 | b[p + 3]
            length = <unsigned long long>b[p + 8] << 24 | b[p + 9] << 16 | b[p + 10] << 8 | b[p + 11]
        else:
            tag = <unsigned long>b[p + 1] << 24 | b[p] << 16 | b[p + 3] << 8 | b[p + 2]
            length = <unsigned long long>b[p + 11] << 24 | b[p + 10] << 16 | b[p + 9] << 8 | b[p + 8]
        start, before = p + 12, len(found)
        if tag >> 16 == 0xFFFE or length > <unsigned long long>(end - start) or before > most:
            return p
        if _sequence(data, start, start + <Py_ssize_t>length, big, (*path, tag), found, most, deeper - 1) < 0:
            # What could not be read to its end is read again by those whose rules hold.
            del found[before:]
            return p
        p = start + <Py_ssize_t>length


def read_deep(bytes data, Py_ssize_t p, Py_ssize_t end, bint big, tuple path, list found, Py_ssize_t most, int deeper):
    """`read_all` for Python. deeper: sequences that may be in each other."""
    return read_all(data, p, end, big, path, found, most, deeper)


def any_of(tuple words, bytes data):
    """Whether one of the words is in the data: one pass, which stops where two bytes begin a word."""
    cdef unsigned char begins[8192]  # one bit for every two bytes
    cdef const unsigned char* b = data
    cdef const unsigned char* w
    cdef Py_ssize_t size = len(data), at, length
    cdef unsigned int pair
    cdef bytes word
    memset(begins, 0, 8192)
    for word in words:
        if len(word) < 2:
            if word in data:
                return True
            continue
        w = word
        pair = w[0] << 8 | w[1]
        begins[pair >> 3] |= 1 << (pair & 7)
    for at in range(size - 1):
        pair = b[at] << 8 | b[at + 1]
        if not begins[pair >> 3] >> (pair & 7) & 1:
            continue
        for word in words:
            length = len(word)
            w = word
            if 1 < length <= size - at and w[0] == b[at] and memcmp(w, b + at, length) == 0:
                return True
    return False
