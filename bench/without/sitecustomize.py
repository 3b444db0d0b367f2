"""On the path of a server's interpreters, this takes a part out of it: what the part costs is the difference.

For the benchmark alone: the product has no way to run without. `WARDLIGHT_BENCH_WITHOUT` says which. audit: events and
references are still made; nothing is written, sealed, signed or shipped. decision: whoever has a token is shown what
there is, and open answers are not watched.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
import uuid
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType
from typing import Any, Final


def _recorder(module: Any) -> None:
    module.Recorder.write = lambda *_arguments: uuid.UUID(int=0)


def _sessions(module: Any) -> None:
    class Unread:
        def count(self, **_counts: Any) -> None:
            pass

    module.ReadSessions.begin = lambda *_arguments: Unread()
    module.ReadSessions.sweep = lambda *_arguments, **_named: 0


def _sealer(module: Any) -> None:
    module.Sealer.seal = lambda *_arguments: 0


def _statements(module: Any) -> None:
    module.append_audit = lambda *_arguments: None


def _granted(module: Any) -> None:
    def find(tx: Any, holder: Any, token: bytes) -> Any:
        row = module.FIND_RELEASE(tx, holder.institution, token)
        return (row, module.GrantRow(uuid.UUID(int=0), " TREAT ", "-", 1, "")) if row else None

    from wardlight.archive import store

    module.FIND_RELEASE = store.find_release
    module.find_granted = find


def _access(module: Any) -> None:
    module._refusal = lambda *_arguments, **_named: ""
    module.Access._agreed = lambda *_arguments: (None, "")


def _open_reads(module: Any) -> None:
    module.OpenReads.enter = lambda *_arguments: None
    module.OpenReads.start = lambda *_arguments: None


_PARTS: Final[dict[str, dict[str, Callable[[Any], None]]]] = {
    "audit": {
        "wardlight.audit.recorder": _recorder,
        "wardlight.audit.sessions": _sessions,
        "wardlight.audit.sealer": _sealer,
        "wardlight.receiver.statements": _statements,
    },
    "decision": {
        "wardlight.archive.granted_store": _granted,
        "wardlight.access.service": _access,
        "wardlight.archive.open_reads": _open_reads,
    },
}
PATCHES: Final = _PARTS[os.environ.get("WARDLIGHT_BENCH_WITHOUT", "audit")]


class _Patched(Loader):
    def __init__(self, loader: Loader, patch: Callable[[Any], None]) -> None:
        self._loader = loader
        self._patch = patch

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._patch(module)


class _Finder(MetaPathFinder):
    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in PATCHES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Patched(spec.loader, PATCHES[name])
        return spec


sys.meta_path.insert(0, _Finder())
