"""Every real DICOM file that has its identifiers: stored, found, read back byte for byte, cut into its frames."""

import json
import warnings

import pytest
from pydicom.encaps import generate_frames

import real_files
from archive_kit import Kit, incoming
from platform_kit import a_platform
from wardlight.archive.fsck import Fsck
from wardlight.archive.model import Query
from wardlight.audit.actions import Action
from wardlight.bootstrap import WORKER
from wardlight.dicom.errors import DicomError
from wardlight.errors import WardlightError


def storable():
    """(path, bytes, description) of the first file of each SOP instance that a store request would take."""
    seen = set()
    for path in real_files.paths():
        data = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                item = incoming(data, 0)
            except (DicomError, AttributeError, ValueError, TypeError):
                continue
        uids = (item.study_uid, item.series_uid, item.sop_uid, item.sop_class)
        if data[128:132] == b"DICM" and all(uids) and item.sop_uid not in seen:
            seen.add(item.sop_uid)
            yield path, data, item


def frames_by_pydicom(path):
    ds = real_files.read(path)
    if not ds.file_meta.TransferSyntaxUID.is_encapsulated:
        return None
    return list(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1) or 1)))


def test_every_real_file():
    with a_platform() as platform:
        kit = Kit(platform, platform.settings.data_dir)
        files = list(storable())
        assert len(files) > 80
        for _, data, _ in files:
            assert kit.store(data) == ["stored"]
        while kit.archive.complete(WORKER):
            pass
        checked = 0
        for path, data, item in files:
            place = kit.archive.instances(kit.retrieve, item.study_uid, item.series_uid, item.sop_uid)[0]
            assert b"".join(kit.archive.read(kit.retrieve, place)) == data, path.name
            scope = kit.scope(Action.DICOMWEB_METADATA_READ)
            uids = (item.study_uid, item.series_uid, item.sop_uid)
            (row,) = json.loads(b"[%s]" % b"".join(kit.archive.metadata(scope, *uids, base_url="")))
            assert row["00080018"]["Value"] == [item.sop_uid]
            query = Query(study_uid=item.study_uid, series_uid=item.series_uid, include_all=True)
            found = kit.archive.search_instances(kit.query, query).rows
            assert item.sop_uid in {one["00080018"]["Value"][0] for one in found}
            if item.pixel and item.pixel.fragments:
                checked += frames_agree(kit, path, place)
        assert checked > 20
        checker = Fsck(platform.database, platform.keystore, platform.objects, platform.recorder)
        report = checker.check(deep=True)
        assert report.findings == [] and report.instances == len(files)


def frames_agree(kit, path, place):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = frames_by_pydicom(path)
        except Exception:
            return 0
    try:
        table = kit.archive.frames(kit.retrieve, place)
    except WardlightError as error:
        pytest.fail(f"{path.name}: {error.code}")
    ours = [
        b"".join(b"".join(kit.archive.read(kit.retrieve, place, *piece)) for piece in pieces)
        for pieces in table.frames
    ]
    assert ours == expected, path.name
    return 1
