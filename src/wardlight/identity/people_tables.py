"""Tables of how people prove who they are, of their sessions and of the links by which they join."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String, Table

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

#: Names that people sign in with, over all institutions. All who share one are checked against one hash of what was
#: typed, so that the time it takes tells nothing of how many there are.
sign_in_name: Final = Table(
    "sign_in_name",
    metadata,
    column("name", String(200), primary_key=True, data_class=DataClass.ACCOUNT),
    column("salt", LargeBinary(16), data_class=DataClass.ACCOUNT),
)

password: Final = Table(
    "person_password",
    metadata,
    column("person", String(32), ForeignKey("person.id"), primary_key=True, data_class=DataClass.ACCOUNT),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.ACCOUNT),
    column("name", String(200), index=True, data_class=DataClass.ACCOUNT),
    column("verifier", LargeBinary(32), data_class=DataClass.SECRET, protection="hashed"),
    column("changed_ms", BigInteger, data_class=DataClass.STATUS),
)

#: kind `totp`: `secret` is sealed, `counter` the last step that was used. kind `passkey`: `credential` is its id,
#: `public_key` in COSE form, `counter` the authenticator's. A factor counts from `confirmed_ms` on.
factor: Final = Table(
    "person_factor",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.ACCOUNT),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.ACCOUNT),
    column("person", String(32), ForeignKey("person.id"), index=True, data_class=DataClass.ACCOUNT),
    column("kind", String(16), data_class=DataClass.ACCOUNT),
    column("name", String(100), data_class=DataClass.ACCOUNT),
    column("secret", LargeBinary(128), nullable=True, data_class=DataClass.SECRET, protection="sealed"),
    column("credential", LargeBinary(1023), nullable=True, unique=True, data_class=DataClass.ACCOUNT),
    column("public_key", LargeBinary(2048), nullable=True, data_class=DataClass.ACCOUNT),
    column("counter", BigInteger, data_class=DataClass.STATUS),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("confirmed_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("used_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
)

recovery_code: Final = Table(
    "person_recovery_code",
    metadata,
    column("hash", LargeBinary(32), primary_key=True, data_class=DataClass.SECRET, protection="token"),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.ACCOUNT),
    column("person", String(32), ForeignKey("person.id"), index=True, data_class=DataClass.ACCOUNT),
)

session: Final = Table(
    "person_session",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.ACCOUNT),
    column("hash", LargeBinary(32), unique=True, data_class=DataClass.SECRET, protection="hashed"),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.ACCOUNT),
    column("person", String(32), ForeignKey("person.id"), index=True, data_class=DataClass.ACCOUNT),
    # `password`, `passkey` or `recovery`; `limited` may do nothing but give itself a second factor.
    column("method", String(16), data_class=DataClass.ACCOUNT),
    column("address", String(64), data_class=DataClass.ACCOUNT),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("seen_ms", BigInteger, index=True, data_class=DataClass.STATUS),
    column("expires_ms", BigInteger, data_class=DataClass.STATUS),
    column("stepped_ms", BigInteger, data_class=DataClass.STATUS),
)

#: An invitation, or a way back in for somebody who lost theirs.
link: Final = Table(
    "person_link",
    metadata,
    column("hash", LargeBinary(32), primary_key=True, data_class=DataClass.SECRET, protection="hashed"),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.ACCOUNT),
    column("person", String(32), ForeignKey("person.id"), index=True, data_class=DataClass.ACCOUNT),
    column("kind", String(16), data_class=DataClass.ACCOUNT),
    column("expires_ms", BigInteger, data_class=DataClass.STATUS),
)

#: Challenges that passkeys are to sign. person: whose, where that is known.
challenge: Final = Table(
    "sign_in_challenge",
    metadata,
    column("hash", LargeBinary(32), primary_key=True, data_class=DataClass.SECRET, protection="hashed"),
    column("person", String(32), nullable=True, data_class=DataClass.ACCOUNT),
    column("expires_ms", BigInteger, index=True, data_class=DataClass.STATUS),
)

#: Failures to sign in, by account and network and by account alone. No key says whether the account exists.
delay: Final = Table(
    "sign_in_delay",
    metadata,
    column("key", String(64), primary_key=True, data_class=DataClass.ACCOUNT),
    column("failures", Integer, data_class=DataClass.STATUS),
    column("until_ms", BigInteger, data_class=DataClass.STATUS),
    column("failed_ms", BigInteger, index=True, data_class=DataClass.STATUS),
)
