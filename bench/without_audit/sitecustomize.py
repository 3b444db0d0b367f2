"""On the path of a server's interpreters, this takes the audit trail out of it: what audit costs is the difference.

For the benchmark alone: the product has no way to run without its trail. Events and references are still made; nothing
is written, sealed, signed or shipped.
"""

from __future__ import annotations

import importlib.machinery
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


PATCHES: Final[dict[str, Callable[[Any], None]]] = {
    "wardlight.audit.recorder": _recorder,
    "wardlight.audit.sessions": _sessions,
    "wardlight.audit.sealer": _sealer,
    "wardlight.receiver.statements": _statements,
}


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
