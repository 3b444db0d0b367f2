"""The first pass of `wardlight deidentify`: headers only, to learn what identifies each patient in all their files.

An object may name in a text what only another object of the patient says in an element of its own. What is learnt is in
no order, so that it is the same however the inputs are sorted. It lies in a file of the run whose every value is
sealed under a key that only these processes have, so that memory stays flat and a stolen disk tells nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from wardlight.deid import actions, uids
from wardlight.deid.engine import Refused
from wardlight.deid.harvest import Seen
from wardlight.deid.keys import derive
from wardlight.deid.profile import Profile, harvest_lists
from wardlight.dicom.dictionary import vr_of
from wardlight.dicom.elements import walk
from wardlight.dicom.errors import DicomError
from wardlight.dicom.limits import LIMITS
from wardlight.dicom.stream import DataSetStream
from wardlight.dicom.transfer_syntax import EXPLICIT_LITTLE

# Plain headers in C, where that was built; see `wardlight.dicom.elements`.
_plain: Callable[..., list[Seen] | None] | None = None
if not os.environ.get("WARDLIGHT_PURE"):
    try:
        from wardlight.cli._learn_plain import identifying as _plain
    except ImportError:
        pass

#: Identifying values of one patient beyond which the objects are refused: so many are not one person's.
MOST_VALUES: Final = 4096
#: Longer values, in bytes, name nobody.
_LONGEST: Final = 1024
#: Identifying values taken of one object.
_MOST_OF_ONE: Final = 512
#: Values remembered by the one who learns, of at most `_LONGEST` bytes each.
_REMEMBERED: Final = 16384
_PATIENTS: Final = 64
#: Values written together.
_TOGETHER: Final = 2048
_CHARSET: Final = 0x00080005
_ISSUER, _PATIENT_ID, _STUDY = 0x00100021, 0x00100020, 0x0020000D
#: Plans under which a value stays as it is, or what of it names nobody: those are no secret of the patient.
_STAYS: Final = frozenset(("keep", "C", "as-is", "code", "link", "class"))

#: A patient's keyed digest, and a value with the digest it is known by.
Learnt = tuple[bytes, bytes, bytes]


def telling(profile: Profile) -> frozenset[int]:
    """Tags whose values identify and do not stay by this profile."""
    lists = harvest_lists()
    listed = lists.identifiers | lists.places | lists.dates
    stays = {tag for tag, action in profile.overrides.items() if action in ("keep", "clean")}
    return frozenset(
        tag for tag in listed if tag not in stays and actions.plan(tag, profile).kind not in _STAYS
    )


def identifying(stream: DataSetStream, wanted: frozenset[int], kept: frozenset[int]) -> list[Seen]:
    """What of a header identifies, at every depth: names, and the elements of `wanted`. kept: names that stay.

    Of a header that is damaged, what comes before the damage.
    """
    header = stream.header or b""
    syntax = EXPLICIT_LITTLE if stream.syntax.deflated else stream.syntax
    if _plain is not None and not syntax.implicit:
        plain = _plain(header, syntax.big_endian, wanted, kept, vr_of, _LONGEST, _MOST_OF_ONE, LIMITS)
        if plain is not None:
            return plain
    found: list[Seen] = []
    charsets: dict[tuple[int, ...], bytes] = {}
    try:
        for path, element in walk(header, syntax):
            tag, length = element.tag, element.length
            if not 0 < length <= _LONGEST:
                continue
            vr = element.vr if element.vr != b"UN" else vr_of(tag)
            if tag == _CHARSET:
                charsets[path] = header[element.value : element.end]
            elif (vr == b"PN" and tag not in kept) or tag in wanted:
                value = header[element.value : element.end]
                found.append((tag, vr, value, _charset(charsets, path)))
                if len(found) >= _MOST_OF_ONE:
                    break
    except DicomError:
        pass
    return found


def _charset(charsets: dict[tuple[int, ...], bytes], path: tuple[int, ...]) -> bytes:
    """Of the data set at this path: its own, else the nearest around it (PS3.3 C.12.1.1.2)."""
    for length in range(len(path), -1, -1):
        if (found := charsets.get(path[:length])) is not None:
            return found
    return b""


def patient_of(stream: DataSetStream) -> bytes:
    """The patient of an object, as the engine has it."""
    header = stream.header or b""
    found = [stream.elements.get(tag) for tag in (_ISSUER, _PATIENT_ID, _STUDY)]
    return uids.patient_of(*(header[one.value : one.end] if one and one.length > 0 else b"" for one in found))


@dataclass(frozen=True, slots=True, repr=False)
class LearntKeys:
    """Keys of what is learnt. names: of the digests, the same for each run with a secret. seal: of this run alone."""

    names: bytes
    seal: bytes

    @classmethod
    def of(cls, secret: bytes) -> LearntKeys:
        """Those of a run."""
        return cls(derive(secret, "deid-learnt", b""), secrets.token_bytes(32))

    def patient(self, patient: bytes) -> bytes:
        """What stands for a patient."""
        return blake2b(patient, key=self.names, salt=b"patient", digest_size=16).digest()

    def value(self, plain: bytes) -> bytes:
        """What stands for a value."""
        return blake2b(plain, key=self.names, salt=b"value", digest_size=16).digest()


class Learner:
    """Takes headers in a worker process and gives each value of a patient once, sealed, as long as it remembers."""

    def __init__(self, keys: LearntKeys, profile: Profile) -> None:
        self._keys = keys
        self._cipher = AESGCM(keys.seal)
        self._wanted = telling(profile)
        self._kept = frozenset(tag for tag, act in profile.overrides.items() if act in ("keep", "clean"))
        self._known: dict[bytes, set[Seen]] = {}
        self._count = 0

    def learn(self, stream: DataSetStream) -> Iterator[Learnt]:
        """What is new in a header."""
        patient = patient_of(stream)
        known = self._known.get(patient)
        new = set(identifying(stream, self._wanted, self._kept))
        if known is not None:
            new -= known
        if not new:
            return
        if known is None or self._count + len(new) > _REMEMBERED:
            # Whoever comes again tells it again, which the store knows.
            if self._count + len(new) > _REMEMBERED:
                self._known.clear()
                self._count = 0
            known = self._known[patient] = set()
        known |= new
        self._count += len(new)
        name = self._keys.patient(patient)
        for one in new:
            plain = _encode(one)
            digest = self._keys.value(plain)
            nonce = secrets.token_bytes(12)
            yield name, digest, nonce + self._cipher.encrypt(nonce, plain, name + digest)


def _encode(one: Seen) -> bytes:
    tag, vr, value, charset = one
    return json.dumps([tag, *(part.decode("latin-1") for part in (vr, value, charset))]).encode()


def _decode(plain: bytes) -> Seen:
    tag, vr, value, charset = json.loads(plain)
    return tag, vr.encode("latin-1"), value.encode("latin-1"), charset.encode("latin-1")


class LearntStore:
    """Where the first pass puts what was learnt. Not safe for threads."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._waiting: list[Learnt] = []
        # The file is of use to this run only: nothing in it has to outlive a crash.
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE learnt (patient BLOB, digest BLOB, sealed BLOB, PRIMARY KEY (patient, digest))"
            " WITHOUT ROWID",
        ):
            self._connection.execute(statement)
        path.chmod(0o600)

    def add(self, learnt: Iterable[Learnt]) -> None:
        """Keep what is not there yet."""
        self._waiting.extend(learnt)
        if len(self._waiting) >= _TOGETHER:
            self._write()

    def _write(self) -> None:
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR IGNORE INTO learnt VALUES (?, ?, ?)", self._waiting)
        self._connection.execute("COMMIT")
        self._waiting.clear()

    def digest(self) -> bytes:
        """Nothing more comes: one digest for all that was learnt, in whatever order."""
        self._write()
        found = blake2b(digest_size=16)
        with closing(
            self._connection.execute("SELECT patient, digest FROM learnt ORDER BY patient, digest")
        ) as rows:
            for patient, digest in rows:
                found.update(patient + digest)
        return found.digest()

    def close(self) -> None:
        """The file may be read by others now."""
        self._connection.close()


