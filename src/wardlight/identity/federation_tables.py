"""Tables of sign-in by an institution's own OpenID provider."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String, Table, Text

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

#: The provider of an institution, at which the platform is a client.
federation: Final = Table(
    "federation",
    metadata,
    column(
        "institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.CONFIGURATION
    ),
    column("issuer", Text, data_class=DataClass.CONFIGURATION),
    column("client_id", String(200), data_class=DataClass.CONFIGURATION),
    # None: the platform proves itself by a signature (private_key_jwt).
    column("secret", LargeBinary, nullable=True, data_class=DataClass.SECRET, protection="sealed"),
    column("login_claim", String(64), data_class=DataClass.CONFIGURATION),
    # What a person's token must say, for them to be of the institution; "" for nothing.
    column("required_claim", String(64), data_class=DataClass.CONFIGURATION),
    column("required_value", String(200), data_class=DataClass.CONFIGURATION),
    # Role of people who come without an invitation; "" where none may.
    column("default_role", String(32), data_class=DataClass.CONFIGURATION),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
)

#: A sign-in that left for the institution's provider and has not come back. It counts once, for one browser.
federation_attempt: Final = Table(
    "federation_attempt",
    metadata,
    column("state", LargeBinary(32), primary_key=True, data_class=DataClass.SECRET, protection="hashed"),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.ACCOUNT),
    column("browser", LargeBinary(32), data_class=DataClass.SECRET, protection="hashed"),
    column("issuer", Text, data_class=DataClass.CONFIGURATION),
    column("return_to", Text, data_class=DataClass.ACCOUNT),
    column("expires_ms", BigInteger, index=True, data_class=DataClass.STATUS),
)

#: Whom the provider's subject is here, since their first sign-in: a login may be given to somebody else, that not.
federation_person: Final = Table(
    "federation_person",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.ACCOUNT),
    column("subject", String(255), primary_key=True, data_class=DataClass.ACCOUNT),
    column("person", String(32), ForeignKey("person.id"), unique=True, data_class=DataClass.ACCOUNT),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
)
