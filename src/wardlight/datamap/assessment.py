"""The beginning of a data protection impact assessment (GDPR Art. 35(7)): facts filled in, judgements left open."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from wardlight.datamap import pages
from wardlight.datamap.model import DataMap
from wardlight.trail import report_words as words
from wardlight.trail.report_document import (
    Block,
    Box,
    Cell,
    Column,
    Document,
    Heading,
    Listing,
    Paragraph,
    Table,
)

#: What an assessment looks at first → what the platform does about it. How likely and how grave is for people to judge.
_RISKS: Final = (
    (
        "Somebody learns who a pseudonymised patient is",
        "levels, harvesting, independent check, unlinkable releases",
    ),
    (
        "Text or a face in the pixels identifies",
        "detector of burned-in text; what cannot be cleaned is held back",
    ),
    (
        "A recipient keeps or passes on what it read",
        "agreement, purpose, time limit, every read in the trail",
    ),
    (
        "Somebody uses an account that is not theirs",
        "second factor, proof of presence, networks, sessions that end",
    ),
    (
        "Database, bucket or backup are stolen",
        "sealed rows, keys apart, no name in an index, epoch keys that roll",
    ),
    ("The operator looks at data", "no role that may; keys by institution; the trail is witnessed outside"),
    ("Data is lost or altered", "acknowledged only when durable, checks, backups, restore that is tried"),
    ("Data is kept longer than needed", "retention in the agreement, access that runs out, keys destroyed"),
    ("Data comes under another law", "regions pinned; a transfer only with its basis"),
)
_ASKED: Final = (
    "Was the advice of the data protection officer sought (Art. 35(2))? What was it?",
    "Were patients or their representatives heard (Art. 35(9))? If not, why?",
    "Is the residual risk high, so that the authority must be asked first (Art. 36)?",
    "When is this looked at again (Art. 35(11))?",
)


def page(found: DataMap) -> Document:
    """The document; it begins as the record does."""
    base = pages.record(found)
    special = [row for row in found.classes if row.bases and row.bytes]
    begun: list[Block] = [
        Box(
            "This is a beginning",
            "Facts are filled in from the platform. Necessity, likelihood and gravity are for the controller to judge.",
        ),
        Heading("Is one needed? (Art. 35(1), (3))"),
        Paragraph(
            f"Special categories are processed: {words.counted(found.studies, 'study', 'studies')}, "
            f"{words.size(found.bytes)}. On a large scale, that needs an assessment (Art. 35(3)(b)). "
            "Decision and reason: ______"
            if special
            else "No images are held yet. Decision and reason: ______"
        ),
        Heading("a) The processing and its purposes"),
        *base.blocks[1:-3],
        Heading("Data classes"),
        pages.classes(row for row in found.classes if row.amounts),
        Heading("b) Necessity and proportionality"),
        Listing(
            (
                "Levels agreed: "
                + ", ".join(
                    f"{row.application.name}: {', '.join(sorted(row.agreement.levels))}"
                    for row in found.applications
                    if row.agreement
                )
                + ". Would a stricter one do? ______",
                "Could each purpose be reached with fewer data, or for a shorter time? ______",
                "How are patients told, and how do they exercise their rights (Art. 12–22)? ______",
            )
        ),
        Heading("c) Risks to patients, and d) what is done about them"),
        Table(
            "Risks",
            (Column("Risk", 34), Column("Measures of the platform", 36), Column("Likelihood × gravity, rest", 30)),
            tuple((Cell(risk), Cell(measures), Cell("______")) for risk, measures in _RISKS),
        ),
        Heading("Measures"),
        Listing(pages.MEASURES),
        Heading("Consultation and review"),
        Listing(_ASKED, numbered=True),
    ]  # fmt: skip
    lead = "What GDPR Art. 35(7) asks for, with the facts that the platform knows."
    title = "Data protection impact assessment: a beginning"
    return replace(
        base, title=title, lead=lead, blocks=tuple(begun), foot=base.foot.replace(base.title, title)
    )
