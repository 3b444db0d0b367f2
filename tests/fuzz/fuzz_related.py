"""Atheris target: the multipart/related parser ends in events or one typed error, the same for any cut of the body.

Run: `python tests/fuzz/fuzz_related.py -max_total_time=120`.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports():
    from wardlight.dicom.related import PartBegin, PartData, RelatedError, RelatedParser, parse_content_type


def outcome(body: bytes, step: int) -> tuple[object, ...]:
    """Parts, or the error's code."""
    parser = RelatedParser("b")
    parts: list[list[object]] = []
    try:
        for start in range(0, len(body), step):
            for event in parser.feed(body[start : start + step]):
                if isinstance(event, PartBegin):
                    parts.append([event.headers, b""])
                elif isinstance(event, PartData):
                    parts[-1][1] += bytes(event.data)
        parser.finish()
    except RelatedError as error:
        assert 0 <= error.offset <= len(body), error.offset
        return ("error", "truncated" if error.code == "truncated" else "refused")
    return ("parts", parts)


def test_one_input(data: bytes) -> None:
    """Called by libFuzzer."""
    provider = atheris.FuzzedDataProvider(data)
    step = provider.ConsumeIntInRange(1, 40)
    try:
        parse_content_type(provider.ConsumeUnicodeNoSurrogates(40))
    except RelatedError:
        pass
    body = provider.ConsumeBytes(provider.remaining_bytes())
    whole, cut = outcome(body, max(1, len(body))), outcome(body, step)
    assert whole == cut, (whole, cut)


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
