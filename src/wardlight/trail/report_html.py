"""A report as one HTML file: no script, nothing fetched, readable by a screen reader, prints on A4."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from html import escape
from importlib import resources
from typing import Final

from wardlight.trail.report_document import (
    Block,
    Box,
    Cell,
    Document,
    Facts,
    Figures,
    Heading,
    Listing,
    Paragraph,
    Table,
)

MEDIA: Final = "text/html"


def render(document: Document) -> bytes:
    """The file, in UTF-8."""
    body = "\n".join(_block(block, number) for number, block in enumerate(document.blocks))
    foot = escape(document.foot).replace("\\", "").replace('"', "")
    return (
        f'<!doctype html>\n<html lang="{escape(document.language)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="robots" content="noindex"><meta name="referrer" content="no-referrer">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'font-src data:">\n'
        f"<title>{escape(document.title)}</title>\n<style>{_style()}</style>\n</head>\n<body>\n<main>\n"
        f'<header><p class="eyebrow">{escape(document.eyebrow)}</p>\n<h1>{escape(document.title)}</h1>\n'
        f'<p class="lead">{escape(document.lead)}</p></header>\n{body}\n</main>\n<footer>{foot}</footer>\n'
        "</body>\n</html>\n"
    ).encode()


def _block(block: Block, number: int) -> str:
    if isinstance(block, Heading):
        return f"<h2>{escape(block.text)}</h2>"
    if isinstance(block, Paragraph):
        quiet = ' class="quiet"' if block.quiet else ""
        return f"<p{quiet}>{escape(block.text)}</p>"
    if isinstance(block, Figures):
        return f'<ul class="figures">{"".join(_figure(*figure) for figure in block.figures)}</ul>'
    if isinstance(block, Facts):
        return f"<dl>{''.join(_fact(fact.name, fact.value, fact.mono) for fact in block.facts)}</dl>"
    if isinstance(block, Box):
        return (
            f'<aside class="box {block.tone}" aria-labelledby="box-{number}"><h3 id="box-{number}">'
            f"{escape(block.title)}</h3>{_paragraphs(block.text)}</aside>"
        )
    if isinstance(block, Listing):
        tag = "ol" if block.numbered else "ul"
        items = "".join(f"<li>{escape(item)}</li>" for item in block.items)
        return f'<{tag} class="listing">{items}</{tag}>'
    return _table(block)


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in text.split("\n"))


def _figure(value: str, label: str) -> str:
    return f"<li><strong>{escape(value)}</strong> <span>{escape(label)}</span></li>"


def _fact(name: str, value: str, mono: bool) -> str:
    marked = ' class="mono"' if mono else ""
    return f"<div><dt>{escape(name)}</dt><dd{marked}>{_lines(value)}</dd></div>"


def _lines(text: str) -> str:
    return "<br>".join(escape(line) for line in text.split("\n"))


def _table(table: Table) -> str:
    widths = "".join(f'<col style="width:{column.width}%">' for column in table.columns)
    heads = "".join(
        f'<th scope="col"{_right(column.right)}>{escape(column.title)}</th>' for column in table.columns
    )
    rows = "\n".join(
        "<tr>"
        + "".join(
            _cell(cell, column.title, column.right, first=place == 0)
            for place, (cell, column) in enumerate(zip(row, table.columns, strict=True))
        )
        + "</tr>"
        for row in table.rows
    )
    return (
        f"<table><caption>{escape(table.caption)}</caption><colgroup>{widths}</colgroup>"
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"
    )


def _cell(cell: Cell, title: str, right: bool, *, first: bool) -> str:
    tag = 'th scope="row"' if first else "td"
    names = [name for name, is_so in (("r", right), ("mono", cell.mono)) if is_so]
    classes = f' class="{" ".join(names)}"' if names else ""
    marks = "".join(f' <span class="mark {mark.tone}">{escape(mark.text)}</span>' for mark in cell.marks)
    small = "".join(f"<small>{escape(line)}</small>" for line in cell.small)
    return f'<{tag}{classes} data-head="{escape(title)}"><b>{_lines(cell.text)}</b>{marks}{small}</{tag[:2]}>'


def _right(right: bool) -> str:
    return ' class="r"' if right else ""


@cache
def _style() -> str:
    fonts = resources.files("wardlight.trail") / "fonts"
    font = b64encode((fonts / "Inter-latin.woff2").read_bytes()).decode()
    sheet = (resources.files("wardlight.trail") / "report.css").read_text("utf-8")
    face = f"@font-face{{font-family:Inter;src:url(data:font/woff2;base64,{font}) format('woff2');font-weight:100 900}}"
    return f"\n{face}\n{sheet}"
