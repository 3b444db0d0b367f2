"""The access report as a page for the patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wardlight.trail import report_texts as texts
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
from wardlight.trail.report_model import (
    PLATFORM,
    AccessReport,
    Certainty,
    Checkpoint,
    Gap,
    Kind,
    Line,
    Period,
)
from wardlight.trail.report_store import timestamp
from wardlight.trail.report_times import Clockwork, clockwork

_COLUMNS: Final = (
    Column(texts.COLUMN_WHEN, 15),
    Column(texts.COLUMN_WHO, 20),
    Column(texts.COLUMN_WHAT, 30),
    Column(texts.COLUMN_WHY, 22),
    Column(texts.COLUMN_AMOUNT, 13, right=True),
)
#: Codes of studies that are told singly.
_ALL_STUDIES: Final = 20

_SECTIONS: Final = (
    (Kind.SEEN, texts.SEEN_TITLE, "", texts.SEEN_NONE),
    (Kind.LISTED, texts.LISTED_TITLE, texts.LISTED_LEAD, texts.LISTED_NONE),
    (Kind.REFUSED, texts.REFUSED_TITLE, texts.REFUSED_LEAD, texts.REFUSED_NONE),
    (Kind.OTHER, texts.OTHER_TITLE, texts.OTHER_LEAD, texts.OTHER_NONE),
)


def document(report: AccessReport) -> Document:
    """The page: what matters to the patient first, how to check it last."""
    clock = clockwork(report.zone)
    blocks: list[Block] = [_figures(report.lines)]
    for kind, title, lead, none in _SECTIONS:
        lines = [line for line in report.lines if line.kind is kind]
        blocks.append(Heading(title))
        if not lines:
            blocks.append(Paragraph(none))
        else:
            blocks += [Paragraph(lead, quiet=True)] if lead else []
            rows = tuple(_row(line, clock, report) for line in lines)
            blocks.append(Table(texts.ACCESS_CAPTION.format(title=title), _COLUMNS, rows))
    blocks += pruned(report.gaps, clock)
    how = texts.HOW[:-1] + ((texts.HOW_NAMES,) if report.names else (texts.HOW[-1],))
    blocks += [Heading(texts.HOW_TITLE), Listing(how)]
    blocks += [
        Heading(texts.RIGHTS_TITLE),
        Paragraph(texts.RIGHTS.format(institution=report.institution)),
        Heading(texts.ABOUT_TITLE),
        _about(report, clock),
        *check(report.checkpoints, clock),
    ]
    return Document(
        language=texts.LANGUAGE,
        title=texts.ACCESS_TITLE,
        eyebrow=f"{texts.ACCESS_EYEBROW} · {report.institution}",
        lead=texts.ACCESS_LEAD.format(institution=report.institution),
        blocks=tuple(blocks),
        foot=texts.ACCESS_FOOT.format(institution=report.institution, created=clock.day(report.created)),
        page=texts.PAGE,
        created=report.created,
    )


def _figures(lines: Sequence[Line]) -> Figures:
    seen = [line for line in lines if line.kind is Kind.SEEN]
    parties = {party.label for line in seen for party in (line.actor, line.behalf) if party}
    listed = sum(line.kind is Kind.LISTED for line in lines)
    refused = sum(max(1, line.counts.get("denied", 1)) for line in lines if line.kind is Kind.REFUSED)
    return Figures(
        (
            (words.number(len(seen)), texts.FIGURE_OPENED),
            (words.number(len(parties)), texts.FIGURE_PARTIES),
            (words.number(listed), texts.FIGURE_LISTED),
            (words.number(refused), texts.FIGURE_REFUSED),
        )
    )


def _row(line: Line, clock: Clockwork, report: AccessReport) -> tuple[Cell, ...]:
    day, _, minute = clock.minute(line.start).partition(", ")
    end = (
        (texts.UNTIL.format(time=clock.until(line.start, line.end)),)
        if line.end and clock.minute(line.end) != clock.minute(line.start)
        else ()
    )
    behalf = (texts.FOR.format(name=line.behalf.label),) if line.behalf else ()
    role = (line.actor.role,) if report.names and line.actor.role else ()
    # What machines did and what came to nothing has no purpose that a person would have had to state.
    unstated = texts.NO_PURPOSE if line.kind in (Kind.SEEN, Kind.LISTED) else texts.NOTHING
    first, *more = _amount(line)
    return (
        Cell(day, (minute, *end)),
        Cell(line.actor.label, (*role, *behalf)),
        Cell(words.action(line.action), (*_details(line), _place(line, report)), _marks(line)),
        Cell(words.purpose(line.purpose) or unstated, _basis(line)),
        Cell(first, tuple(more)),
    )


def _details(line: Line) -> tuple[str, ...]:
    told = []
    if line.kind is Kind.LISTED:
        several = texts.APPEARED.format(count=words.number(line.listed))
        told.append({0: texts.LIST_EMPTY, 1: texts.LIST_ALONE}.get(line.listed, several))
    if line.kind is Kind.REFUSED and line.reason:
        told.append(texts.REFUSED_BECAUSE.format(reason=words.reason(line.reason)))
    if line.outcome == "failed":
        because = texts.FAILED_BECAUSE.format(reason=words.reason(line.reason))
        told.append(because if line.reason else texts.FAILED)
    if line.outcome == "partial":
        told.append(texts.PARTLY)
    if line.classes:
        told.append(texts.DATA.format(classes=words.classes(line.classes)))
    return tuple(told)


def _place(line: Line, report: AccessReport) -> str:
    """Which of the studies, by its number in this report, and where in the log."""
    word = texts.ENTRY if len(line.entries) == 1 else texts.ENTRIES
    entries = f"{word} {', '.join(words.number(index) for index in line.entries)}"
    if len(report.studies) < 2 or not line.studies:
        return entries.capitalize()
    numbers = sorted(report.studies.index(study) + 1 for study in line.studies)
    told = texts.OF_STUDY if len(numbers) == 1 else texts.OF_STUDIES
    return told.format(studies=", ".join(map(str, numbers)), entries=entries)


def _marks(line: Line) -> tuple[Mark, ...]:
    marks = []
    if line.certainty is Certainty.UNKNOWN:
        marks.append(Mark(texts.MARK_UNKNOWN, Tone.WARN))
    if line.certainty is Certainty.OPEN:
        marks.append(Mark(texts.MARK_OPEN, Tone.WARN))
    if line.source == "application":
        marks.append(Mark(texts.MARK_APPLICATION.format(name=line.actor.label), Tone.QUIET))
    elif line.source != PLATFORM:
        marks.append(Mark(texts.MARK_RECEIVER, Tone.QUIET))
    return tuple(marks)


def _basis(line: Line) -> tuple[str, ...]:
    told = []
    if line.basis:
        told.append(texts.BASIS.format(basis=words.basis(line.basis)))
    if line.agreement:
        told.append(texts.AGREEMENT.format(agreement=line.agreement))
    return tuple(told)


def _amount(line: Line) -> tuple[str, ...]:
    if line.certainty is Certainty.UNKNOWN:
        return (texts.ALL_OF_IT,)
    if line.certainty is Certainty.OPEN:
        return (texts.SO_FAR,)
    if line.kind is Kind.REFUSED:
        return (words.counted(max(1, line.counts.get("denied", 1)), *texts.ATTEMPTS),)
    if line.kind is Kind.LISTED:
        return (texts.ONE_LINE.format(count=words.number(line.listed)) if line.listed else texts.NOTHING,)
    return words.amount(line.counts) or (texts.NOTHING,)


def pruned(gaps: Sequence[Gap], clock: Clockwork) -> list[Block]:
    """A box for what rules deleted: the oldest that can be told comes after the newest of them."""
    return [
        Box(
            texts.PRUNED_TITLE,
            texts.PRUNED.format(
                before=day_of(gap, clock),
                rule=gap.rule,
                count=words.counted(gap.count, "entry", "entries"),
            ),
            Tone.WARN,
        )
        for gap in gaps
    ]


def day_of(gap: Gap, clock: Clockwork) -> str:
    """The day until which a rule deleted; as it is written where it is no time."""
    try:
        return clock.day(gap.before)
    except ValueError:
        return gap.before or clock.day(gap.recorded)


def period_text(period: Period, clock: Clockwork) -> str:
    """The time covered, in words."""
    if period.start is None and period.end is None:
        return texts.ABOUT_PERIOD_ALL
    told = []
    if period.start is not None:
        told.append(texts.ABOUT_PERIOD_FROM.format(start=clock.minute(timestamp(period.start))))
    if period.end is not None:
        told.append(texts.ABOUT_PERIOD_UNTIL.format(end=clock.minute(timestamp(period.end))))
    return ", ".join(told)


def _about(report: AccessReport, clock: Clockwork) -> Facts:
    studies = [
        Fact(texts.ABOUT_STUDY.format(number=number), study, mono=True)
        for number, study in enumerate(report.studies[:_ALL_STUDIES], 1)
    ]
    if more := len(report.studies) - len(studies):
        studies.append(Fact(texts.ABOUT_STUDIES_MORE, texts.ABOUT_MORE.format(count=words.number(more))))
    return Facts(
        (
            Fact(texts.ABOUT_INSTITUTION, report.institution),
            Fact(texts.ABOUT_CREATED, clock.minute(report.created)),
            Fact(texts.ABOUT_ZONE, clock.name.replace("_", " ")),
            Fact(texts.ABOUT_PERIOD, period_text(report.period, clock)),
            Fact(texts.ABOUT_PATIENT, "\n".join(report.patients), mono=True),
            *studies,
        )
    )


def check(checkpoints: Sequence[Checkpoint], clock: Clockwork) -> list[Block]:
    """What the report rests on, and how anybody can check it."""
    blocks: list[Block] = [Heading(texts.CHECK_TITLE)]
    if not checkpoints:
        return [*blocks, Box(texts.CHECK_TITLE, texts.CHECK_NONE, Tone.WARN)]
    blocks.append(Paragraph(texts.CHECK_LEAD))
    blocks += (
        Facts(
            (
                Fact(texts.CHECK_LOG, head.origin, mono=True),
                Fact(texts.CHECK_SIZE, words.number(head.size)),
                Fact(texts.CHECK_ROOT, head.root, mono=True),
                Fact(texts.CHECK_DATE, clock.minute(head.recorded)),
            )
        )
        for head in checkpoints
    )
    return [*blocks, Listing(texts.CHECK_STEPS, numbered=True), Paragraph(texts.CHECK_QUIET, quiet=True)]
