"""Guessing a password or a code is slowed: by account and network, and by account alone.

After five failures a second's delay, doubling to 15 minutes (security.md section 6). Passkeys, which cannot be
guessed, are never made to wait: so nobody can lock another out. Accounts that do not exist are counted like those that
do.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

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


Pair: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Look:
    """free: the accounts that are looked at. first: those that with this failure have to wait for the first time."""

    free: frozenset[str]
    first: frozenset[str]


def keys(account: str, address: str) -> Pair:
    """What failures of an account from an address count for: account and network, account alone.

    account: a person's id, or the name that was typed where nobody has it.
    """
    return _key("network", account, network(address)), _key("account", account)


def network(address: str) -> str:
    """The network of an address, /24 of IPv4 and /56 of IPv6: so much one attacker easily has."""
    if not address:
        return ""
    length = 56 if ":" in address else 24
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))


def delay_ms(failures: int) -> int:
    """How long after so many failures nothing is looked at."""
    return 0 if failures < FREE else min(LONGEST_MS, 1000 << min(failures - FREE, 20))


def require_free(tx: Connection, accounts: Mapping[str, Pair]) -> None:
    """Raise `rate-limited` where all accounts have to wait now; writes nothing, for those who only knock."""
    rows = {row.key: row for row in store.delays(tx, _all(accounts))}
    _free(accounts, rows, clock.unix_ms())


def begin(tx: Connection, accounts: Mapping[str, Pair]) -> Look:
    """Count an attempt as a failure before it is looked at, so that many at once gain nothing.

    accounts: all that it may be meant for, of which those that have to wait are left out. Afterwards whose it was is
    to be forgiven, and the others take it back: who has the name of somebody elsewhere can neither make them wait nor
    let them be guessed at. Raises `rate-limited` where all have to wait: then nothing is counted.
    """
    now = clock.unix_ms()
    store.add_delays(tx, _all(accounts))
    rows = {row.key: row for row in store.delays(tx, _all(accounts), lock=True)}
    free = _free(accounts, rows, now)
    first = set()
    for account in free:
        for row in (rows[key] for key in accounts[account]):
            failures = 1 if row.failed_ms < now - FORGET_MS else row.failures + 1
            store.set_delay(tx, row.key, failures, now + delay_ms(failures), now)
            if failures == FREE:
                first.add(account)
    return Look(frozenset(free), frozenset(first))


def forgive(tx: Connection, both: Pair) -> None:
    """Forget the failures, as after a success."""
    store.forget_delays(tx, both)


def take_back(tx: Connection, both: Pair) -> None:
    """One failure less: the attempt was meant for somebody else. It was free then, so it is now."""
    store.lower_delays(tx, both)


def unlock(tx: Connection, account: str) -> None:
    """Forget the failures of an account that count for it alone."""
    store.forget_delays(tx, (_key("account", account),))


def sweep(tx: Connection) -> int:
    """Drop what is forgotten."""
    return store.sweep_delays(tx, clock.unix_ms() - FORGET_MS)


def _all(accounts: Mapping[str, Pair]) -> list[str]:
    return [key for both in accounts.values() for key in both]


def _free(accounts: Mapping[str, Pair], rows: Mapping[str, store.Delay], now: int) -> list[str]:
    until = {
        account: max((rows[key].until_ms for key in both if key in rows), default=0)
        for account, both in accounts.items()
    }
    free = [account for account, moment in until.items() if moment <= now]
    if not free:
        raise too_many(-(-(min(until.values()) - now) // 1000))
    return free


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
