"""Events live and die with the transaction of what they tell."""

from uuid import uuid4

import pytest

from platform_kit import a_platform
from wardlight.db.engine import EVERYWHERE
from wardlight.events.outbox import EventKind, emit, pending


def test_events_are_rows_of_the_transaction():
    with a_platform() as platform:
        institution = uuid4()
        with platform.database.begin(EVERYWHERE) as tx:
            emit(tx, institution, EventKind.STUDY_STORED, {"release": "r", "instances": 2})
            emit(tx, institution, EventKind.STUDY_COMPLETED, {"release": "r"})
        with pytest.raises(RuntimeError), platform.database.begin(EVERYWHERE) as tx:
            emit(tx, institution, EventKind.STUDY_CHANGED, {})
            raise RuntimeError
        with platform.database.read(EVERYWHERE) as tx:
            rows = pending(tx)
            assert [row[1] for row in rows] == [EventKind.STUDY_STORED, EventKind.STUDY_COMPLETED]
            assert rows[0][2] == {"release": "r", "instances": 2}
            assert pending(tx, after=rows[0][0]) == rows[1:]
