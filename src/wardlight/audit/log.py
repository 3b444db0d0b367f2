"""The sealed logs as readers, exports and witnesses see them: heads, checkpoints, tiles, proofs, entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from wardlight.audit import log_store as store
from wardlight.audit import tree
from wardlight.audit.log_store import Checkpoint, Head
from wardlight.audit.signer import Signer
from wardlight.db.engine import Connection, Database
from wardlight.errors import WardlightError

__all__ = ["AuditLog", "Checkpoint", "Head"]

_Result = TypeVar("_Result")


class AuditLog:
    """Reads logs. A `Head` names the log and the size up to which it is read; `head` gives it anew."""

    def __init__(self, database: Database, signer: Signer) -> None:
        self._database = database
        self._signer = signer

    def logs(self, institution: UUID | None) -> list[Head]:
        """The generations of an institution's log, or the operator's (None); the newest, which is written, last."""
        with self._database.read(institution) as tx:
            return store.logs(tx, institution)

    def head(self, log: Head) -> Head:
        """The log as it is now."""
        with self._database.read(log.institution) as tx:
            found = store.head(tx, log.log)
        if found is None:
            raise WardlightError("not-found")
        return found

    def vkey(self, log: Head) -> str:
        """The key that signs the log now. Raises `not-found` before anything is sealed."""
        return self._signer.vkey(log.origin)

    def vkeys(self, log: Head) -> list[str]:
        """Every key that has signed the log, as its entries tell, oldest first."""
        with self._database.read(log.institution) as tx:
            found = [row for action in store.OF_KEYS for row in store.of_action(tx, log.log, action)]
        keys = [store.parsed(content)["detail"]["vkey"] for _, content in sorted(found)]
        return list(dict.fromkeys(keys))

    def checkpoint(self, log: Head, size: int | None = None) -> str:
        """The note of the newest signed head, or of this size. Raises `not-found`."""
        with self._database.read(log.institution) as tx:
            if size is None:
                newest = store.newest_checkpoint(tx, log.log)
                found = [newest] if newest else []
            else:
                found = store.checkpoints(tx, log.log, size, size + 1)
        if not found:
            raise WardlightError("not-found", "there is no checkpoint of this size")
        return found[0].note

    def checkpoints(self, log: Head, start: int, stop: int) -> list[Checkpoint]:
        """The signed heads of sizes from `start` to before `stop`, in their order: all at once, so of few sizes."""
        with self._database.read(log.institution) as tx:
            return store.checkpoints(tx, log.log, start, stop)

    def checkpoint_in(self, log: Head, start: int, stop: int, *, newest: bool) -> Checkpoint | None:
        """The newest, or else the oldest, signed head of a size from `start` to before `stop`."""
        with self._database.read(log.institution) as tx:
            return store.checkpoint_in(tx, log.log, start, stop, newest=newest)

    def tile(self, log: Head, level: int, n: int, width: int = tree.WIDTH) -> bytes:
        """The first `width` hashes of a tile. Raises `not-found` where the log does not have so many there."""
        if not 0 < width <= tree.width(level, n, log.size):
            raise WardlightError("not-found", "the log has no such tile")
        with self._reading(log) as (_, read):
            data = read(level, n)
        if len(data) < width * tree.HASH_BYTES:
            raise WardlightError("object-damaged", "a tile of the audit log is cut")
        return data[: width * tree.HASH_BYTES]

    def root(self, log: Head, size: int) -> bytes:
        """Root of the first `size` entries."""
        with self._reading(log) as (_, read):
            return _proved(lambda: tree.root(read, _within(log, size)))

    def inclusion(self, log: Head, index: int, size: int) -> list[bytes]:
        """Proof that the entry `index` is in the tree of `size`, its sibling first. Raises `bad-request`."""
        if not 0 <= index < size:
            raise WardlightError("bad-request", "the index lies outside the tree")
        with self._reading(log) as (_, read):
            return _proved(lambda: tree.inclusion(read, index, _within(log, size)))

    def consistency(self, log: Head, old: int, new: int) -> list[bytes]:
        """Proof that the tree of `new` extends the one of `old`. Raises `bad-request`."""
        if not 0 <= old <= new:
            raise WardlightError("bad-request", "the old tree is larger than the new one")
        with self._reading(log) as (_, read):
            return _proved(lambda: tree.consistency(read, old, _within(log, new)))

    def subtree(self, log: Head, low: int, high: int) -> bytes:
        """Root of the entries from `low` to before `high`, which are those of a tile or a smaller subtree."""
        with self._reading(log) as (_, read):
            return _proved(lambda: tree.subtree(read, low, _within(log, high)))

    def outside(self, log: Head, start: int, stop: int, size: int) -> tuple[list[bytes], list[bytes]]:
        """The subtrees on both sides of a range, as `tree.outside` has them."""
        with self._reading(log) as (_, read):
            return _proved(lambda: tree.outside(read, start, stop, _within(log, size)))

    def entries(self, log: Head, start: int, stop: int) -> Iterator[tuple[int, bytes | None, bytes]]:
        """(index, content, leaf hash) from `start` to before `stop`; content None where it was pruned.

        Read tile by tile, each in a transaction of its own, so that an export of years holds nothing up.
        """
        stop = min(stop, log.size)
        while start < stop:
            n, place = divmod(start, tree.WIDTH)
            end = min(stop, (n + 1) * tree.WIDTH)
            with self._reading(log) as (tx, read):
                rows = store.contents(tx, log.log, start, end)
                hashes = read(0, n)
            if len(rows) != end - start or len(hashes) < (place + len(rows)) * tree.HASH_BYTES:
                raise WardlightError("object-damaged", "an entry or tile of the audit log is missing")
            for idx, content in rows:
                at = idx % tree.WIDTH * tree.HASH_BYTES
                yield idx, None if content is None else bytes(content), hashes[at : at + tree.HASH_BYTES]
            start = end

    @contextmanager
    def _reading(self, log: Head) -> Iterator[tuple[Connection, tree.TileReader]]:
        with self._database.read(log.institution) as tx:
            yield tx, store.tiles(tx, log.log)


def _within(log: Head, size: int) -> int:
    if not 0 <= size <= log.size:
        raise WardlightError("bad-request", "the log is smaller than this")
    return size


def _proved(make: Callable[[], _Result]) -> _Result:
    try:
        return make()
    except ValueError as error:
        raise WardlightError("object-damaged", str(error)) from None
