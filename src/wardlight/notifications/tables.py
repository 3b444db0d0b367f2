"""Tables of what people are told: definitions, preferences, addresses, the bell's rows, mails, and pulses."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

#: What an application may tell people of an institution; a row is one version. The platform's own are in the code.
definition: Final = Table(
    "notify_definition",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.CONFIGURATION),
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    column("name", String(40), data_class=DataClass.CONFIGURATION),
    column("version", Integer, data_class=DataClass.CONFIGURATION),
    column("title", String(80), data_class=DataClass.CONFIGURATION),
    column("text", String(400), data_class=DataClass.CONFIGURATION),
    column("permission", String(16), data_class=DataClass.CONFIGURATION),
    # A purpose that the application must be entitled to; "": the subscription is enough.
    column("licence", String(16), data_class=DataClass.CONFIGURATION),
    # Channels between spaces.
    column("channels", String(20), data_class=DataClass.CONFIGURATION),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("retired_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    PrimaryKeyConstraint("institution", "application", "name", "version"),
)

#: What a person wants of one definition; without a row what the definition proposes. application "": the platform's.
preference: Final = Table(
    "notify_preference",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.ACCOUNT),
    column("person", String(32), data_class=DataClass.ACCOUNT),
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    column("name", String(40), data_class=DataClass.CONFIGURATION),
    column("bell", Boolean, data_class=DataClass.ACCOUNT),
    column("mail", String(8), data_class=DataClass.ACCOUNT),
    PrimaryKeyConstraint("person", "application", "name"),
)

#: Where a person wants mail. It is sent there once the person has shown that it arrives.
address: Final = Table(
    "notify_address",
    metadata,
    column("person", String(32), primary_key=True, data_class=DataClass.ACCOUNT),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.ACCOUNT),
    column("address", String(200), data_class=DataClass.ACCOUNT),
    # Of the code that was sent there, with the person's id; tries that are left.
    column("code", LargeBinary(32), nullable=True, data_class=DataClass.SECRET, protection="hashed"),
    column("code_ms", BigInteger, data_class=DataClass.STATUS),
    column("tries", Integer, data_class=DataClass.STATUS),
    column("confirmed_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
)

item: Final = Table(
    "notify_item",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("person", String(32), data_class=DataClass.ACCOUNT),
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    column("name", String(40), data_class=DataClass.CONFIGURATION),
    column("version", Integer, data_class=DataClass.CONFIGURATION),
    column("permission", String(16), data_class=DataClass.CONFIGURATION),
    # JSON of ids, counts, names of applications and times.
    column("data", Text, data_class=DataClass.STATUS),
    # The study that it is about: it goes with it.
    column("release", Id, nullable=True, data_class=DataClass.STATUS),
    # What gathers: one unread row for each of these.
    column("about", String(64), data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("read_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    Index("ix_notify_item_person", "person", "id"),
    Index("ix_notify_item_unread", "person", "read_ms"),
    Index("ix_notify_item_release", "release"),
    Index("ix_notify_item_created", "created_ms"),
)

mail: Final = Table(
    "notify_mail",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("person", String(32), data_class=DataClass.ACCOUNT),
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    column("name", String(40), data_class=DataClass.CONFIGURATION),
    column("version", Integer, data_class=DataClass.CONFIGURATION),
    column("permission", String(16), data_class=DataClass.CONFIGURATION),
    column("data", Text, data_class=DataClass.STATUS),
    column("release", Id, nullable=True, data_class=DataClass.STATUS),
    column("digest", Boolean, data_class=DataClass.STATUS),
    column("state", String(16), data_class=DataClass.STATUS),
    column("attempts", Integer, data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    # When it may be tried (again); a worker that tries it puts this off first.
    column("next_ms", BigInteger, data_class=DataClass.STATUS),
    column("ended_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("reason", String(32), data_class=DataClass.STATUS),
    Index("ix_notify_mail_due", "state", "next_ms"),
    Index("ix_notify_mail_release", "release"),
    Index("ix_notify_mail_person", "person", "state"),
)

#: Counts what changed of a person's bell, and (person "") of an institution's studies, for those who look on.
pulse: Final = Table(
    "notify_pulse",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("person", String(32), data_class=DataClass.ACCOUNT),
    column("seq", BigInteger, data_class=DataClass.STATUS),
    PrimaryKeyConstraint("institution", "person"),
)

#: For which silence of a receiver people were told already: when it was last heard of.
silence: Final = Table(
    "notify_silence",
    metadata,
    column("receiver", String(32), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("seen_ms", BigInteger, data_class=DataClass.STATUS),
)
