"""Guessing a password or a code is slowed: by account and network, and by account alone.

After five failures a second's delay, doubling to 15 minutes (security.md section 6). Passkeys, which cannot be
guessed, are never made to wait: so nobody can lock another out. Accounts that do not exist are counted like those that
do.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Final

from sqlalchemy import Connection

from wardlight import clock
from wardlight.identity import sign_in_store as store
from wardlight.identity.rates import too_many

#: Failures that cost nothing.
FREE: Final = 5
#: The longest delay, in ms.
LONGEST_MS: Final = 15 * 60 * 1000
#: After so long without a failure they are forgotten, in ms.
FORGET_MS: Final = 24 * 3600 * 1000


def keys(name: str, address: str) -> tuple[str, str]:
    """What failures count for, of a sign-in name from an address: account and network, account alone."""
    return _key("network", name, network(address)), _key("account", name)


def network(address: str) -> str:
    """The network of an address, /24 of IPv4 and /56 of IPv6: so much one attacker easily has."""
    if not address:
        return ""
    length = 56 if ":" in address else 24
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))


def delay_ms(failures: int) -> int:
    """How long after so many failures nothing is looked at."""
    return 0 if failures < FREE else min(LONGEST_MS, 1000 << min(failures - FREE, 20))


def require_free(tx: Connection, both: tuple[str, str]) -> None:
    """Raise `rate-limited` where the account has to wait now. A look that writes nothing, for those who only knock."""
    _require_free(store.delays(tx, both), clock.unix_ms())


def begin(tx: Connection, both: tuple[str, str]) -> bool:
    """Count an attempt as a failure before it is looked at, so that many at once gain nothing; else `forgive` it.

    Returns whether with this failure the account has to wait for the first time. Raises `rate-limited` where it has to
    wait now: then nothing is counted.
    """
    now = clock.unix_ms()
    store.add_delays(tx, both)
    rows = store.delays(tx, both, lock=True)
    _require_free(rows, now)
    first = False
    for row in rows:
        failures = 1 if row.failed_ms < now - FORGET_MS else row.failures + 1
        store.set_delay(tx, row.key, failures, now + delay_ms(failures), now)
        first = first or failures == FREE
    return first


def forgive(tx: Connection, both: tuple[str, str]) -> None:
    """Forget the failures, as after a success or when an administrator says so."""
    store.forget_delays(tx, both)


def unlock(tx: Connection, name: str) -> None:
    """Forget the failures of an account that count for it alone."""
    store.forget_delays(tx, (_key("account", name),))


def sweep(tx: Connection) -> int:
    """Drop what is forgotten."""
    return store.sweep_delays(tx, clock.unix_ms() - FORGET_MS)


def _require_free(rows: list[store.Delay], now: int) -> None:
    wait = max((row.until_ms for row in rows), default=0) - now
    if wait > 0:
        raise too_many(-(-wait // 1000))


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
