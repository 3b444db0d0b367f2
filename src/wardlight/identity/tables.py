"""Tables of institutions, people, receivers, applications and tokens."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String, Table, Text, UniqueConstraint

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

institution: Final = Table(
    "institution",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.CONFIGURATION),
    column("slug", String(40), unique=True, data_class=DataClass.CONFIGURATION),
    column("name", String(200), data_class=DataClass.CONFIGURATION),
    column("region", String(16), data_class=DataClass.CONFIGURATION),
    column("state", String(16), data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    # Where its people may come from: CIDRs with spaces between.
    column("networks", Text, server_default="0.0.0.0/0 ::/0", data_class=DataClass.CONFIGURATION),
)

person: Final = Table(
    "person",
    metadata,
    column("id", String(32), primary_key=True, data_class=DataClass.ACCOUNT),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.ACCOUNT),
    column("login", String(200), data_class=DataClass.ACCOUNT),
    column("name", String(200), data_class=DataClass.ACCOUNT),
    # With the name it opens the commitment in the audit trail (audit.md section 1, people's names).
    column("name_salt", LargeBinary(16), data_class=DataClass.ACCOUNT),
    column("role", String(32), data_class=DataClass.ACCOUNT),
    column("state", String(16), data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    UniqueConstraint("institution", "login"),
)

receiver: Final = Table(
    "receiver",
    metadata,
    column("id", String(32), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.CONFIGURATION),
    column("name", String(200), data_class=DataClass.CONFIGURATION),
    column("state", String(16), data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    UniqueConstraint("institution", "name"),
)

application: Final = Table(
    "application",
    metadata,
    column("id", String(64), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("name", String(200), data_class=DataClass.CONFIGURATION),
    column("vendor", String(200), data_class=DataClass.CONFIGURATION),
    column("state", String(16), data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("environment", String(20), server_default="", data_class=DataClass.CONFIGURATION),
    column("kind", String(16), server_default="cloud", data_class=DataClass.CONFIGURATION),
    # Whom to ask at the company: a name, an address.
    column("owner", String(200), server_default="", data_class=DataClass.ACCOUNT),
    column("auth_method", String(24), server_default="private_key_jwt", data_class=DataClass.CONFIGURATION),
    # What its tokens may be asked for, and the addresses its users may be sent to; with spaces between.
    column("scopes", Text, server_default="", data_class=DataClass.CONFIGURATION),
    column("redirect_uris", Text, server_default="", data_class=DataClass.CONFIGURATION),
    column("post_logout_uris", Text, server_default="", data_class=DataClass.CONFIGURATION),
    # Where it is told that one of its users signed out; "" for nowhere.
    column("logout_uri", Text, server_default="", data_class=DataClass.CONFIGURATION),
)

token: Final = Table(
    "token",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.ACCOUNT),
    column("hash", LargeBinary(32), unique=True, data_class=DataClass.SECRET, protection="hashed"),
    column("kind", String(16), data_class=DataClass.ACCOUNT),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.ACCOUNT),
    column("holder", String(32), index=True, data_class=DataClass.ACCOUNT),
    column("scopes", Text, data_class=DataClass.ACCOUNT),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("expires_ms", BigInteger, data_class=DataClass.STATUS),
    column("revoked_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    # The application that it was given to; one without a person has no holder beside it.
    column("application", String(64), nullable=True, index=True, data_class=DataClass.ACCOUNT),
    column("purpose", String(16), server_default="", data_class=DataClass.ACCOUNT),
    # SHA-256 thumbprint (RFC 7638) of the key that each request with the token must be signed by.
    column("jkt", LargeBinary(32), nullable=True, data_class=DataClass.ACCOUNT),
    # The sign-in of a person to an application (`oidc_login`) that it belongs to, and ends with.
    column("login", Id, nullable=True, index=True, data_class=DataClass.ACCOUNT),
    # The one study that it shows, to a viewer that a person opened it in.
    column("study", LargeBinary(16), nullable=True, data_class=DataClass.HEALTH, protection="token"),
)
