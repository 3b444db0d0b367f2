"""Where the receiver keeps its things, and where it uploads to."""

from __future__ import annotations

from pathlib import Path

from wardlight.receiver.connection import Address
from wardlight.receiver.secrets import SPOOL_KEYS
from wardlight.receiver.spool import Spool, SpoolKeys
from wardlight.settings import Settings, http_address


def database_path(chosen: Settings) -> Path:
    """The receiver's own database."""
    return chosen.receiver_dir / "receiver.db"


def vault_path(chosen: Settings) -> Path:
    """The vault: what leads from pseudonyms back to patients."""
    return chosen.receiver_dir / "vault.db"


def spool_dir(chosen: Settings) -> Path:
    """Folder of the encrypted spool."""
    return chosen.receiver_dir / "spool"


def open_spool(chosen: Settings) -> Spool:
    """The spool, for reading or writing."""
    return Spool(spool_dir(chosen), SpoolKeys(chosen.receiver_secrets / SPOOL_KEYS))


def platform_address(chosen: Settings) -> Address:
    """Where to upload to: as the settings say, else the platform on this machine."""
    if chosen.receiver.platform_url:
        return Address(chosen.receiver.platform_url, chosen.receiver.platform_ca)
    public = http_address(chosen.public_url) if chosen.public_url else None
    name = (public.hostname or "") if public is not None else ""
    return Address(
        f"{_scheme(chosen)}://{_host(chosen)}:{chosen.web.port}", chosen.receiver.platform_ca, name
    )


def _scheme(chosen: Settings) -> str:
    return "https" if chosen.web.tls_certificate else "http"


def _host(chosen: Settings) -> str:
    host = chosen.web.host
    if host in ("0.0.0.0", "::"):  # noqa: S104 - every address: loopback is one of them
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
