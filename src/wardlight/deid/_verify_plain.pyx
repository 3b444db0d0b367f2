# cython: language_level=3, boundscheck=False, wraparound=False
"""The verifier's plain elements and searches in C: written for it alone. What is not plain is left to `verify_reader.py`."""

from cpython.dict cimport PyDict_GetItem
from cpython.long cimport PyLong_AsLong
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

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


def bits_of(const unsigned char[::1] data, int size, bint big):
    """For the verifier alone: bits that any word has, and bits in which any differs from its own sign.

    size: 1, 2, 4 or 8 bytes of a word; what does not fill one at the end is left out.
    """
    cdef Py_ssize_t at, count = data.shape[0] // size
    cdef const unsigned char* b
    cdef uint64_t every = 0, unlike = 0, wide
    cdef uint8_t one1, every1 = 0, unlike1 = 0
    cdef uint16_t one2, every2 = 0, unlike2 = 0
    cdef uint32_t one4, every4 = 0, unlike4 = 0
    cdef int place
    if count == 0:
        return 0, 0
    b = &data[0]
    if big and size > 1:
        for at in range(count):
            wide = 0
            for place in range(size):
                wide = wide << 8 | b[at * size + place]
            every |= wide
            unlike |= wide ^ (<uint64_t>0 - (wide >> (8 * size - 1)))
        if size < 8:
            unlike &= (<uint64_t>1 << 8 * size) - 1
    elif size == 1:
        for at in range(count):
            one1 = b[at]
            every1 |= one1
            unlike1 |= one1 ^ <uint8_t>(0 - (one1 >> 7))
        every, unlike = every1, unlike1
    elif size == 2:
        for at in range(count):
            memcpy(&one2, b + 2 * at, 2)
            every2 |= one2
            unlike2 |= one2 ^ <uint16_t>(0 - (one2 >> 15))
        every, unlike = every2, unlike2
    elif size == 4:
        for at in range(count):
            memcpy(&one4, b + 4 * at, 4)
            every4 |= one4
            unlike4 |= one4 ^ <uint32_t>(0 - (one4 >> 31))
        every, unlike = every4, unlike4
    elif size == 8:
        for at in range(count):
            memcpy(&wide, b + 8 * at, 8)
            every |= wide
            unlike |= wide ^ (<uint64_t>0 - (wide >> 63))
    else:
        raise ValueError(size)
    return every, unlike


def looked_at(list items, dict checks, long filled, long always):
    """As `verify_loops.looked_at`."""
    cdef list found = [], paths = []
    cdef object last = None
    cdef tuple item
    cdef PyObject* check
    cdef long number
    for item in items:
        if <PyObject*>item[0] != <PyObject*>last:
            last = item[0]
            paths.append(last)
        check = PyDict_GetItem(checks, item[1])
        if check != NULL:
            number = PyLong_AsLong(<object>check)
            if not number & always and (not number & filled or item[3] == item[4]):
                continue
        found.append(item)
    return found, paths


def of_tags(list items, tags, bytes vr):
    """As `verify_loops.of_tags`. tags: a dict or a set."""
    cdef list found = []
    cdef tuple item
    for item in items:
        if item[1] in tags or item[2] == vr:
            found.append(item)
    return found


def values_of(list items, bytes data, frozenset tags):
    """As `verify_loops.values_of`."""
    cdef dict found = {}
    cdef tuple item
    for item in items:
        if item[1] in tags:
            found[item[0], item[1]] = data[<Py_ssize_t>item[3] : <Py_ssize_t>item[4]]
    return found


def at_top(list items):
    """As `verify_loops.at_top`."""
    cdef dict found = {}
    cdef set inside = set()
    cdef tuple item, path
    cdef object last = None
    for item in items:
        path = item[0]
        if not PyTuple_GET_SIZE(path):
            found[item[1]] = item
        elif <PyObject*>path != <PyObject*>last:
            last = path
            inside.add(path[0])
    return found, inside


def by_kind(list items, bytes data, dict lists, frozenset texts, dict vrs):
    """As `verify_loops.by_kind`."""
    cdef list others = [], misplaced = []
    cdef tuple item
    cdef PyObject* values
    cdef PyObject* meant
    for item in items:
        values = PyDict_GetItem(lists, item[2])
        if values == NULL:
            others.append(item)
            continue
        (<list>values).append(data[<Py_ssize_t>item[3] : <Py_ssize_t>item[4]])
        if item[2] in texts:
            meant = PyDict_GetItem(vrs, item[1])
            if meant == NULL or (<object>meant is not item[2] and <object>meant != item[2]):
                misplaced.append(item)
    return others, misplaced
