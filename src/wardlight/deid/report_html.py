"""The report as a page: one file, no script, nothing fetched from anywhere, light and dark, fit for paper."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from typing import Any, Final

from wardlight.deid.report import HELD, class_name, element, pixels_json, reasons_json, totals, verdict
from wardlight.deid.report_model import Change, Outcome, Picture, Rules, Study
from wardlight.deid.report_words import flag_words, why_words
from wardlight.dicom.dictionary import keyword_of

#: Rows of one table; the JSON has all.
_MOST: Final = 1000
_VERDICTS: Final = {
    "clean": ("ok", "Released and verified", "all objects were de-identified, and verified by other code"),
    "partly": ("warn", "Partly released", "what was not clean for certain was held back"),
    "held": ("bad", "Nothing released", "no object was clean for certain"),
    "empty": ("off", "Nothing to release", "there was no image or document in it"),
}
_HELD: Final = "Not released, and what to do"
_ACTIONS: Final = {"remove": "Removed", "change": "Replaced or cleaned"}
_CSS: Final = files("wardlight.deid") / "report.css"
_MARK: Final = (
    '<svg class="mark" viewBox="0 0 20 20" aria-hidden="true"><path d="M10 2a6 6 0 0 1 3.6 10.8c-.7.6-1.1 1.2-1.1 '
    '2.2h-5c0-1-.4-1.6-1.1-2.2A6 6 0 0 1 10 2ZM7.5 17h5" fill="none" stroke="currentColor" stroke-width="1.6" '
    'stroke-linecap="round" stroke-linejoin="round"/></svg>'
)


def page(title: str, sections: Iterable[str]) -> Iterator[str]:
    """A whole page, piece by piece. title and sections are HTML."""
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_CSS.read_text('utf-8')}</style></head><body><main>"
        f'<p class="brand">{_MARK} Wardlight <span>De-identification report</span></p>'
    )
    yield from sections
    yield (
        "<footer><p>De-identified is <b>pseudonymised</b>: whoever has the key can link the data to the patient. "
        "Calling it anonymised is a person’s decision. Faces in head scans stay. This page holds no value of an "
        "original; objects are named by the number of the input, and by their new UIDs.</p></footer>"
        "</main></body></html>\n"
    )


def study_sections(study: Study, rules: Rules) -> Iterator[str]:
    """The sections of one study."""
    counts = totals(study.outcomes)
    kind, name, why = _VERDICTS[verdict(study.outcomes)]
    title = f"Study <code>{escape(study.uid)}</code>" if study.uid else "Inputs of no known study"
    yield (
        f'<section class="card"><header><div><h1>{title}</h1><p>{_sentence(why)}</p></div>'
        f'<span class="st {kind}">{name}</span></header>{_facts(_of(counts, study.outcomes, rules))}</section>'
    )
    if study.pictures:
        yield _pictures(study)
    if counts["quarantined"]:
        yield _held(study.outcomes)
    if any(one.frames for one in study.outcomes):
        yield _pixels(study.outcomes)
    if study.changes:
        yield _elements(study.changes)
    yield _objects(study.outcomes)


def batch_section(counts: Counter[str], rules: Rules, studies: int, reasons: Iterable[dict[str, Any]]) -> str:
    """The head of the report of a whole run. reasons: as `report.reasons_json` gives them."""
    rows = [
        ("Level", _level(rules)),
        ("Studies", f"{studies:,}"),
        ("Released", f"{counts['released']:,}"),
        ("Not released", f"{counts['quarantined']:,}"),
        ("Duplicates, skipped", f"{counts['duplicate']:,}, {counts['skipped']:,}"),
    ]
    state = ("warn", "Something was held back") if counts["quarantined"] else ("ok", "Released and verified")
    dry = "<p>Dry run: nothing was written.</p>" if rules.dry else ""
    held = _reasons(reasons)
    return (
        f'<section class="card"><header><div><h1>All inputs</h1>{dry}</div><span class="st {state[0]}">{state[1]}'
        f"</span></header>{_facts(rows)}</section>"
        + (f'<section class="card"><h2>{_HELD}</h2>{held}</section>' if counts["quarantined"] else "")
    )


def index_row(study: Study, link: str) -> str:
    """One line of the list of studies."""
    counts, pixels = totals(study.outcomes), pixels_json(study.outcomes)
    kind, name, _ = _VERDICTS[verdict(study.outcomes)]
    title = f"<code>{escape(study.uid)}</code>" if study.uid else "no known study"
    return (
        f'<tr><td><a href="{escape(link)}">{title}</a></td><td class="n">{counts["released"]:,}</td>'
        f'<td class="n">{counts["quarantined"]:,}</td><td class="n">{pixels["boxes"]:,}</td>'
        f'<td><span class="st {kind}">{name}</span></td></tr>'
    )


INDEX_HEAD: Final = (
    '<section class="card"><h2>Studies</h2><table><thead><tr><th>Study</th><th class="n">Released</th>'
    '<th class="n">Not released</th><th class="n">Boxes</th><th>Verdict</th></tr></thead><tbody>'
)
INDEX_TAIL: Final = "</tbody></table></section>"


def _of(counts: Counter[str], outcomes: Iterable[Outcome], rules: Rules) -> list[tuple[str, str]]:
    looked = pixels_json(outcomes)
    pixels = "not looked at <small>kinds without text</small>"
    if looked["frames"]:
        places = f"{_many(looked['boxes'], 'box', 'boxes')} in {_many(looked['frames'], 'frame', 'frames')}"
        pixels = f"{places} <small>{looked['matched']:,} with a name that is known</small>"
    return [
        ("Level", _level(rules)),
        ("Released", f"{counts['released']:,}" + (" (dry run: not written)" if rules.dry else "")),
        ("Not released", f"{counts['quarantined']:,}"),
        ("Text in pixels", pixels),
    ]


def _many(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _level(rules: Rules) -> str:
    own = f"{escape(rules.profile)}, " if rules.profile != rules.level else ""
    return f"{own}{escape(rules.level)} <small>{escape(rules.standard)}</small>"


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    return '<dl class="facts">' + "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in rows) + "</dl>"


def _pictures(study: Study) -> str:
    return (
        '<section class="card"><h2>Before and after</h2><p>Where text was found, the picture before shows its place '
        'and not its content.</p><div class="pairs">'
        + "".join(map(_pair, study.pictures))
        + "</div></section>"
    )


def _pair(one: Picture) -> str:
    name = f"<code>{escape(one.instance)}</code>"
    if one.after:
        return f"<div>{_image(one.before, 'before')}{_image(one.after, 'after')}{name}</div>"
    return f"<div>{_image(one.before, 'pixels not changed')}{name}</div>"


def _image(data: bytes, name: str) -> str:
    source = f"data:image/png;base64,{b64encode(data).decode()}"
    return f'<figure><img src="{source}" alt="{name}"><figcaption>{name}</figcaption></figure>'


def _held(outcomes: Iterable[Outcome]) -> str:
    held = [one for one in outcomes if one.kind in HELD]
    each = "".join(
        f'<tr><td class="n">{one.number}</td><td><code>{escape(", ".join(one.reasons) or one.kind)}</code></td></tr>'
        for one in held[:_MOST]
    )
    head = '<thead><tr><th class="n">Input</th><th>Reasons</th></tr></thead>'
    return (
        f'<section class="card"><h2>{_HELD}</h2>{_reasons(reasons_json(held))}'
        f"{_details('Each input', len(held), head + each)}</section>"
    )


def _reasons(reasons: Iterable[dict[str, Any]]) -> str:
    rows = "".join(
        f'<tr><td class="n">{row["objects"]:,}</td><td><b>{escape(_sentence(row["means"]))}</b> '
        f"{escape(row['next'])}.<br><code>{escape(row['code'])}</code></td></tr>"
        for row in reasons
    )
    return (
        f'<table><thead><tr><th class="n">Objects</th><th>Why</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _pixels(outcomes: Iterable[Outcome]) -> str:
    looked = [one for one in outcomes if one.frames]
    rows = "".join(
        f'<tr><td class="n">{one.number}</td><td class="n">{one.frames:,}</td><td class="n">{len(one.boxes):,}</td>'
        f'<td class="n">{one.matched:,}</td><td><code>{escape(_boxes(one))}</code></td></tr>'
        for one in looked[:_MOST]
    )
    head = (
        '<thead><tr><th class="n">Input</th><th class="n">Frames</th><th class="n">Boxes</th>'
        '<th class="n">Known names</th><th>Left, top, right, bottom</th></tr></thead>'
    )
    return (
        '<section class="card"><h2>Text in pixels</h2><p>Whole boxes are black in every frame, whatever was read in '
        "them.</p>" + _details("Each object that was looked at", len(looked), head + rows) + "</section>"
    )


def _boxes(one: Outcome) -> str:
    shown = " · ".join(",".join(map(str, box)) for box in one.boxes[:8])
    return shown + (" …" if len(one.boxes) > 8 else "")


def _elements(changes: Counter[Change]) -> str:
    groups: dict[tuple[str, str], list[tuple[tuple[int, ...], int]]] = {}
    for (path, action, why), times in sorted(changes.items()):
        groups.setdefault((action, why), []).append((path, times))
    parts = []
    head = '<thead><tr><th>Element</th><th></th><th class="n">Times</th></tr></thead>'
    for (action, why), rows in sorted(groups.items()):
        lines = "".join(
            f"<tr><td><code>{element(path)}</code></td><td>{escape(keyword_of(path[-1]))}</td>"
            f'<td class="n">{times:,}</td></tr>'
            for path, times in rows[:_MOST]
        )
        parts.append(
            _details(
                f"{_ACTIONS.get(action, action)} <small>{escape(why_words(why))}</small>",
                len(rows),
                head + lines,
            )
        )
    return (
        '<section class="card"><h2>What was done to elements, and by which rule</h2>'
        + "".join(parts)
        + "</section>"
    )


def _objects(outcomes: Iterable[Outcome]) -> str:
    every = list(outcomes)
    rows = "".join(
        f'<tr><td class="n">{one.number}</td><td>{escape(one.kind.replace("instance-conflict", "quarantined"))}</td>'
        f"<td>{escape(class_name(one.sop_class))}{_flags(one)}</td><td><code>{escape(one.instance)}</code></td></tr>"
        for one in every[:_MOST]
    )
    head = '<thead><tr><th class="n">Input</th><th>Outcome</th><th>Kind</th><th>New instance UID</th></tr></thead>'
    return (
        f'<section class="card"><h2>Objects</h2>{_details("Each object", len(every), head + rows)}</section>'
    )


def _flags(one: Outcome) -> str:
    return "".join(f'<br><span class="st warn">{escape(flag_words(flag))}</span>' for flag in one.flags)


def _details(title: str, count: int, rows: str) -> str:
    more = f"<p>The first {_MOST:,} of {count:,}; the JSON has all.</p>" if count > _MOST else ""
    return f'<details><summary>{title}<span class="n">{count:,}</span></summary><table>{rows}</table>{more}</details>'
