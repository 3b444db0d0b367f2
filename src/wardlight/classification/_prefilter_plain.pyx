# cython: language_level=3, boundscheck=False, wraparound=False
"""Which lines may hold something, in one pass over the bytes: `prefilter.py` says what the flags mean."""

from libc.string cimport memchr

cdef enum:
    DIGITS = 1
    DOTTED = 2
    AT = 4
    COLONS = 8
    MIXED = 16
    CARET = 32
    HL7 = 64
    TITLE = 256
    NAME = 512
    ADDRESS = 32768

cdef unsigned char OTHER = 0, DIGIT = 1, LOWER = 2, UPPER = 3, HIGH = 4


cdef unsigned char KIND[256]

cdef void _learn():
    cdef int i
    for i in range(256):
        if 48 <= i <= 57:
            KIND[i] = DIGIT
        elif 97 <= i <= 122:
            KIND[i] = LOWER
        elif 65 <= i <= 90:
            KIND[i] = UPPER
        elif i >= 128:
            KIND[i] = HIGH
        else:
            KIND[i] = OTHER

_learn()


cdef inline bint _joins(unsigned char b) noexcept nogil:
    return b == 32 or b == 45 or b == 46 or b == 47 or b == 40 or b == 41 or b == 43


cdef inline bint _hex(unsigned char b) noexcept nogil:
    return 48 <= b <= 57 or 97 <= b <= 102 or 65 <= b <= 70


cdef unsigned int _shapes(const unsigned char* b, Py_ssize_t p, Py_ssize_t end) noexcept nogil:
    """What the tokens of a line look like."""
    cdef unsigned int flags = 0
    cdef Py_ssize_t start, n, digits, run = 0, last_end = -1, dots = 0, colons = 0, i
    cdef unsigned char k, c
    cdef Py_ssize_t one = 0, two = 0  # lengths of the two last tokens of digits, joined by - or /
    cdef bint plus, joined
    cdef Py_ssize_t intl = 0  # digits since a plus
    while p < end:
        c = b[p]
        k = KIND[c]
        if k == OTHER or k == HIGH:
            if c == 64:
                if p > 0 and p + 1 < end and KIND[b[p + 1]] != OTHER:
                    flags |= AT
            elif c == 124:
                # A segment of HL7 v2: three letters before its first field.
                if p >= 3 and KIND[b[p - 1]] in (UPPER, DIGIT) and KIND[b[p - 2]] == UPPER and KIND[b[p - 3]] == UPPER:
                    if p == 3 or KIND[b[p - 4]] == OTHER or KIND[b[p - 4]] == HIGH:
                        flags |= HL7
            elif c == 94:
                flags |= CARET
            elif c == 58:
                if p + 1 < end and b[p + 1] == 58:
                    if (p + 2 < end and _hex(b[p + 2])) or (p > 0 and _hex(b[p - 1])):
                        flags |= COLONS
            p += 1
            continue
        start = p
        digits = 0
        while p < end:
            k = KIND[b[p]]
            if k == DIGIT:
                digits += 1
            elif k == OTHER or k == HIGH:
                break
            p += 1
        n = p - start
        # What joins this token to the one before it.
        plus = start > 0 and b[start - 1] == 43 and (start == 1 or KIND[b[start - 2]] != DIGIT)
        joined = last_end >= 0 and start - last_end <= 2 and _joins(b[start - 1]) and (
            start - last_end == 1 or _joins(b[start - 2])
        )
        if n == 2 and b[start] == 77 and b[start + 1] == 115:
            flags |= TITLE  # "Ms", but not milliseconds
        elif n == 1 and b[start] == 67 and p < end and b[p] == 47:
            flags |= ADDRESS  # "C/ Mayor 5"
        if n == digits:
            if joined:
                run += n
                if start - last_end == 1 and b[start - 1] == 46:
                    dots += 1
                    if dots >= 3 or n > 18:
                        flags |= DOTTED
                    if one == 1 or one > 4 or n > 4:
                        run = 0  # a decimal number: nobody groups digits so
                else:
                    dots = 0
                if n == 2 and one == 2 and two == 4 and (b[start - 1] == 45 or b[start - 1] == 47):
                    run = 0  # a date
                if n == 4 and one == 8 and start - last_end == 1 and (b[start - 1] == 45 or b[start - 1] == 43):
                    flags |= DIGITS  # a date of eight digits and four more: personnummer
                two = one if start - last_end == 1 else 0
                one = n
            else:
                run = n
                dots = 0
                two = 0
                one = n
                if n == 8 and (b[start] == 49 or b[start] == 50) and (b[start + 4] == 48 or b[start + 4] == 49):
                    run = 0
            if run >= 9 and n <= 18:
                flags |= DIGITS
            if plus:
                intl = n
            elif intl and joined:
                intl += n
            else:
                intl = 0
            if intl >= 8:
                flags |= DIGITS  # an international number, however it is grouped
            last_end = p
        else:
            if n == 4 and digits == 3 and one == 6 and last_end == start - 1 and (b[start - 1] == 45 or b[start - 1] == 43):
                flags |= MIXED  # HETU
            last_end = -1
            run = intl = 0
            dots = 0
            one = two = 0
            if digits >= 4:
                if n == 9 and digits == 8 and KIND[b[p - 1]] >= LOWER:
                    flags |= MIXED  # DNI
                elif n == 9 and (digits == 7 or digits == 6) and KIND[b[p - 1]] == UPPER and KIND[b[start]] == UPPER:
                    flags |= MIXED  # NIE, NINO
                elif n == 10 and digits == 9 and KIND[b[start]] == UPPER:
                    flags |= MIXED  # KVNR
                elif (
                    n == 16
                    and KIND[b[start]] >= LOWER
                    and KIND[b[start + 1]] >= LOWER
                    and KIND[b[start + 2]] >= LOWER
                    and KIND[b[start + 3]] >= LOWER
                    and KIND[b[start + 4]] >= LOWER
                    and KIND[b[start + 5]] >= LOWER
                ):
                    flags |= MIXED  # codice fiscale
                elif n == 11 and digits == 9:
                    flags |= MIXED  # HETU with a letter for its sign
                elif n == 18 and digits == 17:
                    flags |= MIXED  # Chinese resident number
                elif n >= 15 and n <= 34 and KIND[b[start]] == UPPER and KIND[b[start + 1]] == UPPER and digits >= n - 8:
                    flags |= MIXED  # IBAN
                elif n == 15 and digits == 14:
                    flags |= MIXED  # NIR of Corsica
        if n <= 4 and p < end and (b[p] == 58 or b[p] == 45) and n == 2:
            # Pairs of hexadecimal digits: a MAC.
            i = p
            colons = 0
            while i + 2 < end and (b[i] == b[p]) and _hex(b[i + 1]) and _hex(b[i + 2]):
                colons += 1
                i += 3
            if colons >= 5:
                flags |= COLONS
        elif n == 3 or n == 4:
            # Groups of an IPv6 address.
            if p < end and b[p] == 58:
                i = p
                colons = 0
                while i < end and i < p + 36 and (b[i] == 58 or _hex(b[i])):
                    colons += b[i] == 58
                    i += 1
                if colons >= 6:
                    flags |= COLONS
    return flags


