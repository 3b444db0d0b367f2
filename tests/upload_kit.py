"""Uploads by the tus protocol as tests send them, and the work of the worker on them."""

from __future__ import annotations

import base64

from sqlalchemy import text

from archive_kit import part10
from share_kit import ct
from wardlight.bootstrap import WORKER
from wardlight.db.engine import EVERYWHERE

ROOT = "/api/v1/uploads"
VERSION = {"Tus-Resumable": "1.0.0"}
OFFSET = "application/offset+octet-stream"


def encoded(value):
    return base64.b64encode(value.encode()).decode()


def create(web, sizes, level="high", **headers):
    pairs = f"level {encoded(level)},sizes {encoded(','.join(map(str, sizes)))}"
    sent = {**VERSION, "Upload-Length": str(sum(sizes)), "Upload-Metadata": pairs, **headers}
    return web.client.post(ROOT, headers=sent)


def patch(web, place, offset, data, **headers):
    sent = {**VERSION, "Upload-Offset": str(offset), "Content-Type": OFFSET, **headers}
    return web.client.patch(place, content=data, headers=sent)


def sent(web, files, level="high"):
    """An upload of these files in three requests, protected; what became of each."""
    answer = create(web, [len(one) for one in files], level)
    assert answer.status_code == 201, answer.text
    place, whole = answer.headers["location"], b"".join(files)
    step = len(whole) // 3 + 1
    for start in range(0, len(whole), step):
        got = patch(web, place, start, whole[start : start + step])
        assert got.status_code == 204, got.text
        assert int(got.headers["upload-offset"]) == min(start + step, len(whole))
    work(web, place)
    shown = web.client.get(place).json()
    assert shown["finished"]
    return [one["result"] + (f":{one['reason']}" if one["reason"] else "") for one in shown["results"]]


def change(web, statement):
    with web.kit.platform.database.begin(EVERYWHERE) as tx:
        tx.execute(text(statement))


def unlease(web):
    change(web, "UPDATE archive_upload SET lease_ms = 0")


def work(web, place):
    for _ in range(50):
        web.kit.platform.upload_work.work(WORKER)
        if web.client.get(place).json()["finished"]:
            return
        unlease(web)
    raise AssertionError("it is never finished")


def objects(web):
    return {id_ for id_, _ in web.kit.platform.objects.list()}


def incoming(web):
    return list((web.kit.platform.settings.objects_dir / "incoming").iterdir())


def image(number, **values):
    study = f"1.2.826.0.1.55.{number}"
    return part10(
        ct(StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1", SOPInstanceUID=f"{study}.1.1", **values)
    )
