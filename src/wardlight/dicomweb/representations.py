"""What a GET of a study, a series or an instance gives: DICOM files, a zip of them, or its bulk data.

PS3.18 Table 10.4.4-1: `multipart/related; type="application/octet-stream"` of an instance resource is its bulk data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from wardlight.dicomweb import archive_zip, bulk, retrieve
from wardlight.dicomweb.call import Answer, Call
from wardlight.dicomweb.media import DICOM, OCTETS, ZIP
from wardlight.dicomweb.negotiation import MediaRange, ranges
from wardlight.errors import WardlightError

_PIXELS: Final = ("image/", "video/")


def instances(call: Call) -> Answer:
    """GET of a study, a series or an instance in the representation the client likes best and that can be given."""
    for name in call.path:
        call.uid(name)  # What can be no UID is not found, whatever representation is asked for.
    refused: WardlightError | None = None
    for give in dict.fromkeys(_ways(ranges(call.accept, call.query))):
        try:
            return give(call)
        except WardlightError as error:
            if error.code != "not-acceptable":
                raise
            refused = refused or error
    raise refused or WardlightError(
        "not-acceptable", f"instances are given as {DICOM}, {ZIP} or multipart/related of {DICOM} or {OCTETS}"
    )


def _ways(accepted: list[MediaRange]) -> Iterator[Callable[[Call], Answer]]:
    for media_range in accepted:
        if media_range.covers(DICOM):
            yield retrieve.instances
        elif not media_range.multipart and media_range.covers(ZIP):
            yield archive_zip.instances
        elif media_range.multipart and (media_range.media == OCTETS or media_range.media.startswith(_PIXELS)):
            yield bulk.bulk_data
