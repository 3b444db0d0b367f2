"""The data map and the record of processing activities as pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from wardlight import clock
from wardlight.agreements.model import IMAGES
from wardlight.classification.model import DataClass
from wardlight.classification.rules import HANDLING
from wardlight.datamap.model import ApplicationRow, ClassRow, DataMap
from wardlight.trail import report_words as words
from wardlight.trail.report_document import (
    Block,
    Box,
    Cell,
    Column,
    Document,
    Fact,
    Facts,
    Figures,
    Heading,
    Listing,
    Mark,
    Paragraph,
    Table,
    Tone,
)

_PAGE: Final = "Page {page} of {pages}"
_BLANK: Final = "to be filled in by the controller"

#: GDPR Art. 30(1)(g) and 32: what protects everything here. What an installation adds is for it to say.
MEASURES: Final = (
    "De-identification by privacy level before data leaves the hospital (PS3.15 Annex E), checked by independent code",
    "Encryption at rest with a key of its own for each study, under keys that are kept apart from data and backups",
    "TLS for every way in and out",
    "Access only by role, purpose, agreement, subscription and time, decided at each read; ended at once",
    "Sign-in with a second factor; proof of presence before a right is changed",
    "An audit trail that cannot be changed unseen, witnessed by the institution's own receiver",
    "Deletion by destroying keys, with a signed receipt",
    "Logs, events and webhooks that cannot hold data of patients",
    "Data stays in its region unless an agreement names the basis of a transfer",
    "Backups, and a restore that does not bring back what was deleted",
)


@dataclass(frozen=True, slots=True)
class Activity:
    """One processing activity, by the letters of GDPR Art. 30(1): b purposes, c subjects and classes, d recipients, e
    transfers, f time limits. bases: not asked for there, and wanted by every authority."""

    name: str
    purposes: tuple[str, ...]
    bases: tuple[str, ...]
    subjects: tuple[str, ...]
    classes: tuple[DataClass, ...]
    recipients: tuple[str, ...]
    transfers: tuple[str, ...]
    kept: tuple[str, ...]


def activities(found: DataMap) -> tuple[Activity, ...]:
    """One for each application with which something is agreed, then those of the platform itself."""
    kept = {row.data_class: row.kept for row in found.classes}
    own = (
        Activity(
            "Accounts of people, and their sign-in",
            ("access control",),
            ("GDPR Art. 6(1)(c), 32",),
            ("staff",),
            (DataClass.ACCOUNT, DataClass.SECRET),
            ("the operator, as processor",),
            (),
            kept[DataClass.ACCOUNT],
        ),
        Activity(
            "Audit trail: who did what with whose data",
            ("accountability", "answers to patients"),
            ("GDPR Art. 5(2), 6(1)(c)",),
            ("staff", "patients, by keyed references"),
            (DataClass.AUDIT,),
            ("the operator, as processor", "witnesses and anchors: signed heads only"),
            (),
            kept[DataClass.AUDIT],
        ),
    )
    return (*(_activity(row) for row in found.applications if row.agreement), *own)


def _activity(row: ApplicationRow) -> Activity:
    terms = row.agreement
    assert terms is not None
    name = "Images: storing, viewing and sharing" if row.application.id == IMAGES else row.application.name
    runs = ", ".join(sorted(row.asked.regions)) if row.asked else terms.region
    vendor = f"{row.application.vendor}, as {row.application.name} (runs in {runs})"
    recipients = ("the operator, as processor",) if row.application.id == IMAGES else (vendor,)
    days = "kept until it is deleted" if terms.retention_days is None else f"kept {terms.retention_days} days"
    access = f"access to a study ends after {terms.access_s / 86_400:g} days"
    return Activity(
        name,
        tuple(words.purpose(code) for code in sorted(terms.purposes)),
        (words.basis(terms.legal_basis),),
        ("patients",),
        tuple(one for one in DataClass if one in terms.classes),
        recipients,
        (f"to {terms.region}: {words.basis(terms.transfer)}",) if terms.transfer else (),
        (days, access),
    )


# ---- the map ----


def data_map(found: DataMap) -> Document:
    """What is held, where, how much, how long and on which basis; then what each application may see."""
    blocks: list[Block] = [
        Figures(
            (
                (words.number(found.studies), "studies held, copies for applications among them"),
                (words.size(found.bytes), "of images"),
                (words.number(found.grants), "grants that give access now"),
                (
                    words.number(sum(not row.refused for row in found.applications)),
                    "applications that may see data",
                ),
            )
        ),
        Heading("Where"),
        Facts(_where(found)),
        Heading("Data classes"),
        Paragraph(
            "Every column, kind of object and field of the program declares its class; what stands here is made from "
            "those declarations, from the agreements in force, and from counts of this moment.",
            quiet=True,
        ),
        classes(found.classes),
        Heading("What each application may see, and why"),
        *(block for row in found.applications for block in _application(row)),
    ]
    return _document(found, "Data map", "What is held, where, how much, how long, on which basis", blocks)


def _where(found: DataMap) -> tuple[Fact, ...]:
    transfers = "\n".join(
        f"{row.application} → {row.region}: {words.basis(row.transfer)}" for row in found.transfers
    )
    return (
        Fact("Region of the institution", found.region.upper()),
        Fact(
            "Index, keys and objects",
            f"{found.node_region.upper()}, objects in {found.objects_region.upper()}",
        ),
        Fact("Transfers to other regions", transfers or "none"),
        Fact("Receivers in the hospital", words.number(found.receivers)),
        Fact("Data of third parties", ", ".join(found.sources) or "none"),
    )


def classes(rows: Iterable[ClassRow]) -> Table:
    """A line for each class."""
    columns = (
        Column("Class", 19), Column("Where", 19), Column("How much", 16, right=True), Column("How long", 21),
        Column("Basis and purposes", 25),
    )  # fmt: skip
    return Table("Data classes", columns, tuple(_class(row) for row in rows))


def _class(row: ClassRow) -> tuple[Cell, ...]:
    rules = HANDLING[row.data_class]
    marks = (Mark("special category", Tone.WARN),) if rules.special else ()
    amounts = tuple(f"{words.number(count)} {what}" for count, what in row.amounts)
    first = (words.size(row.bytes),) if row.bytes else amounts[:1] or ("–",)
    bases = tuple(words.basis(code) for code in row.bases)
    none = "no agreement" if rules.legal_basis and not bases else "needs none"
    if row.data_class in (DataClass.ACCOUNT, DataClass.AUDIT):
        none = "duties of the controller (GDPR Art. 5(2), 32)"
    return (
        Cell(row.data_class.value.capitalize(), marks=marks),
        Cell(", ".join(row.stores) or "–", small=(f"encryption: {rules.encryption}",)),
        Cell(first[0], small=amounts if row.bytes else amounts[1:]),
        Cell("\n".join(row.kept)),
        Cell("\n".join(bases) or none, small=tuple(words.purpose(code) for code in row.purposes)),
    )


def _application(row: ApplicationRow) -> list[Block]:
    terms, application = row.agreement, row.application
    name = (
        "Images, the institution's own"
        if application.id == IMAGES
        else f"{application.name} · {application.vendor}"
    )
    facts = [Fact("May it?", "yes" if not row.refused else f"no: {words.reason(row.refused)}")]
    if terms is not None:
        facts += [
            Fact("Why", "\n".join(words.purpose(code) for code in sorted(terms.purposes))),
            Fact(
                "Legal basis",
                f"{words.basis(terms.legal_basis)}; agreement {terms.id}, version {terms.version}",
            ),
            Fact("Classes", "; ".join(one.value for one in DataClass if one in terms.classes)),
            Fact("Levels", ", ".join(sorted(terms.levels))),
            Fact(
                "Where", terms.region.upper() + (f"; {words.basis(terms.transfer)}" if terms.transfer else "")
            ),
            Fact("How long", f"{terms.access_s / 86_400:g} days for a study"),
        ]
    if row.asked is not None:
        facts.append(Fact("Runs in", ", ".join(sorted(row.asked.regions)).upper()))
    held = [
        f"{words.counted(one.studies, 'study', 'studies')}, {words.size(one.bytes)}, {one.data_class.value}"
        for one in row.holdings
    ]
    facts.append(Fact("Held for it", "\n".join(held) or "nothing"))
    if application.id != IMAGES or row.grants:
        ends = f"; the next ends {clock.timestamp_ms(row.next_end_ms)[:10]}" if row.next_end_ms else ""
        facts.append(Fact("Sees now", f"{words.counted(row.studies, 'study', 'studies')}{ends}"))
    return [Heading(name), Facts(tuple(facts))]


# ---- the record ----


def record(found: DataMap) -> Document:
    """GDPR Art. 30(1), for the controller; the processor's own record of Art. 30(2) is the operator's."""
    blocks: list[Block] = [
        Heading("Controller"),
        Facts(
            (
                Fact("Name", found.institution),
                Fact("Address and contact", _BLANK),
                Fact("Representative, if any", _BLANK),
                Fact("Data protection officer", _BLANK),
                Fact("Processor", f"the operator of this platform ({_BLANK}: name and contract, Art. 28)"),
                Fact("Data is in", f"{found.node_region.upper()}, objects in {found.objects_region.upper()}"),
            )
        ),
    ]
    for one in activities(found):
        blocks += [
            Heading(one.name),
            Facts(
                (
                    Fact("Purposes", "\n".join(one.purposes)),
                    Fact("Legal basis", "\n".join(one.bases)),
                    Fact("Whose data", ", ".join(one.subjects)),
                    Fact("Which data", "; ".join(each.value for each in one.classes)),
                    Fact("Recipients", "\n".join(one.recipients)),
                    Fact("Third countries", "\n".join(one.transfers) or "none"),
                    Fact("How long", "\n".join(one.kept)),
                )
            ),
        ]
    blocks += [
        Heading("Technical and organisational measures"),
        Listing(MEASURES),
        Box(
            "To be completed",
            "What the platform cannot know is marked so: names and contacts, and your own measures.",
        ),
    ]
    lead = "As GDPR Art. 30(1) asks it of the controller: what the platform declares, what is agreed and what is held."
    return _document(found, "Record of processing activities", lead, blocks)


def _document(found: DataMap, title: str, lead: str, blocks: list[Block]) -> Document:
    created = clock.timestamp_ms(found.created_ms)
    return Document(
        language="en",
        title=title,
        eyebrow=f"Wardlight · {found.institution}",
        lead=lead,
        blocks=tuple(blocks),
        foot=f"{found.institution} · {title} · {created[:16].replace('T', ' ')} UTC",
        page=_PAGE,
        created=created,
    )
