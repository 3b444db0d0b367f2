"""Tables of the index: releases, segments, series, instances, and what fsck remembers.

Clear columns are those of security.md section 4; the rest is sealed under the release's key, UIDs are keyed tokens.
There is no patient row and no patient key: it would link a patient's visits.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

_CLEAR: Final = "security.md section 4: alone it names nobody, as rows of one patient cannot be linked"

#: Stands in `number` for an Instance or Series Number that is absent, so that such rows come last.
NO_NUMBER: Final = 2**31 - 1

release: Final = Table(
    "archive_release",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    column("level", String(16), data_class=DataClass.CONFIGURATION),
    column("state", String(16), data_class=DataClass.STATUS),
    column("key_id", Id, data_class=DataClass.STATUS),
    column("token", LargeBinary(16), data_class=DataClass.HEALTH, protection="token"),
    column("study_group", LargeBinary(16), data_class=DataClass.HEALTH, protection="token"),
    # Which release answers where several have one UID: 0 is Images'.
    column("preference", SmallInteger, data_class=DataClass.STATUS),
    column("sealed_schema", SmallInteger, data_class=DataClass.STATUS),
    # Absent while the release is only reserved.
    column("sealed", LargeBinary, nullable=True, data_class=DataClass.HEALTH, protection="sealed"),
    # YYYYMMDD as a number; 0 where there is none, so that such rows come last.
    column("study_date", Integer, data_class=DataClass.HEALTH, protection="clear", reason=_CLEAR),
    # Each modality between spaces, sorted.
    column("modalities", Text, data_class=DataClass.HEALTH, protection="clear", reason=_CLEAR),
    column("series_count", Integer, data_class=DataClass.STATUS),
    column("instance_count", Integer, data_class=DataClass.STATUS),
    column("bytes", BigInteger, data_class=DataClass.STATUS),
    column("arrived_ms", BigInteger, data_class=DataClass.STATUS),
    column("last_arrival_ms", BigInteger, data_class=DataClass.STATUS),
    column("completed_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("metadata_object", Id, nullable=True, data_class=DataClass.STATUS),
    column("metadata_size", BigInteger, data_class=DataClass.STATUS),
    # Its place in the order of arrival, by which postings name it.
    column("number", BigInteger, data_class=DataClass.STATUS),
    # Who made it: `receiver:…`, `application:…`; nothing for people, and for what came before there was this column.
    column("producer", String(80), nullable=True, data_class=DataClass.STATUS),
    # The record of the third party that the data is of, and what was declared of it (R2.4).
    column("source", Id, nullable=True, data_class=DataClass.CONFIGURATION),
    column("identifiability", String(16), nullable=True, data_class=DataClass.CONFIGURATION),
    # For a release that the platform made of another: which, and sealed under this one's key whose that is.
    column("derived_from", Id, nullable=True, data_class=DataClass.STATUS),
    column("origin", LargeBinary, nullable=True, data_class=DataClass.HEALTH, protection="sealed"),
    # Objects of the study that did not get here, as nothing verified them.
    column("quarantined", Integer, nullable=True, data_class=DataClass.STATUS),
    # The person who alone has sent what it holds.
    column("uploader", String(32), nullable=True, data_class=DataClass.ACCOUNT),
    UniqueConstraint("institution", "token", "application", "level"),
    # The order of pages, with the columns that most searches look at, so that rows passed over are not read.
    Index("archive_release_page", "institution", "application", "study_date", "number", "modalities"),
    Index("archive_release_number", "institution", "number"),
    Index("archive_release_state", "state", "last_arrival_ms"),
)

segment: Final = Table(
    "archive_segment",
    metadata,
    # The object's random storage name.
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("release", Id, ForeignKey("archive_release.id"), index=True, data_class=DataClass.STATUS),
    column("size", BigInteger, data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
)

series: Final = Table(
    "archive_series",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("release", Id, ForeignKey("archive_release.id"), data_class=DataClass.STATUS),
    column("token", LargeBinary(16), data_class=DataClass.HEALTH, protection="token"),
    column("sealed", LargeBinary, data_class=DataClass.HEALTH, protection="sealed"),
    column("modality", String(16), data_class=DataClass.HEALTH, protection="clear", reason=_CLEAR),
    column("number", BigInteger, data_class=DataClass.STATUS),
    column("instance_count", Integer, data_class=DataClass.STATUS),
    # Place of the series' lines in the plaintext of the release's metadata object.
    column("metadata_offset", BigInteger, data_class=DataClass.STATUS),
    column("metadata_length", BigInteger, data_class=DataClass.STATUS),
    UniqueConstraint("release", "token"),
    # Series and instances are searched across studies, too.
    Index("archive_series_token", "token"),
    # The last column is unique by itself; that the index says so spares a sort of each page.
    Index("archive_series_page", "release", "number", "id", unique=True),
)

instance: Final = Table(
    "archive_instance",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("release", Id, ForeignKey("archive_release.id"), data_class=DataClass.STATUS),
    column("series", Id, ForeignKey("archive_series.id"), data_class=DataClass.STATUS),
    column("segment", Id, ForeignKey("archive_segment.id"), index=True, data_class=DataClass.STATUS),
    column("token", LargeBinary(16), data_class=DataClass.HEALTH, protection="token"),
    column("sealed", LargeBinary, data_class=DataClass.HEALTH, protection="sealed"),
    # Keyed digest of the data set: tells a repeated instance from a changed one.
    column("digest", LargeBinary(16), data_class=DataClass.IMAGE_IDENTIFIED, protection="hashed"),
    column("sop_class", String(64), data_class=DataClass.STATUS),
    column("transfer_syntax", String(64), data_class=DataClass.STATUS),
    column("number", BigInteger, data_class=DataClass.STATUS),
    column("frames", Integer, data_class=DataClass.STATUS),
    # Bits of one frame of native pixel data; 0 where that is not known or the data is encapsulated.
    column("frame_bits", BigInteger, data_class=DataClass.STATUS),
    column("offset", BigInteger, data_class=DataClass.STATUS),
    column("length", BigInteger, data_class=DataClass.STATUS),
    column("dataset_offset", Integer, data_class=DataClass.STATUS),
    column("header_length", Integer, data_class=DataClass.STATUS),
    # 0 where there is no pixel data.
    column("pixel_tag", BigInteger, data_class=DataClass.STATUS),
    column("pixel_offset", BigInteger, data_class=DataClass.STATUS),
    column("pixel_length", BigInteger, data_class=DataClass.STATUS),
    # Pairs of u64 offset and u32 length, big-endian.
    column("fragments", LargeBinary, nullable=True, data_class=DataClass.STATUS),
    column("metadata_offset", BigInteger, data_class=DataClass.STATUS),
    column("metadata_length", BigInteger, data_class=DataClass.STATUS),
    # The application whose result it is; nothing for what the release was made of.
    column("producer", String(64), nullable=True, data_class=DataClass.STATUS),
    UniqueConstraint("release", "token"),
    Index("archive_instance_token", "token"),
    Index("archive_instance_page", "series", "number", "id", unique=True),
)

#: Blocks of sealed postings, clustered by label. Neither column tells of which study or value an entry is.
posting: Final = Table(
    "archive_posting",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.STATUS),
    column("generation", SmallInteger, primary_key=True, autoincrement=False, data_class=DataClass.STATUS),
    column("label", LargeBinary(16), primary_key=True, data_class=DataClass.HEALTH, protection="token"),
    column("body", LargeBinary, data_class=DataClass.HEALTH, protection="sealed"),
    sqlite_with_rowid=False,
)

#: Releases whose tokens are not, or not all, in postings yet: searches read them one by one.
tail: Final = Table(
    "archive_tail",
    metadata,
    column("release", Id, ForeignKey("archive_release.id"), primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), index=True, data_class=DataClass.STATUS),
    # 1 where only tokens of series that came later are missing.
    column("series_only", SmallInteger, data_class=DataClass.STATUS),
)

#: The generation of an institution's postings; absent while they are all of the first.
search_state: Final = Table(
    "archive_search",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.STATUS),
    column("generation", SmallInteger, data_class=DataClass.STATUS),
    # The next generation while it is built, else 0; and the number of the last release that is in it.
    column("building", SmallInteger, data_class=DataClass.STATUS),
    column("built_to", BigInteger, data_class=DataClass.STATUS),
)

#: Objects that no row names, by when the sweep first saw them.
orphan: Final = Table(
    "archive_orphan",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("seen_ms", BigInteger, data_class=DataClass.STATUS),
)