class Known:
    """What the batch says of each patient, for the engine (`deid.known.Knowledge`)."""

    def __init__(self, path: Path, keys: LearntKeys) -> None:
        self._keys = keys
        self._cipher = AESGCM(keys.seal)
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
        self._patients: OrderedDict[bytes, tuple[Seen, ...]] = OrderedDict()

    def alias(self, patient: bytes) -> bytes:
        """The patient itself: files say nothing of merged IDs."""
        return patient

    def learn(self, patient: bytes, seen: Sequence[Seen]) -> tuple[Seen, ...]:  # noqa: ARG002 - the protocol's
        """What all objects of the patient in this batch say. Raises Refused where that is not one person's."""
        found = self._patients.get(patient)
        if found is None:
            found = self._patients[patient] = self._read(patient)
            if len(self._patients) > _PATIENTS:
                self._patients.popitem(last=False)
        if len(found) > MOST_VALUES:
            raise Refused("too-many-identifiers")
        return found

    def _read(self, patient: bytes) -> tuple[Seen, ...]:
        name = self._keys.patient(patient)
        rows = self._connection.execute(
            "SELECT digest, sealed FROM learnt WHERE patient = ? ORDER BY digest LIMIT ?",
            (name, MOST_VALUES + 1),
        )
        return tuple(_decode(self._cipher.decrypt(row[:12], row[12:], name + digest)) for digest, row in rows)
