"""A whole platform in memory-backed folders, for tests that are not about the disk."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

#: The embedded database with local files, and PostgreSQL with S3.
STORES = ("embedded", "postgresql-s3")
#: Which of them `a_platform` is built on; `conftest.py` sets it.
chosen = STORES[0]


@contextmanager
def a_platform(**settings):
    """Yields a `bootstrap.Platform`; its folder goes away afterwards."""
    from wardlight import bootstrap  # Here, as every test session loads this module.
    from wardlight.settings import Settings

    with store_settings(chosen) as stores:
        memory = Path("/dev/shm")
        folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
        platform = bootstrap.platform(
            Settings(data_dir=folder / "data", demo=True, completion_quiet_s=0, **stores, **settings)
        )
        try:
            yield platform
        finally:
            platform.close()
            shutil.rmtree(folder)


@contextmanager
def store_settings(which):
    """Settings that name one of `STORES`, empty and made for this use."""
    if which == STORES[0]:
        yield {}
        return
    import postgres
    import s3
    from wardlight.settings import S3Settings

    database = postgres.shared().migrated()
    credentials = s3.shared().folder / "credentials"
    yield {
        "database_url": database.serving,
        "database_connections": 4,
        "objects_url": f"s3://{s3.shared().shared_bucket()}/{database.name}",
        "s3": S3Settings(endpoint=s3.shared().endpoint, region=s3.REGION, credentials_file=credentials),
    }
    postgres.shared().drop(database)