cdef bint _person_follows(const unsigned char* b, Py_ssize_t p, Py_ssize_t end) noexcept nogil:
    """Whether what comes after a word for a name begins as names do: with a capital, or beyond ASCII.

    Between them may be `value` and `stringValue`, as OTLP has attributes.
    """
    cdef Py_ssize_t start, most = p + 40
    cdef unsigned char k
    while p < end and p < most:
        k = KIND[b[p]]
        if k == UPPER or k == HIGH or b[p] == 92:
            return True
        if k == LOWER:
            start = p
            while p < end and KIND[b[p]] != OTHER:
                p += 1
            if not ((p - start == 5 or p - start == 11) and b[p - 2] == 117 and b[p - 1] == 101):  # …ue
                return False
            continue
        if k == DIGIT:
            return False
        p += 1
    return False


def scan(const unsigned char[::1] data, Py_ssize_t begin, Py_ssize_t stop, const unsigned char[::1] classes,
         const unsigned short[::1] table, const unsigned int[::1] outputs, int width):
    """[(start, end, flags)] of the lines between begin and stop that may hold something."""
    cdef list found = []
    cdef Py_ssize_t p = begin, start = begin, end
    cdef const unsigned char* b
    cdef const unsigned short* move
    cdef const unsigned int* out
    cdef const unsigned char* cls
    cdef unsigned int flags, state, hit
    cdef unsigned char kind, last
    cdef const void* newline
    if stop <= begin:
        return found
    b = &data[0]
    move = &table[0]
    out = &outputs[0]
    cls = &classes[0]
    while start < stop:
        newline = memchr(b + start, 10, stop - start)
        end = stop if newline == NULL else <const unsigned char*> newline - b
        flags = _shapes(b + start, 0, end - start)
        state = move[cls[10]]
        last = OTHER
        p = start
        while p < end:
            kind = KIND[b[p]]
            if b[p] == 0xE2 and p + 2 < end:
                # General punctuation: dashes and quotation marks stand between words.
                state = move[state * width]
                flags |= out[state]
                last = OTHER
                p += 3
                continue
            if kind == UPPER and last == LOWER:
                # patientName: two words.
                state = move[state * width]
                flags |= out[state]
            last = kind
            state = move[state * width + cls[b[p]]]
            hit = out[state]
            if hit:
                if hit & NAME and not flags & NAME and not _person_follows(b, p + (kind != OTHER), end):
                    hit &= ~NAME
                flags |= hit
            p += 1
        if end > start:
            # Words that must end here are matched by what follows them.
            flags |= out[move[state * width + cls[10]]]
        if flags:
            found.append((start, end, flags))
        start = end + 1
    return found
