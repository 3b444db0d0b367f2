"""Tables of the outbox, of each application's feed, and of what webhooks are to get."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

outbox: Final = Table(
    "event_outbox",
    metadata,
    # SQLite numbers rows by itself only where the key is spelt INTEGER.
    column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, data_class=DataClass.STATUS
    ),
    column("id", Id, unique=True, data_class=DataClass.STATUS),
    column("institution", Id, data_class=DataClass.STATUS),
    column("kind", String(64), data_class=DataClass.STATUS),
    column("payload", Text, data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    # When the worker acted upon it, in the transaction of what followed.
    column("taken_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    Index("ix_event_outbox_taken", "taken_ms", "seq"),
)

#: Position of the newest event of an application at an institution. Who adds one holds the row until it commits, so
#: that the order of a feed is the order in which its events became visible.
counter: Final = Table(
    "event_counter",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    column("seq", BigInteger, data_class=DataClass.STATUS),
    PrimaryKeyConstraint("institution", "application"),
)

feed: Final = Table(
    "event_feed",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    column("seq", BigInteger, data_class=DataClass.STATUS),
    column("id", Id, unique=True, data_class=DataClass.STATUS),
    column("kind", String(32), data_class=DataClass.STATUS),
    column("grant_id", Id, nullable=True, data_class=DataClass.STATUS),
    # Events of one stream are delivered in their order: a release, else a grant, else those about none.
    column("stream", Id, data_class=DataClass.STATUS),
    # JSON of ids, counts and codes.
    column("data", Text, data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("acknowledged_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    PrimaryKeyConstraint("institution", "application", "seq"),
    Index("ix_event_feed_created_ms", "created_ms"),
)

webhook: Final = Table(
    "webhook",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    column("url", Text, data_class=DataClass.CONFIGURATION),
    # Kinds of event between spaces; empty: all.
    column("kinds", String(200), data_class=DataClass.CONFIGURATION),
    column("secret", LargeBinary, data_class=DataClass.SECRET, protection="sealed"),
    # The one before, which signs as well until then.
    column("old_secret", LargeBinary, nullable=True, data_class=DataClass.SECRET, protection="sealed"),
    column("old_until_ms", BigInteger, server_default="0", data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("ended_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    # Failures since the last success, and until when nothing is tried.
    column("failures", Integer, server_default="0", data_class=DataClass.STATUS),
    column("next_ms", BigInteger, server_default="0", data_class=DataClass.STATUS),
    # The worker that delivers to it, and until when it has it for itself.
    column("holder", String(32), server_default="", data_class=DataClass.STATUS),
    column("held_ms", BigInteger, server_default="0", data_class=DataClass.STATUS),
    Index("ix_webhook_application", "institution", "application", "ended_ms"),
)

delivery: Final = Table(
    "webhook_delivery",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.STATUS),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.STATUS),
    column("webhook", Id, ForeignKey("webhook.id"), data_class=DataClass.STATUS),
    column("event", Id, data_class=DataClass.STATUS),
    column("seq", BigInteger, data_class=DataClass.STATUS),
    column("stream", Id, data_class=DataClass.STATUS),
    column("state", String(16), data_class=DataClass.STATUS),
    column("attempts", Integer, server_default="0", data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    # When it may be tried (again), when it was tried, and when it came to an end.
    column("next_ms", BigInteger, data_class=DataClass.STATUS),
    column("tried_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("ended_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    # HTTP status of the last answer, or a word for why there was none.
    column("status", Integer, nullable=True, data_class=DataClass.STATUS),
    column("reason", String(32), server_default="", data_class=DataClass.STATUS),
    UniqueConstraint("webhook", "event"),
    Index("ix_webhook_delivery_pending", "webhook", "state", "stream", "seq"),
    Index("ix_webhook_delivery_state", "state", "next_ms"),
)
