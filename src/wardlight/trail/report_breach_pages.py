"""The breach report as a page for the privacy officer, with texts for notifying."""

from __future__ import annotations

from typing import Final

from wardlight.trail import report_texts as texts
from wardlight.trail import report_words as words
from wardlight.trail.report_access_pages import check, day_of, period_text
from wardlight.trail.report_breach import (
    AUTHORITY_MS,
    HIPAA_LARGE,
    HIPAA_MS,
    BreachReport,
    Group,
    Tally,
)
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
    Paragraph,
    Table,
    Tone,
)
from wardlight.trail.report_model import Party
from wardlight.trail.report_store import milliseconds, timestamp
from wardlight.trail.report_times import Clockwork, clockwork

#: Rows that a page has; JSON and CSV have all.
_AFFECTED: Final = 200
_GROUPS: Final = 200
#: Days that are told singly, those with most accesses first chosen.
_DAYS: Final = 31
#: Codes of studies in one cell.
_STUDIES: Final = 3
_HOUR_MS: Final = 3_600_000


def document(report: BreachReport) -> Document:
    """The page: what is affected and until when to act first, the list of codes last."""
    clock = clockwork(report.zone)
    blocks: list[Block] = [_figures(report), Heading(texts.SCOPE_TITLE), _scope(report, clock)]
    blocks += _deadlines(report, clock)
    blocks += [Heading(texts.TIMELINE_TITLE), _timeline(report, clock)]
    blocks += _classes(report)
    blocks += _groups(report, clock)
    blocks += [Heading(texts.UNKNOWN_TITLE), Listing(unknown(report, clock))]
    blocks += _affected(report, clock)
    blocks += _notifying(report, clock)
    blocks += check(report.checkpoints, clock)
    return Document(
        language=texts.LANGUAGE,
        title=texts.BREACH_TITLE,
        eyebrow=f"{texts.BREACH_EYEBROW} · {report.institution}",
        lead=texts.BREACH_LEAD.format(institution=report.institution),
        blocks=tuple(blocks),
        foot=texts.BREACH_FOOT.format(institution=report.institution, created=clock.day(report.created)),
        page=texts.PAGE,
        created=report.created,
    )


def _figures(report: BreachReport) -> Figures:
    return Figures(
        (
            (words.number(report.patients), texts.FIGURE_PATIENTS),
            (words.number(report.studies), texts.FIGURE_STUDIES),
            (words.number(report.total.accesses), texts.FIGURE_ACCESSES),
            (words.number(report.unknown.sessions), texts.FIGURE_UNKNOWN),
        )
    )


def _scope(report: BreachReport, clock: Clockwork) -> Facts:
    incident = report.incident
    given = {
        "period": period_text(incident.period, clock),
        "actor": incident.actor,
        "application": incident.application,
        "token": incident.token,
        "address": incident.address,
        "studies": texts.SCOPE_STUDIES.format(count=words.number(len(incident.studies)))
        if incident.studies
        else "",
        "aware": clock.minute(timestamp(incident.aware)) if incident.aware is not None else "",
        "zone": clock.name,
    }
    coded = ("actor", "application", "token", "address")
    return Facts(
        tuple(Fact(texts.SCOPE[name], value, mono=name in coded) for name, value in given.items() if value)
    )


def _deadlines(report: BreachReport, clock: Clockwork) -> list[Block]:
    aware, now = report.incident.aware, milliseconds(report.created)
    blocks: list[Block] = [Heading(texts.DEADLINE_TITLE)]
    if aware is None:
        return [*blocks, Box(texts.DEADLINE_UNKNOWN_TITLE, texts.DEADLINE_UNKNOWN, Tone.WARN)]
    ends = [(texts.DEADLINE_AUTHORITY, aware + AUTHORITY_MS), (texts.DEADLINE_HIPAA, aware + HIPAA_MS)]
    if report.patients >= HIPAA_LARGE:
        ends.append((texts.DEADLINE_HIPAA_LARGE, aware + HIPAA_MS))
    rows = [(Cell(what), Cell(clock.minute(timestamp(end))), Cell(_left(end - now))) for what, end in ends]
    rows.insert(1, (Cell(texts.DEADLINE_PATIENTS), Cell(texts.DEADLINE_PATIENTS_WHEN), Cell(texts.NOTHING)))
    what, until, state = texts.DEADLINE_COLUMNS
    columns = (Column(what, 56), Column(until, 22), Column(state, 22, right=True))
    return [*blocks, Table(texts.DEADLINE_TITLE, columns, tuple(rows))]


