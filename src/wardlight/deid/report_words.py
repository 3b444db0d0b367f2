"""Codes in plain words: why an object was not released, and what to do next."""

from __future__ import annotations

from typing import Final

from wardlight.deid.engine import METHODS

_PIXELS: Final = "See that the detector of text can run here, then run it again"
_SEEN: Final = "Please report this with the code, without the file; then leave it out"
_DAMAGED: Final = "Send it again from where it comes from; the copy here is damaged or was never valid"
_SYNTAX: Final = (
    "Convert it to another transfer syntax, for example with dcmdjpeg or gdcmconv --raw, and run it again"
)
_VALUE: Final = (
    "Look at the named element in the input; if its value is nobody's, keep it by a profile of your own"
)
_REPORT: Final = "Please report this with the code and the tag, without the file"

#: Code → what it means, what to do. A code that ends in a dash stands for all that begin with it.
WORDS: Final[dict[str, tuple[str, str]]] = {
    "text-in-pixels-class": ("images of this kind mostly carry names in their pixels", _PIXELS),
    "scanned-or-captured": ("a scanned or captured picture, which may show names", _PIXELS),
    "dose-or-screen": ("a dose sheet or a copy of a screen, which shows names as a rule", _PIXELS),
    "eight-bit-colour": ("a colour picture, which may carry text in its pixels", _PIXELS),
    "derived-secondary": ("a derived picture, which may carry text in its pixels", _PIXELS),
    "burned-in-annotation": ("the object itself says that text is in its pixels", _PIXELS),
    "overlay-in-pixels": (
        "an overlay hides in unused bits of the pixels",
        "Have the overlay stored on its own",
    ),
    "detector-unavailable": (
        "the detector of text in pixels is not there, so nobody looked",
        "See that it is installed and can run here, then run it again",
    ),
    "frame-unreadable": ("a frame that must be looked at cannot be decoded or encoded", _DAMAGED),
    "frame-too-large": (
        "a frame that must be looked at is larger than 256 MB",
        "Leave it out, or store it in tiles",
    ),
    "pixels-differ": ("pixels besides the black boxes came out otherwise than they were", _SEEN),
    "box-not-black": ("what was found in the pixels did not come out black", _SEEN),
    "frame-changed": ("a frame changed while it was read", "Let nobody write to IN, then run it again"),
    "structured-content": (
        "a structured report or key object, which this profile does not clean",
        "Add the option structured to the profile",
    ),
    "content-item": ("a content item of a report that does not say in order what it is", _DAMAGED),
    "encapsulated-document": (
        "a document (PDF, CDA, STL) that cannot leave whole and clean",
        "Leave it out, or take the names out of the document yourself",
    ),
    "document-": (
        "a document (PDF, CDA, STL) that cannot leave whole and clean",
        "Leave it out, or take the names out of the document yourself",
    ),
    "media-directory": (
        "the directory of a medium names everybody on it",
        "Run it with --dicomdir to make another",
    ),
    "missing-identifier": ("SOP class, study, series or instance UID is missing or is no UID", _DAMAGED),
    "pixel-geometry-unknown": ("rows, columns or bits are missing or make no sense", _DAMAGED),
    "pixel-": ("the pixel data is not what the header says", _DAMAGED),
    "fragments-": ("the compressed pixel data is not cut as the standard says", _DAMAGED),
    "surplus-fragments": ("there are more fragments than frames", _DAMAGED),
    "frame-count": ("there are not as many frames as the header says", _DAMAGED),
    "offset-table": ("the table of frames points elsewhere", _DAMAGED),
    "codestream-": ("a compressed frame is not the image that the header describes", _DAMAGED),
    "jp2-boxes": ("a compressed frame has more in it than the image", _DAMAGED),
    "rle-": ("a compressed frame is not the image that the header describes", _DAMAGED),
    "unused-bits": ("bits that are no part of the image are set", _SYNTAX),
    "video-stream": ("video cannot be cleaned", "Leave it out, or export single images"),
    "jpeg-xl": ("JPEG XL cannot be cleaned", _SYNTAX),
    "jpip-referenced": ("the pixels lie on another server", "Fetch the object with its pixels"),
    "deflated-": ("frames in this encoding cannot be cleaned", _SYNTAX),
    "unsupported-transfer-syntax": ("this encoding cannot be cleaned", _SYNTAX),
    "unknown-transfer-syntax": ("a private or unknown encoding", _SYNTAX),
    "data-set:": ("the file is damaged or is no DICOM", _DAMAGED),
    "not-dicom": ("the file is no DICOM", "Leave it out"),
    "character-sets": ("more character sets in one object than anybody uses", _DAMAGED),
    "too-many-identifiers": (
        "more names and numbers under one patient ID than one person has",
        "Give these patients IDs of their own, or run the folders one by one",
    ),
    "identifier-left": (
        "something that identifies the patient could not be taken out without harm to the object",
        "Look for the patient's names in the codes and numbers of the input",
    ),
    "identifier": ("the second check found something that identifies the patient", _VALUE),
    "words": ("the second check found words that are not in the vocabulary", _VALUE),
    "colour-profile": ("a profile of colours holds more than numbers", _REPORT),
    "not-emptied": ("the second check found a value that the profile empties or removes", _REPORT),
    "face": (
        "a head in CT, MR or PT, whose face can be recognized, and the profile keeps those back",
        "Take the face out with a tool for that, or leave quarantine_faces out of the profile",
    ),
    "instance-conflict": (
        "another file has the same instance UID and other content; the one with the smallest digest was released",
        "See which of the two is right, and run that one alone",
    ),
    "input-changed": ("the file changed while it was read", "Let nobody write to IN, then run it again"),
    "process-ended": (
        "the process that worked on it ended twice, mostly for want of memory",
        "Run it again with --resume and fewer --workers, or on a machine with more memory",
    ),
    "file-system:": (
        "the file cannot be read",
        "Check permissions and disk, then run it again with --resume",
    ),
    "zip-encrypted": ("the archive is encrypted", "Unpack it yourself and run the folder"),
    "zip-in-zip": ("an archive within an archive", "Unpack the outer one and run the folder"),
    "zip-": ("the archive is damaged or could be a bomb", "Unpack it yourself and run the folder"),
}
_OTHER: Final = ("the second check, which shares no code with the first, did not agree", _REPORT)


def words_of(code: str) -> tuple[str, str]:
    """What a code means, and what to do; what comes after the code itself (tags) does not count."""
    code = code.split(" ")[0]
    found = WORDS.get(code)
    if found is None:
        begins = [one for one in WORDS if one[-1] in "-:" and code.startswith(one)]
        found = WORDS[max(begins, key=len)] if begins else _OTHER
    return found


def flag_words(flag: str) -> str:
    """What a flag means."""
    known = {"face-not-removed": "a face can be recognized in this head scan: it is not removed"}
    return known.get(flag, flag.replace("-", " "))


def why_words(why: str) -> str:
    """The rule behind a change, as people say it."""
    option = why.partition("option ")[2]
    return why.replace(f"option {option}", METHODS[option][1]) if option in METHODS else why
