"""Builds an installation whose index, keystore and postings hold very many instances; there are no image objects.

Schema, sealing, tokens and posting blocks are the product's own; only the writing is in bulk, without syncs, with the
indexes made afterwards. `python -m bench.index_generator --data DIR --instances N` (10 million: some 20 GB).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex

from bench.people import Names
from wardlight import bootstrap
from wardlight.agreements.model import IMAGES, Level
from wardlight.archive import postings
from wardlight.archive.attributes import SCHEMA, Attributes, study_date
from wardlight.archive.intake_parts import release_number
from wardlight.archive.keyring import ReleaseKey, Tokens, posting_keys
from wardlight.archive.model import ReleaseState
from wardlight.archive.postings import Token
from wardlight.archive.postings_blocks import Chains
from wardlight.archive.store import ReleaseRow
from wardlight.archive.tables import instance, release, segment, series
from wardlight.db.ids import uuid7
from wardlight.identity.service import LOCAL_ADMINISTRATOR
from wardlight.keys.attributes import RowLevel
from wardlight.keys.postings import entry
from wardlight.keys.wrap import KeyKind
from wardlight.settings import Settings

PER_STUDY = 100
_STUDIES_AT_ONCE = 200
_TOKENS_AT_ONCE = 20_000
_DAYS = 3650
_LAST = date(2026, 10, 31)
_CT = "1.2.840.10008.5.1.4.1.1.2"
_MODALITIES = (("CT", "Thorax nativ"), ("MR", "Brain with contrast"), ("CR", "Chest ap"), ("US", "Abdomen"))
_WEIGHTS = (60, 30, 7, 3)
_TABLES = (release, series, segment, instance)


@dataclass(slots=True)
class Batch:
    """Rows of some studies, as the driver takes them, and their tokens."""

    rows: dict[str, list[tuple[Any, ...]]] = field(
        default_factory=lambda: {table.name: [] for table in _TABLES}
    )

    def add(self, table: Table, values: dict[str, Any]) -> None:
        """Add a row."""
        self.rows[table.name].append(
            tuple(
                value.bytes if isinstance(value := values.get(column.name), UUID) else value
                for column in table.columns
            )
        )


def generate(data: Path, instances: int, *, seed: int = 1) -> None:
    """Make, in a new folder, an installation of one institution with about so many instances."""
    platform = bootstrap.platform(Settings(data_dir=data, demo=True))
    try:
        institution = platform.identity.create_institution("bench", "Bench", "eu", by=LOCAL_ADMINISTRATOR)
        platform.agreements.create(
            institution.id, IMAGES, Level, legal_basis="gdpr:6.1.e+9.2.h", purposes=("TREAT",),
            attested_by="Bench", by=LOCAL_ADMINISTRATOR,
        )  # fmt: skip
        maker = _Maker(platform, institution.id, seed)
        path = platform.settings.index_path
        platform.database.close()
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            _fast(database)
            for batch in maker.batches(max(1, instances // PER_STUDY)):
                database.execute("BEGIN")
                for table in _TABLES:
                    marks = ",".join("?" * len(table.columns))
                    names = ",".join(f'"{column.name}"' for column in table.columns)
                    database.executemany(
                        f"INSERT INTO {table.name} ({names}) VALUES ({marks})", batch.rows[table.name]
                    )
                database.execute("COMMIT")
            _finish(database)
    finally:
        platform.close()
    platform = bootstrap.platform(Settings(data_dir=data, demo=True))
    try:
        maker.write_postings(platform)
    finally:
        platform.close()


def _fast(database: sqlite3.Connection) -> None:
    """No syncs and no indexes but those of the constraints: a machine that fails here begins anew."""
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000", "temp_store=MEMORY"):
        database.execute(f"PRAGMA {pragma}")
    for table in _TABLES:
        for index in table.indexes:
            database.execute(f"DROP INDEX {index.name}")


def _finish(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA temp_store=FILE")
    for table in _TABLES:
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            database.execute(str(CreateIndex(index).compile(dialect=sqlite.dialect())))
    database.execute("PRAGMA journal_mode=WAL")
    descriptor = os.open(database.execute("PRAGMA database_list").fetchone()[2], os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


class _Maker:
    """Makes studies, oldest first, and remembers their tokens."""

    def __init__(self, platform: bootstrap.Platform, institution: UUID, seed: int) -> None:
        self._keystore = platform.keystore
        self._institution = institution
        self._tokens = Tokens(platform.keystore, institution)
        self._chosen = random.Random(seed)
        self._names = Names(seed)
        self._postings: dict[Token, list[bytes]] = {}

    def batches(self, studies: int) -> Iterator[Batch]:
        """The rows of so many studies."""
        patients = max(1, studies // 4)
        for start in range(0, studies, _STUDIES_AT_ONCE):
            batch = Batch()
            numbers = range(start, min(start + _STUDIES_AT_ONCE, studies))
            keys = self._keystore.create_keys(self._institution, KeyKind.STUDY, len(numbers))
            for number, (key_id, key) in zip(numbers, keys, strict=True):
                day = _LAST - timedelta(days=_DAYS * (studies - 1 - number) // studies)
                patient = self._chosen.randrange(patients)
                self._study(batch, number, day, patient, key_id, key)
            yield batch

    def write_postings(self, platform: bootstrap.Platform) -> None:
        """Write all posting blocks, shuffled by labels as they are anyway."""
        everything = list(self._postings.items())
        for start in range(0, len(everything), _TOKENS_AT_ONCE):
            with platform.database.begin(self._institution) as tx:
                chains = Chains(
                    tx, self._institution, 1, posting_keys(platform.keystore, self._institution, 1)
                )
                chains.append(dict(everything[start : start + _TOKENS_AT_ONCE]))
                chains.write()

    def _study(self, batch: Batch, number: int, day: date, patient: int, key_id: UUID, key: bytes) -> None:
        chosen = self._chosen
        id_, object_id = uuid7(), uuid7()
        sealing = ReleaseKey(key, self._institution, id_)
        uid = f"1.2.826.0.1.3680043.10.1.{number}"
        modality, description = chosen.choices(_MODALITIES, _WEIGHTS)[0]
        attributes = self._attributes(uid, number, day, patient, description)
        arrived = int(time.mktime(day.timetuple())) * 1000 + number % 86_400_000
        row = ReleaseRow(
            id_, self._institution, IMAGES, Level.IDENTIFIED, ReleaseState.COMPLETE, key_id, os.urandom(16),
            SCHEMA, None, study_date(attributes), (modality,), 0, 0, 0, arrived, arrived, None, 0,
            release_number(arrived),
        )  # fmt: skip
        shape = self._shape()
        for index, instances in enumerate(shape, 1):
            self._series(batch, sealing, id_, object_id, uid, index, modality, instances)
        values = {name: getattr(row, name) for name in ReleaseRow.__slots__}
        values |= {
            "level": row.level.value,
            "state": row.state.value,
            "modalities": f" {modality} ",
            "token": self._tokens.study(uid),
            "preference": 3,
            "sealed": sealing.seal_study(row, attributes),
            "series_count": len(shape),
            "instance_count": sum(shape),
            "bytes": sum(shape) * 526_000,
            "completed_ms": arrived,
        }
        batch.add(release, values)
        batch.add(
            segment, {"id": object_id, "release": id_, "size": sum(shape) * 526_000, "created_ms": arrived}
        )
        packed = entry(postings.days_of(row.study_date), row.number)
        for token in postings.study_tokens(attributes):
            self._postings.setdefault(token, []).append(packed)

    def _shape(self) -> list[int]:
        """Instances of each series: about five series and a hundred instances, some studies far larger."""
        count = self._chosen.randint(2, 8)
        size = self._chosen.choice((4, 8, 12, 16, 24, 56))
        return [max(1, self._chosen.randint(size // 2, size + size // 2)) for _ in range(count)]

    def _attributes(self, uid: str, number: int, day: date, patient: int, description: str) -> Attributes:
        person = random.Random(patient)
        born = date(1930, 1, 1) + timedelta(days=person.randrange(30_000))
        time_ = f"{number % 24:02d}{number % 60:02d}{number * 7 % 60:02d}"
        texts = {
            "00080020": ("DA", f"{day:%Y%m%d}"),
            "00080030": ("TM", time_),
            "00080050": ("SH", f"A{number:08d}"),
            "00080080": ("LO", "Bench General Hospital"),
            "00081030": ("LO", description),
            "00100020": ("LO", f"P{patient:07d}"),
            "00100030": ("DA", f"{born:%Y%m%d}"),
            "00100040": ("CS", "FM"[patient % 2]),
            "00101010": ("AS", f"{day.year - born.year:03d}Y"),
            "0020000D": ("UI", uid),
            "00200010": ("SH", f"S{number:06d}"),
        }
        found: Attributes = {tag: {"vr": vr, "Value": [text]} for tag, (vr, text) in texts.items()}
        found["00080090"] = {"vr": "PN", "Value": [{"Alphabetic": f"{self._names.names[number % 200]}^Pat"}]}
        found["00100010"] = {"vr": "PN", "Value": [{"Alphabetic": self._names.person(person)}]}
        return found

    def _series(
        self,
        batch: Batch,
        sealing: ReleaseKey,
        study: UUID,
        object_id: UUID,
        study_uid: str,
        number: int,
        modality: str,
        count: int,
    ) -> None:
        id_, uid = uuid7(), f"{study_uid}.{number}"
        attributes: Attributes = {
            "00080060": {"vr": "CS", "Value": [modality]},
            "0008103E": {"vr": "LO", "Value": [f"Series {number} axial 1 mm"]},
            "00080070": {"vr": "LO", "Value": ["Maker"]},
            "00081010": {"vr": "SH", "Value": ["ROOM1"]},
            "00180015": {"vr": "CS", "Value": ["CHEST"]},
            "00181030": {"vr": "LO", "Value": ["Routine"]},
            "0020000E": {"vr": "UI", "Value": [uid]},
            "00200011": {"vr": "IS", "Value": [number]},
        }
        values = {
            "id": id_,
            "release": study,
            "token": self._tokens.series(uid),
            "sealed": sealing.seal(RowLevel.SERIES, id_, attributes),
            "modality": modality,
            "number": number,
            "instance_count": count,
            "metadata_offset": 0,
            "metadata_length": 0,
        }
        batch.add(series, values)
        for index in range(1, count + 1):
            self._instance(batch, sealing, study, id_, object_id, f"{uid}.{index}", index)

    def _instance(
        self,
        batch: Batch,
        sealing: ReleaseKey,
        study: UUID,
        series_id: UUID,
        object_id: UUID,
        uid: str,
        number: int,
    ) -> None:
        id_ = uuid7()
        attributes = {**_INSTANCE, "00080018": {"vr": "UI", "Value": [uid]}}
        attributes["00200013"] = {"vr": "IS", "Value": [number]}
        values = {
            **_INSTANCE_COLUMNS,
            "id": id_,
            "release": study,
            "series": series_id,
            "segment": object_id,
            "token": self._tokens.instance(uid),
            "sealed": sealing.seal(RowLevel.INSTANCE, id_, attributes),
            "digest": os.urandom(16),
            "number": number,
            "offset": (number - 1) * 526_000,
        }
        batch.add(instance, values)


_INSTANCE: Attributes = {
    "00080008": {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY", "AXIAL"]},
    "00080016": {"vr": "UI", "Value": [_CT]},
    "00080023": {"vr": "DA", "Value": ["20260102"]},
    "00280002": {"vr": "US", "Value": [1]},
    "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
    "00280010": {"vr": "US", "Value": [512]},
    "00280011": {"vr": "US", "Value": [512]},
    "00280100": {"vr": "US", "Value": [16]},
}
_INSTANCE_COLUMNS: dict[str, Any] = {
    "sop_class": _CT,
    "transfer_syntax": "1.2.840.10008.1.2.1",
    "frames": 1,
    "frame_bits": 512 * 512 * 16,
    "length": 526_000,
    "dataset_offset": 350,
    "header_length": 1300,
    "pixel_tag": 0x7FE00010,
    "pixel_offset": 1700,
    "pixel_length": 524_288,
    "metadata_offset": 0,
    "metadata_length": 0,
}


def main(arguments: Iterable[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--instances", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(list(arguments) if arguments is not None else None)
    wall, cpu = time.monotonic(), time.process_time()
    generate(chosen.data, chosen.instances, seed=chosen.seed)
    size = sum(path.stat().st_size for path in chosen.data.rglob("*") if path.is_file())
    print(
        json.dumps(
            {
                "instances": chosen.instances,
                "wall_s": round(time.monotonic() - wall, 1),
                "cpu_s": round(time.process_time() - cpu, 1),
                "bytes": size,
            }
        )
    )


if __name__ == "__main__":
    main()
