"""SQL of rate limits: one row a key, one statement an attempt."""

from __future__ import annotations

from sqlalchemy import Connection, case, delete, select, update

from wardlight.db.insert import upsert
from wardlight.identity.rates_tables import rate


def take(tx: Connection, key: str, now_us: int, step_us: int, window_us: int) -> bool:
    """Move the moment at which the key is wholly free by one step, unless that is more than a window away."""
    later = case((rate.c.free_us > now_us, rate.c.free_us), else_=now_us) + step_us
    statement = upsert(tx, rate).values(key=key, free_us=now_us + step_us)
    statement = statement.on_conflict_do_update(
        index_elements=[rate.c.key], set_={"free_us": later}, where=later <= now_us + window_us
    )
    return tx.execute(statement.returning(rate.c.free_us)).first() is not None


def free_us(tx: Connection, key: str) -> int:
    """When the key is wholly free, in microseconds of Unix time; 0 where it was never used."""
    return tx.execute(select(rate.c.free_us).where(rate.c.key == key)).scalar() or 0


def move(tx: Connection, key: str, by_us: int) -> None:
    """Move the moment at which the key is wholly free."""
    tx.execute(update(rate).where(rate.c.key == key).values(free_us=rate.c.free_us + by_us))


def sweep(tx: Connection, now_us: int) -> int:
    """Drop the keys that are free: they say nothing any more."""
    return tx.execute(delete(rate).where(rate.c.free_us <= now_us)).rowcount
