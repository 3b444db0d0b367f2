"""Signs heads of audit logs, and refuses to sign a fork (audit.md sections 2 and 3).

The last signed head of each log lies in the keystore's database. Only a larger tree that provably extends it is
signed; the state is durable before the signature is handed out. Several processes may sign: each signing is one
transaction of the keystore.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from wardlight import log
from wardlight.audit.note import VerifierKey, body, sign
from wardlight.audit.tree import EMPTY_ROOT, verify_consistency
from wardlight.errors import WardlightError
from wardlight.keys import log_keys
from wardlight.keys.keystore import Keystore
from wardlight.keys.log_keys import SignerState


class Signer:
    """The log keys of one installation. Safe to use from many threads and processes."""

    def __init__(self, keystore: Keystore) -> None:
        self._keystore = keystore
        self._unwiped = False

    def open(self, institution: UUID | None, origin: str) -> str:
        """Make the key of a new log (institution None: the operator's) where it has none; returns its vkey."""
        with self._keystore.transaction() as tx:
            state = log_keys.load(tx, origin)
            if state is None:
                seed = self._keystore.new_seed(institution, origin)
                state = SignerState(origin, institution, 0, EMPTY_ROOT, "", seed)
                log_keys.save(tx, state)
            elif state.institution != institution:
                raise WardlightError("conflict", "the log's key is another institution's")
            return self._key(state).text

    def vkey(self, origin: str) -> str:
        """The key that signs the log now. Raises `not-found` before the log is opened."""
        return self._key(self.last(origin)).text

    def last(self, origin: str) -> SignerState:
        """What was signed last. Raises `not-found` before the log is opened."""
        with self._keystore.reading() as tx:
            return _known(log_keys.load(tx, origin))

    def following(self, origin: str) -> str:
        """The vkey that a rotation has made and that has not signed yet, or nothing."""
        state = self.last(origin)
        if state.following is None or state.both_at is not None:
            return ""
        return self._key(replace(state, seed=state.following)).text

    def sign(
        self,
        origin: str,
        old_size: int,
        size: int,
        root: bytes,
        proof: Sequence[bytes],
        *,
        rotated: bool = False,
    ) -> str:
        """The note of this head. old_size, proof: that it extends what was signed last.

        rotated: the tree holds the entry that announces the following key; then both sign, and from the next head on
        the following alone, and the old key is destroyed.

        Raises `audit-fork` for a smaller tree, another one of the same size, or one that does not extend the last;
        `conflict` where another process has signed meanwhile: look again; `not-found` before the log is opened.
        """
        with self._keystore.transaction() as tx:
            state = _known(log_keys.load(tx, origin))
            if size == state.size and size and root == state.root:
                return state.note
            if size <= state.size and not (size == 0 and not state.note):
                raise WardlightError("audit-fork")
            if old_size != state.size:
                raise WardlightError("conflict", "the log's head was signed by another process")
            if not verify_consistency(old_size, size, state.root, root, proof):
                raise WardlightError("audit-fork")
            done = state.following is not None and state.both_at is not None
            if done:
                self._keystore.drop_seed(state.institution, state.seed)
                assert state.following is not None
                state = replace(state, seed=state.following, following=None, both_at=None)
            state = self._signed(replace(state, size=size, root=root), rotated=rotated)
            log_keys.save(tx, state)
        self._wipe(needed=done)
        return state.note

    def attest(self, institution: UUID | None, origin: str, text: str) -> str:
        """A signature line of the log's key, made where there is none, over a text that is no checkpoint.

        text: its first line is the name of a format, which is no log's origin, as that holds `/audit/`.
        """
        if not text.startswith("wardlight-"):
            raise ValueError("only a text that names its format is signed")
        self.open(institution, origin)
        state = self.last(origin)
        return sign(origin, self._keystore.seed(state.institution, origin, state.seed), text)

    def rotate(self, origin: str) -> str:
        """Make the key that follows, or find the one that is made already; returns its vkey.

        It signs once the entry that announces it is sealed. Raises `not-found`.
        """
        with self._keystore.transaction() as tx:
            state = _known(log_keys.load(tx, origin))
            if state.both_at is not None:
                raise WardlightError("conflict", "the last rotation is not over; seal one more entry first")
            if state.following is None:
                state = replace(state, following=self._keystore.new_seed(state.institution, origin))
                log_keys.save(tx, state)
            assert state.following is not None
            return self._key(replace(state, seed=state.following)).text

    def close(self, origin: str) -> None:
        """Destroy the keys of a log that has ended; the head that was signed last stays known."""
        with self._keystore.transaction() as tx:
            state = log_keys.load(tx, origin)
            if state is None:
                return
            for seed in filter(None, (state.seed, state.following)):
                self._keystore.drop_seed(state.institution, seed)
            log_keys.save(tx, replace(state, seed=b"", following=None))
        self._wipe(needed=True)

    def _signed(self, state: SignerState, *, rotated: bool) -> SignerState:
        text = body(state.origin, state.size, state.root)
        seed = self._keystore.seed(state.institution, state.origin, state.seed)
        lines = sign(state.origin, seed, text)
        if rotated and state.following is not None:
            seed = self._keystore.seed(state.institution, state.origin, state.following)
            lines += sign(state.origin, seed, text)
            state = replace(state, both_at=state.size)
        return replace(state, note=f"{text}\n{lines}")

    def _key(self, state: SignerState) -> VerifierKey:
        seed = self._keystore.seed(state.institution, state.origin, state.seed)
        return VerifierKey.of(state.origin, seed)

    def _wipe(self, *, needed: bool) -> None:
        """Wipe a destroyed key from the keystore's log; where readers are in the way, again at the next signing."""
        if not needed and not self._unwiped:
            return
        try:
            self._keystore.wipe()
            self._unwiped = False
        except WardlightError as error:
            self._unwiped = True
            log.error("audit.key.wipe", error)


def _known(state: SignerState | None) -> SignerState:
    if state is None:
        raise WardlightError("not-found", "the log has no key")
    return state
