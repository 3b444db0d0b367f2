# cython: language_level=3, boundscheck=False, wraparound=False
"""The plain elements of an explicit data set in C. What is not plain is left to `elements.py`, whose rules hold."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from wardlight.dicom.vr import LONG_VRS, SHORT_VRS

cdef unsigned char KINDS[65536]  # by the two bytes of a VR: 0 other, 8 or 12 bytes of header
cdef list NAMES = [None] * 65536


cdef void _learn() except *:
    for vrs, size in ((SHORT_VRS, 8), (LONG_VRS, 12)):
        for vr in vrs:
            KINDS[vr[0] << 8 | vr[1]] = size
            NAMES[vr[0] << 8 | vr[1]] = vr


_learn()


def scan(
    dict out, const unsigned char[::1] data, Py_ssize_t p, bint big, wanted, long long largest,
    Py_ssize_t count, Py_ssize_t most, make, cls,
):
    """Enter plain elements into `out` until one is not; gives its place and the count.

    Plain: of a known VR, not of group 7FE0, of a length up to `largest` that ends within the buffer. make: `tuple.__new__`.
    """
    cdef Py_ssize_t size = data.shape[0], value, end
    cdef unsigned int group, element, kind, name
    cdef long long length
    cdef bint every = wanted is None
    cdef object tag
    while count < most and p + 8 <= size:
        name = data[p + 4] << 8 | data[p + 5]
        kind = KINDS[name]
        if big:
            group, element = data[p] << 8 | data[p + 1], data[p + 2] << 8 | data[p + 3]
        else:
            group, element = data[p + 1] << 8 | data[p], data[p + 3] << 8 | data[p + 2]
        if kind == 0 or group == 0x7FE0:
            break
        value = p + kind
        if kind == 8:
            length = data[p + 6] << 8 | data[p + 7] if big else data[p + 7] << 8 | data[p + 6]
        else:
            if value > size:
                break
            if big:
                length = (<long long>data[p + 8] << 24) | data[p + 9] << 16 | data[p + 10] << 8 | data[p + 11]
            else:
                length = (<long long>data[p + 11] << 24) | data[p + 10] << 16 | data[p + 9] << 8 | data[p + 8]
        end = value + length
        if length > largest or end > size:
            break
        tag = <unsigned long>group << 16 | element
        if every or tag in wanted:
            out[tag] = make(cls, (tag, NAMES[name], p, value, length, end))
        p = end
        count += 1
    return p, count


def bits_of(const unsigned char[::1] data, int size, bint big):
    """Bits that any word has, and bits in which any word differs from its own sign: 0 0 for no word.

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
