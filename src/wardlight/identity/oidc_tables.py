"""Tables of the OpenID provider: what people agreed to, and where they are signed in."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, SmallInteger, String, Table, Text

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

#: That a person lets an application know who they are. The row stays when it is withdrawn, as the subject does.
oidc_consent: Final = Table(
    "oidc_consent",
    metadata,
    column("person", String(32), ForeignKey("person.id"), primary_key=True, data_class=DataClass.ACCOUNT),
    column(
        "application",
        String(64),
        ForeignKey("application.id"),
        primary_key=True,
        data_class=DataClass.ACCOUNT,
    ),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.ACCOUNT),
    # The person's name towards this application alone: two applications cannot tell that they have the same user.
    column("subject", String(32), unique=True, data_class=DataClass.ACCOUNT),
    column("scopes", Text, data_class=DataClass.ACCOUNT),
    column("given_ms", BigInteger, data_class=DataClass.STATUS),
    column("withdrawn_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
)

#: A person signed in to an application, from the authorization code to the end of the last token of this sign-in.
oidc_login: Final = Table(
    "oidc_login",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.ACCOUNT),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.ACCOUNT),
    column("person", String(32), ForeignKey("person.id"), index=True, data_class=DataClass.ACCOUNT),
    column("application", String(64), ForeignKey("application.id"), data_class=DataClass.ACCOUNT),
    column("session", Id, index=True, data_class=DataClass.ACCOUNT),
    column("scopes", Text, data_class=DataClass.ACCOUNT),
    column("purpose", String(16), data_class=DataClass.ACCOUNT),
    column("nonce", Text, data_class=DataClass.ACCOUNT),
    # When and how the person proved who they are.
    column("auth_ms", BigInteger, data_class=DataClass.STATUS),
    column("code", LargeBinary(32), unique=True, data_class=DataClass.SECRET, protection="hashed"),
    column("code_expires_ms", BigInteger, data_class=DataClass.STATUS),
    column("code_used_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("redirect_uri", Text, data_class=DataClass.CONFIGURATION),
    # PKCE: base64url of the SHA-256 of what only the one who asked knows (RFC 7636 section 4.2).
    column("challenge", String(43), data_class=DataClass.CONFIGURATION),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("expires_ms", BigInteger, index=True, data_class=DataClass.STATUS),
    column("ended_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    # When the application is to be told that it ended (back-channel logout), and how often that was tried.
    column("tell_ms", BigInteger, nullable=True, index=True, data_class=DataClass.STATUS),
    column("tried", SmallInteger, server_default="0", data_class=DataClass.STATUS),
)
