"""The class of each member of an audit entry: patients, studies, series are keyed references, people opaque ids."""

from __future__ import annotations

from typing import Final

from wardlight.classification.model import DataClass
from wardlight.classification.values import Fields

#: Members of an entry, and of its `detail`. Names of people stand salted and hashed (`name`), queries without values.
CLASSES: Final = Fields(
    "audit entry",
    {
        DataClass.HEALTH: "subjects series",
        DataClass.ACCOUNT: "actor behalf address name person",
        DataClass.AUDIT: "v id salt log recorded node source action outcome phase of object request token counts change"
        " reason purpose basis agreement grant classes network claim origin root size signed vkey digest codes params"
        " ranges rule before count",
        DataClass.STATUS: "deep deletion epoch event expires factor format from to gap keystore link lost method names"
        " objects process query rebuilt removed repair status what findings retired detectors form",
        DataClass.CONFIGURATION: "anonymised application class kind level levels purposes region regions transfer"
        " scopes settings version versions",
    },
    may=frozenset(DataClass) - {DataClass.SECRET, DataClass.PERSONAL, DataClass.IMAGE_IDENTIFIED},
)
