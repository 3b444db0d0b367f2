"""Tables of uploads on their way: what has come of each, and where it lies until it is protected."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Table, Text

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

upload: Final = Table(
    "archive_upload",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("person", String(64), data_class=DataClass.ACCOUNT),
    column("role", String(32), data_class=DataClass.ACCOUNT),
    column("level", String(16), data_class=DataClass.CONFIGURATION),
    column("state", String(16), data_class=DataClass.STATUS),
    # The key that its parts are encrypted under.
    column("key_id", Id, data_class=DataClass.STATUS),
    column("length", BigInteger, data_class=DataClass.STATUS),
    column("taken", BigInteger, data_class=DataClass.STATUS),
    # Bytes of each file, in the order in which they follow each other; their names are nowhere.
    column("sizes", Text, data_class=DataClass.STATUS),
    # What became of the first files: codes, one a file.
    column("results", Text, data_class=DataClass.STATUS),
    column("done", Integer, data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("expires_ms", BigInteger, data_class=DataClass.STATUS),
    # Until when the worker that has it is believed to be alive.
    column("lease_ms", BigInteger, data_class=DataClass.STATUS),
    column("request", String(32), data_class=DataClass.STATUS),
    Index("archive_upload_state", "state", "lease_ms"),
    Index("archive_upload_expires", "expires_ms"),
    Index("archive_upload_institution", "institution", "state"),
)

#: One encrypted object for each request that brought bytes.
part: Final = Table(
    "archive_upload_part",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("upload", Id, ForeignKey("archive_upload.id"), index=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("begins", BigInteger, data_class=DataClass.STATUS),
    column("length", BigInteger, data_class=DataClass.STATUS),
    column("size", BigInteger, data_class=DataClass.STATUS),
)
