"""What of an installation is there, and all of it as child processes; loads nothing that takes time to load."""

from __future__ import annotations

from wardlight.errors import WardlightError
from wardlight.keys.process import harden
from wardlight.settings import Settings
from wardlight.supervisor import Gate, Supervisor, wardlight_command


def require_whole(settings: Settings, *, create: bool = True) -> None:
    """Refuse to open, or to make anew, an installation of which a part is missing: a disk may not be mounted.

    create: an installation that does not exist at all may be made. Raises `settings-unsafe`, `not-found`.
    """
    slots = [sorted(folder.glob("*.slot")) for folder in settings.keyslots]
    if not any(slots):
        if not create and not settings.keystore_path.exists():
            raise WardlightError(
                "not-found", "there is no installation here; give --config or --data, or set WARDLIGHT_CONFIG"
            )
        return
    missing = [
        name
        for name, path in (("root key", settings.root_path), ("keystore", settings.keystore_path))
        if not path.exists()
    ]
    if not settings.database_url and not settings.index_path.exists():
        missing.append("index database")
    missing += [
        f"keyslot folder {number}"
        for number, folder in enumerate(settings.keyslots, 1)
        if not folder.is_dir()
    ]
    if missing:
        raise WardlightError(
            "settings-unsafe",
            f"keyslots exist, but not: {', '.join(missing)}. Is a disk not mounted? Nothing was made anew; a new "
            "keyslot folder must be made by hand, then it is filled",
        )


def run_all(settings: Settings) -> None:
    """`wardlight serve`: web, worker and receiver as children, until SIGTERM or SIGINT."""
    require_whole(settings)
    harden()
    gate = Gate()
    supervisor = Supervisor(
        {name: wardlight_command(name) for name in ("web", "worker", "receiver")},
        settings.environment(),
        gate,
    )
    supervisor.handle_signals()
    supervisor.start()
    try:
        _make(settings)
    except BaseException:
        supervisor.end()
        raise
    gate.open()
    supervisor.watch()


def _make(settings: Settings) -> None:
    """Make once, while the children load, what they would race to make; a service that refuses us is told at once.

    What is there needs no such care: the children open it without, and change its schema.
    """
    embedded = not settings.database_url and not settings.objects_url
    if not embedded or not settings.keystore_path.exists() or not settings.index_path.exists():
        from wardlight import bootstrap

        bootstrap.platform(settings, migrate=True).close()
