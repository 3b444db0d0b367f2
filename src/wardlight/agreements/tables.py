"""Tables of agreements, of what applications ask for, of subscriptions, and of where data of third parties is from."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ForeignKey, Integer, SmallInteger, String, Table, Text, UniqueConstraint

from wardlight.classification.model import DataClass
from wardlight.db.columns import Id, column
from wardlight.db.schema import metadata

#: A row is one version. Columns after `created_ms` came with schema 6, in which old rows got the defaults.
agreement: Final = Table(
    "agreement",
    metadata,
    column("id", String(32), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("version", Integer, primary_key=True, autoincrement=False, data_class=DataClass.CONFIGURATION),
    column("institution", Id, ForeignKey("institution.id"), data_class=DataClass.CONFIGURATION),
    column("application", String(64), data_class=DataClass.CONFIGURATION),
    column("levels", Text, data_class=DataClass.CONFIGURATION),
    column("legal_basis", String(100), data_class=DataClass.CONFIGURATION),
    column("purposes", Text, data_class=DataClass.CONFIGURATION),
    column("attested_by", String(200), data_class=DataClass.ACCOUNT),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    # Names of data classes with a semicolon between two, since they have spaces and commas.
    column("classes", Text, server_default="", data_class=DataClass.CONFIGURATION),
    column("region", String(16), server_default="", data_class=DataClass.CONFIGURATION),
    column("access_s", BigInteger, server_default="2592000", data_class=DataClass.CONFIGURATION),
    column("retention_days", Integer, nullable=True, data_class=DataClass.CONFIGURATION),
    column("document", String(500), server_default="", data_class=DataClass.CONFIGURATION),
    column("attested_ms", BigInteger, server_default="0", data_class=DataClass.STATUS),
    # Where the data is from, if it is a third party's.
    column("source", Id, nullable=True, data_class=DataClass.CONFIGURATION),
    # On what the transfer rests where the region is not the institution's; came with schema 8.
    column("transfer", String(16), server_default="", data_class=DataClass.CONFIGURATION),
    # Other applications whose results this one may see.
    column("results_of", Text, server_default="", data_class=DataClass.CONFIGURATION),
    column("ends_ms", BigInteger, nullable=True, data_class=DataClass.CONFIGURATION),
    column("withdrawn_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    # Here and below who did it is `kind:id`, as the audit trail names an actor.
    column("withdrawn_by", String(80), server_default="", data_class=DataClass.ACCOUNT),
    UniqueConstraint("institution", "application", "version"),
)

#: What an application asks of every institution, with its owner's declaration of compliance; a row is one version.
entitlement: Final = Table(
    "entitlement",
    metadata,
    column("application", String(64), ForeignKey("application.id"), primary_key=True,
           data_class=DataClass.CONFIGURATION),
    column("version", Integer, primary_key=True, autoincrement=False, data_class=DataClass.CONFIGURATION),
    column("purposes", Text, data_class=DataClass.CONFIGURATION),
    column("classes", Text, data_class=DataClass.CONFIGURATION),
    # The least strict level that it asks for.
    column("level", String(16), data_class=DataClass.CONFIGURATION),
    column("regions", Text, data_class=DataClass.CONFIGURATION),
    column("declared_by", String(200), data_class=DataClass.ACCOUNT),
    column("document", String(500), data_class=DataClass.CONFIGURATION),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("created_by", String(80), data_class=DataClass.ACCOUNT),
)  # fmt: skip

#: An institution uses an application. One that ended and begins again has the time at which it began again: no access
#: from before it may come to life with it.
subscription: Final = Table(
    "subscription",
    metadata,
    column("institution", Id, ForeignKey("institution.id"), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("application", String(64), primary_key=True, data_class=DataClass.CONFIGURATION),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("created_by", String(80), data_class=DataClass.ACCOUNT),
    column("ended_ms", BigInteger, nullable=True, data_class=DataClass.STATUS),
    column("ended_by", String(80), data_class=DataClass.ACCOUNT),
)  # fmt: skip

#: Where data of third parties is from (R2.4).
source: Final = Table(
    "data_source",
    metadata,
    column("id", Id, primary_key=True, data_class=DataClass.CONFIGURATION),
    column("institution", Id, ForeignKey("institution.id"), index=True, data_class=DataClass.CONFIGURATION),
    column("kind", String(32), data_class=DataClass.CONFIGURATION),
    column("name", String(200), data_class=DataClass.CONFIGURATION),
    column("legal_basis", String(100), data_class=DataClass.CONFIGURATION),
    column("attested_by", String(200), data_class=DataClass.ACCOUNT),
    column("document", String(500), data_class=DataClass.CONFIGURATION),
    # Whether the third party declares the data anonymised already, and on which evidence (R1.4).
    column("anonymised", SmallInteger, data_class=DataClass.CONFIGURATION),
    column("evidence", String(500), data_class=DataClass.CONFIGURATION),
    column("created_ms", BigInteger, data_class=DataClass.STATUS),
    column("created_by", String(80), data_class=DataClass.ACCOUNT),
)
