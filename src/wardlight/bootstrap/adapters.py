"""Adapters as the settings want them: databases, object stores, what goes out, and processes that decode."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from wardlight.db.engine import Database, open_database
from wardlight.decoding.pool import DecoderPool
from wardlight.egress import Egress, Rules, parse_targets
from wardlight.objects.local import LocalObjectStore
from wardlight.objects.store import ObjectStore
from wardlight.settings import Settings

if TYPE_CHECKING:
    from wardlight.decoding.pixel_reader import TextReader


def egress(settings: Settings) -> Egress:
    """What sends requests to others, where the operator lets them go."""
    own = urlsplit(settings.base_url).hostname or ""
    return Egress(Rules(parse_targets(settings.outgoing_targets), own))


def index(settings: Settings) -> Database:
    """The index database that the settings name."""
    return open_database(
        settings.index_url,
        connections=settings.database_connections,
        timeout_s=settings.database_timeout_s,
    )


def object_store(settings: Settings) -> ObjectStore:
    """The object store that the settings name, which has answered."""
    if not settings.objects_url:
        return LocalObjectStore(settings.objects_dir)
    from wardlight.objects.s3 import S3ObjectStore, S3Place, parse_url  # obstore takes a while to load

    bucket, prefix = parse_url(settings.objects_url)
    s3 = settings.s3
    place = S3Place(
        bucket, prefix, s3.region, s3.endpoint, s3.credentials_file, s3.ca_file, s3.timeout_s, s3.retries
    )
    objects = S3ObjectStore(place, os.environ)
    objects.check()
    return objects


def decoder_pool(settings: Settings) -> DecoderPool:
    """The processes that decode images. Raises `settings-unsafe` where they cannot be confined and must be."""
    return DecoderPool(
        settings.decoders or min(4, os.cpu_count() or 1),
        allow_unsandboxed=settings.demo or settings.allow_unsandboxed_decoders,
    )


def text_reader(settings: Settings, institution: UUID) -> TextReader:
    """Looks for text in the pixels of an institution; its process starts with the first frame that needs it."""
    # Loads numpy, which the web process can do without.
    from wardlight.decoding.pixel_reader import TextReader

    unsandboxed = settings.demo or settings.allow_unsandboxed_decoders
    return TextReader(1, allow_unsandboxed=unsandboxed, institution=institution)
