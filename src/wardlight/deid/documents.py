"""Encapsulated documents (PS3.3 A.45, A.85, A.104): what is cleaned, and what cannot be and stays with its object.

Meshes (STL, OBJ, MTL) are written anew from their numbers. A PDF is read in a process of its own and written anew from
its text, a CDA built anew from what is allowed; these leave only where all of their text may stay. An object never
leaves without its document, for that is of type 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from wardlight.deid import documents_cda, documents_mesh, documents_pdf
from wardlight.deid.documents_errors import DocumentError

__all__ = ["CLASSES", "DOCUMENT", "Cleaner", "Document", "DocumentError", "read"]

DOCUMENT: Final = 0x00420011
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.104."
#: Bytes of a document that are looked at; a binary mesh may be as large as an element of a header may.
LARGEST: Final = 16 << 20
LARGEST_MESH: Final = 64 << 20
#: Text in documents is read and written in Unicode.
CHARSET: Final = b"ISO_IR 192"

Cleaner: TypeAlias = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class How:
    """What the level and the patient's values do to a document.

    clean: leaves words of the vocabulary; None where other words stay too. scrub: takes harvested words out of UTF-8,
    None as long as nothing was harvested. is_number: whether one of the numbers of a DS value is an identifier of the
    patient. name: stands for a name in this document and in those that refer to it.
    """

    clean: Cleaner | None
    scrub: Cleaner | None
    is_number: Callable[[bytes], bool]
    name: Cleaner


@dataclass(slots=True)
class Document:
    """A document that was read and can be written anew. mime: as (0042,0012) says it; size: of what was written last.

    big: byte order of the data set it stands in.
    """

    mime: bytes
    big: bool
    _make: Callable[[How], tuple[bytes, tuple[bytes, ...]]]
    size: int = 0

    def cleaned(self, how: How) -> tuple[bytes, tuple[bytes, ...]]:
        """The document without what identifies, and the text in it. Raises DocumentError where it cannot be cleaned."""
        made = self._make(how)
        self.size = len(made[0])
        return made


def _mesh(
    write: Callable[[bytes, documents_mesh.Naming], bytes], data: bytes
) -> Callable[[How], tuple[bytes, tuple[bytes, ...]]]:
    return lambda how: (write(data, documents_mesh.Naming(how.name, how.is_number)), ())


def _pdf(data: bytes) -> Callable[[How], tuple[bytes, tuple[bytes, ...]]]:
    pages = documents_pdf.pages_of(data)

    def make(how: How) -> tuple[bytes, tuple[bytes, ...]]:
        made = [[_line(line.encode(), how) for line in page] for page in pages]
        return documents_pdf.write(made), tuple(line for page in made for line in page if line)

    return make


def _cda(data: bytes) -> Callable[[How], tuple[bytes, tuple[bytes, ...]]]:
    events, numbers = documents_cda.read(data)

    def make(how: How) -> tuple[bytes, tuple[bytes, ...]]:
        if any(list(map(how.is_number, numbers))):
            raise DocumentError("document-number")
        return documents_cda.write(events, lambda line: _line(line, how))

    return make


def _line(line: bytes, how: How) -> bytes:
    """A line of text that may stay. Under a vocabulary all its words must: half a sentence may mean its opposite."""
    cleaned = line
    if how.clean is not None:
        cleaned = how.clean(line)
        if documents_pdf.words(cleaned) != documents_pdf.words(line):
            raise DocumentError("document-words")
    scrubbed = cleaned if how.scrub is None else how.scrub(cleaned)
    if how.clean is not None and scrubbed != cleaned:
        raise DocumentError("document-words")
    return scrubbed


_KINDS: Final[Mapping[str, tuple[bytes, int]]] = {
    _STORAGE + "1": (b"application/pdf", LARGEST),
    _STORAGE + "2": (b"text/XML", LARGEST),
    _STORAGE + "3": (b"model/stl", LARGEST_MESH),
    _STORAGE + "4": (b"model/obj", LARGEST),
    _STORAGE + "5": (b"model/mtl", LARGEST),
}
#: SOP classes whose documents are cleaned.
CLASSES: Final = frozenset(_KINDS)


def read(sop_class: str, data: bytes, big: bool) -> Document:
    """The document of an object of one of `CLASSES`, in a data set that is big endian or not.

    Raises DocumentError where it cannot be read or is too large.
    """
    mime, largest = _KINDS[sop_class]
    if len(data) > largest:
        raise DocumentError("document-too-large")
    if mime == b"application/pdf":
        return Document(mime, big, _pdf(data))
    if mime == b"text/XML":
        return Document(mime, big, _cda(data))
    write = {
        b"model/stl": documents_mesh.stl,
        b"model/obj": documents_mesh.obj,
        b"model/mtl": documents_mesh.mtl,
    }[mime]
    return Document(mime, big, _mesh(write, data))