def _left(ms: int) -> str:
    """How long until a deadline, or since; in hours up to four days."""
    hours = abs(ms) // _HOUR_MS
    time = words.counted(hours, *texts.HOURS) if hours < 96 else words.counted(hours // 24, *texts.DAYS)
    return (texts.DEADLINE_LEFT if ms >= 0 else texts.DEADLINE_OVER).format(time=time)


def _timeline(report: BreachReport, clock: Clockwork) -> Table:
    marks = [(report.created, texts.TIMELINE_REPORT)]
    if report.total.accesses:
        marks += [
            (report.total.first, texts.TIMELINE_FIRST),
            (report.total.last, texts.TIMELINE_LAST),
        ]
    if report.incident.aware is not None:
        marks += [
            (timestamp(report.incident.aware), texts.TIMELINE_AWARE),
            (timestamp(report.incident.aware + AUTHORITY_MS), texts.TIMELINE_DEADLINE),
        ]
    rows = [(milliseconds(moment), clock.minute(moment), what) for moment, what in marks]
    # The busiest days; a day of the trail is one of UTC, so it stands at its noon.
    busiest = sorted(report.days, key=lambda day: -day[1].accesses)[:_DAYS]
    for day, tally in busiest:
        noon = f"{day}T12:00:00.000Z"
        rows.append((milliseconds(noon), f"{clock.day(noon)} ({texts.UTC_DAY})", _day(tally)))
    rows.sort()
    when, what = texts.TIMELINE_COLUMNS
    columns = (Column(when, 32), Column(what, 68))
    return Table(texts.TIMELINE_TITLE, columns, tuple((Cell(time), Cell(text)) for _, time, text in rows))


def _day(tally: Tally) -> str:
    return texts.TIMELINE_DAY.format(
        accesses=words.counted(tally.accesses, *texts.ACCESSES),
        patients=words.counted(len(tally.patients), *texts.PATIENTS),
    )


def _classes(report: BreachReport) -> list[Block]:
    if not report.classes:
        return []
    kind, accesses, patients = texts.CLASSES_COLUMNS
    rows = tuple(
        (
            Cell(words.classes((name,)) if name else texts.CLASSES_UNSTATED),
            Cell(words.number(tally.accesses)),
            Cell(words.number(len(tally.patients))),
        )
        for name, tally in report.classes
    )
    columns = (Column(kind, 60), Column(accesses, 20, right=True), Column(patients, 20, right=True))
    return [Heading(texts.CLASSES_TITLE), Table(texts.CLASSES_TITLE, columns, rows)]


def _groups(report: BreachReport, clock: Clockwork) -> list[Block]:
    blocks: list[Block] = []
    for refused, title, lead in (
        (False, texts.GROUPS_TITLE, ""),
        (True, texts.REFUSED_GROUPS_TITLE, texts.REFUSED_GROUPS_LEAD),
    ):
        groups = [group for group in report.groups if group.refused is refused]
        if not groups:
            continue
        who, what, when, often, much = texts.GROUPS_COLUMNS
        columns = (
            Column(who, 24),
            Column(what, 28),
            Column(when, 20),
            Column(often, 14, right=True),
            Column(much, 14, right=True),
        )
        blocks.append(Heading(title))
        blocks += [Paragraph(lead, quiet=True)] if lead else []
        if len(groups) > _GROUPS:
            more = texts.AFFECTED_MORE.format(shown=_GROUPS, count=words.number(len(groups)))
            blocks.append(Paragraph(more, quiet=True))
        blocks.append(Table(title, columns, tuple(_group(group, clock) for group in groups[:_GROUPS])))
    return blocks


def _group(group: Group, clock: Clockwork) -> tuple[Cell, ...]:
    tally = group.tally
    behalf = (texts.FOR.format(name=name(group.behalf)),) if group.behalf else ()
    role = (group.actor.role,) if group.actor.role else ()
    reach = texts.GROUPS_PATIENTS.format(
        patients=words.counted(len(tally.patients), *texts.PATIENTS),
        studies=words.counted(len(tally.studies), *texts.STUDIES),
    )
    unknown = (texts.GROUPS_UNKNOWN.format(count=words.number(tally.unknown)),) if tally.unknown else ()
    told = () if group.refused else words.amount(tally.counts)
    return (
        Cell(name(group.actor), (*role, *behalf)),
        Cell(words.action(group.action), (reach,)),
        Cell(clock.minute(tally.first), (clock.minute(tally.last),) if tally.last != tally.first else ()),
        Cell(words.number(tally.accesses), unknown),
        Cell(told[0] if told else texts.NOTHING, told[1:]),
    )


def name(party: Party) -> str:
    """What people call somebody, and the id by which the trail does, where these differ."""
    return f"{party.label} ({party.id})" if party.id and party.id != party.label else party.label


def unknown(report: BreachReport, clock: Clockwork) -> tuple[str, ...]:
    """What the trail cannot tell, in sentences."""
    counted = (
        (report.unknown.sessions, texts.UNKNOWN_SESSIONS),
        (report.unknown.without_patient, texts.UNKNOWN_NO_PATIENT),
        (report.unknown.without_class, texts.UNKNOWN_NO_CLASS),
        (report.unknown.claimed, texts.UNKNOWN_CLAIMED),
    )
    told = [text.format(count=words.counted(count, *texts.ACCESSES)) for count, text in counted if count]
    told += (
        texts.UNKNOWN_PRUNED.format(
            before=day_of(gap, clock), rule=gap.rule, count=words.counted(gap.count, *texts.ENTRY_COUNT)
        )
        for gap in report.gaps
    )
    return (*told, texts.UNKNOWN_COPIES, texts.UNKNOWN_OUTSIDE)


def _affected(report: BreachReport, clock: Clockwork) -> list[Block]:
    if not report.affected:
        return []
    blocks: list[Block] = [Heading(texts.AFFECTED_TITLE), Paragraph(texts.AFFECTED_LEAD, quiet=True)]
    if len(report.affected) > _AFFECTED:
        count = words.number(len(report.affected))
        blocks.append(Paragraph(texts.AFFECTED_MORE.format(shown=_AFFECTED, count=count)))
    patient, studies, accesses, first, last = texts.AFFECTED_COLUMNS
    columns = (
        Column(patient, 28),
        Column(studies, 28),
        Column(accesses, 10, right=True),
        Column(first, 17, right=True),
        Column(last, 17, right=True),
    )
    rows = []
    for one in report.affected[:_AFFECTED]:
        more = len(one.studies) - _STUDIES
        listed = "\n".join(one.studies[:_STUDIES])
        rows.append(
            (
                Cell(one.patient or texts.AFFECTED_STUDY_ONLY, mono=bool(one.patient)),
                Cell(listed, (texts.MORE.format(count=words.number(more)),) if more > 0 else (), mono=True),
                Cell(words.number(one.accesses)),
                Cell(clock.minute(one.first)),
                Cell(clock.minute(one.last)),
            )
        )
    return [*blocks, Table(texts.AFFECTED_TITLE, columns, tuple(rows))]


def _notifying(report: BreachReport, clock: Clockwork) -> list[Block]:
    actors = {name(group.actor) for group in report.groups if not group.refused}
    nature = texts.NOTIFY_NATURE_MANY.format(count=words.number(len(actors)))
    if len(actors) < 2:
        nature = texts.NOTIFY_NATURE.format(who=actors.pop()) if actors else texts.NOTIFY_NATURE_NONE
    aware = report.incident.aware
    not_known = unknown(report, clock)[:-2]
    given = {
        "first": clock.minute(report.total.first) if report.total.accesses else texts.NOTIFY_AWARE_UNKNOWN,
        "last": clock.minute(report.total.last) if report.total.accesses else texts.NOTIFY_AWARE_UNKNOWN,
        "nature": nature,
        "aware": clock.minute(timestamp(aware)) if aware is not None else texts.NOTIFY_AWARE_UNKNOWN,
        "institution": report.institution,
        "patients": words.counted(report.patients, *texts.PATIENTS),
        "studies": words.counted(report.studies, *texts.STUDIES),
        "accesses": words.counted(report.total.accesses, *texts.ACCESSES),
        "classes": words.classes(tuple(name for name, _ in report.classes if name)) or texts.CLASSES_UNSTATED,
        "unknown": " ".join(not_known) if not_known else texts.NOTIFY_NOTHING_UNKNOWN,
    }
    return [
        Heading(texts.NOTIFY_TITLE),
        Paragraph(texts.NOTIFY_LEAD, quiet=True),
        Box(texts.NOTIFY_AUTHORITY_TITLE, "\n".join(text.format(**given) for text in texts.NOTIFY_AUTHORITY)),
        Box(texts.NOTIFY_PATIENT_TITLE, texts.NOTIFY_PATIENT.format(**given)),
    ]
