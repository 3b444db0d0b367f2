"""Tables of what applications and receivers prove themselves by."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String, Table, Text

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

#: Public keys and hashed secrets of applications; several live at once while one takes the place of another.
application_key: Final = Table(
    "application_key",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.CONFIGURATION),
    column(
        "application",
        String(64),
        ForeignKey("application.id"),
        index=True,
        data_class=DataClass.CONFIGURATION,
    ),
    # The key's own id, unique among the application's; of a secret a random one.
    column("kid", String(128), data_class=DataClass.CONFIGURATION),
    # The one signature algorithm that the key is for, or "secret".
    column("alg", String(8), data_class=DataClass.CONFIGURATION),
    column("jwk", Text, data_class=DataClass.CONFIGURATION),
    column(
        "hash",
        LargeBinary(32),
        nullable=True,
        unique=True,
        data_class=DataClass.SECRET,
        protection="hashed",
    ),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("ends_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
)

#: Ids of client assertions that were taken, until they would be refused as too old anyway.
client_assertion: Final = Table(
    "client_assertion",
    metadata,
    column("client", String(64), primary_key=True, data_class=DataClass.ACCOUNT),
    column("jti", LargeBinary(32), primary_key=True, data_class=DataClass.ACCOUNT),
    column("expires_ms", BigInteger, index=True, data_class=DataClass.STATUS),
)

#: Enrolments of receivers: the one-time code, then the key that came with it, then that it was confirmed.
receiver_key: Final = Table(
    "receiver_key",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.CONFIGURATION),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.CONFIGURATION),
    column("receiver", String(32), ForeignKey("receiver.id"), index=True, data_class=DataClass.CONFIGURATION),
    column("code_hash", LargeBinary(32), unique=True, data_class=DataClass.SECRET, protection="hashed"),
    column("code_expires_ms", BigInteger, data_class=DataClass.STATUS),
    column("jwk", Text, data_class=DataClass.CONFIGURATION),
    column("digits", String(6), data_class=DataClass.CONFIGURATION),
    column("used_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("confirmed_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("ended_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
)
