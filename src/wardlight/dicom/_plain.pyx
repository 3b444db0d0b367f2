# cython: language_level=3, boundscheck=False, wraparound=False
"""The plain elements of an explicit data set in C. What is not plain is left to `elements.py`, whose rules hold."""

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
