"""Table of rate limits."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, String, Table

from wardlight.classification.model import DataClass
from wardlight.db.columns import column
from wardlight.db.schema import metadata

rate: Final = Table(
    "rate",
    metadata,
    # It names its account, client or network, so that no tenant can use up what another has.
    column("key", String(200), primary_key=True, data_class=DataClass.ACCOUNT),
    column("free_us", BigInteger, index=True, data_class=DataClass.STATUS),
)
