"""Quarantine in a real browser, and what hostile files, names and archives can do to it and to the page of uploads."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pydicom
import pydicom.data
import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword

import browser
import live
from archive_kit import dataset, part10
from portal_kit import DESKTOP, TABLET, Portal, accessible

pytestmark = [pytest.mark.system, pytest.mark.long]

#: Does something that shows, wherever it is taken for markup or script; the mark tells where it came from.
CANARY = '"><img src=x onerror="window.hit=1"><script>window.hit=1</script>{{7*7}}'
SHORT = '"><b id=hit>'
#: Texts of the standard in which such a value can stand (PS3.5 6.2), with how long it may be.
TEXTS = {"LO": 64, "LT": 10_240, "PN": 64, "SH": 16, "ST": 1024, "UC": 10_240, "UT": 10_240}
FILES = 10_000


@pytest.fixture(scope="module")
def portal(tmp_path_factory):
    with (
        live.installation(tmp_path_factory.mktemp("portal"), samples=False) as wardlight,
        browser.chromium() as chromium,
    ):
        yield Portal(wardlight, chromium)


def choose(page, what, button="Choose files"):
    with page.expect_file_chooser() as chooser:
        page.click(f"text={button}")
    chooser.value.set_files(what)
    page.wait_for_selector(".tot .btn.pri:not([disabled])", timeout=120_000)


def send(page):
    page.click(".tot .btn.pri")
    page.wait_for_selector("text=Upload finished", timeout=300_000)


def document(number):
    """What cannot be cleaned."""
    study = f"1.2.826.0.1.58.{number}"
    ds = dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", Modality="DOC", StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1", SOPInstanceUID=f"{study}.1.1", EncapsulatedDocument=b"%PDF-1.4 Quill ",
        MIMETypeOfEncapsulatedDocument="application/pdf", StudyDescription="A letter",
    )  # fmt: skip
    return part10(ds)


def hostile(number):
    """An image with the canary in every element of text that the standard has, and that a data set can hold."""
    study = f"1.2.826.0.1.59.{number}"
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": f"{study}.1", "SOPInstanceUID": f"{study}.1.1"}
    ds = dataset(**uids)
    ds.SpecificCharacterSet = "ISO_IR 192"
    for tag, entry in pydicom.datadict.DicomDictionary.items():
        vr, multiplicity, _name, retired, keyword = entry
        if vr not in TEXTS or retired or not keyword or tag >> 16 < 8 or multiplicity == "0":
            continue
        room = TEXTS[vr]
        setattr(ds, keyword, CANARY if len(CANARY) <= room else SHORT[:room])
    assert dictionary_VR(tag_for_keyword("PatientName")) == "PN" and len(ds) > 500
    return part10(ds)


def untouched(page):
    assert page.evaluate("() => window.hit === undefined && document.getElementById('hit') === null")


def test_what_is_held_is_shown_decided_and_gone(portal, tmp_path):
    (tmp_path / "letter.dcm").write_bytes(document(1))
    with portal.person("clinician", path="/upload") as page:
        choose(page, [str(tmp_path / "letter.dcm")])
        send(page)
        assert "Held back" in page.locator(".rc").inner_text()
    for scheme, size in (("light", DESKTOP), ("dark", TABLET)):
        with portal.context(scheme, size) as context:
            page = context.new_page()
            portal.sign_in(page, "administrator", "/quarantine")
            page.wait_for_selector(".qu tbody tr.sel")
            assert "Document" in page.locator(".qu tbody tr").first.inner_text()
            assert "A document that could not be cleaned" in page.locator(".qu .det").inner_text()
            # Nobody can answer for what was not verified.
            assert page.locator("text=False alarm…").count() == 0
            accessible(page)
            if scheme == "light":
                page.click("text=Protect again")
                page.wait_for_selector(".qu .det >> text=Last tried", timeout=60_000)
    with portal.context() as context:
        page = context.new_page()
        portal.sign_in(page, "privacy-officer", "/quarantine")
        page.wait_for_selector("text=not the images")
        page.click("text=Discard…")
        accessible(page)
        page.click("button:text-is('Discard')")
        page.wait_for_selector("text=Nothing is held back", timeout=60_000)
        accessible(page)
    with portal.context() as context:
        page = context.new_page()
        portal.sign_in(page, "researcher", "/studies")
        assert page.locator("nav >> text=Quarantine").count() == 0
        page.goto(f"{portal.url}/quarantine")
        page.wait_for_selector("text=You may not see this")


def test_no_text_of_a_file_and_no_name_of_one_is_taken_for_markup(portal, tmp_path):
    folder = tmp_path / "disc"
    folder.mkdir()
    names = (
        "<img src=x onerror=window.hit=1>.dcm",
        '"><script>window.hit=1<',
        "{{7*7}}.dcm",
        "\u202egnp.dcm",
    )
    for number, name in enumerate(names):
        (folder / name).write_bytes(hostile(number))
    (folder / "<svg onload=window.hit=1>.txt").write_text(CANARY * 20)
    (folder / "'><b id=hit>.dcm").write_bytes(document(2))
    for level in ("High", "Identified"):
        with portal.person(path="/upload") as page:
            choose(page, str(folder), "Choose a folder")
            page.click(f"[role=radio]:has-text('{level}')")
            untouched(page)
            send(page)
            for fold in page.locator("tr.g .fold").all():
                fold.click()
            page.wait_for_timeout(300)
            untouched(page)
            # Its name is shown as the letters that it has.
            assert "onload=window.hit" in page.locator(".rc").inner_text()
    live.wait_until(lambda: portal.wardlight.count() >= len(names), 90, "the studies in the archive")
    with portal.person(path="/studies") as page:
        page.wait_for_selector("tbody tr a, tbody tr[role], tbody tr")
        page.wait_for_timeout(500)
        untouched(page)
        assert SHORT in page.locator("main").inner_text()
        for address in [f"/studies/1.2.826.0.1.59.{number}" for number in range(2)]:
            page.goto(f"{portal.url}{address}")
            page.wait_for_selector("main#content, main")
            page.wait_for_timeout(1500)
            untouched(page)
    with portal.context() as context:
        page = context.new_page()
        portal.sign_in(page, "administrator", "/quarantine")
        page.wait_for_selector(".qu tbody tr")
        untouched(page)


def lying(name, packed, size):
    """A zip of one entry whose directory says that it grows to `size`."""
    head = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 0, 0, len(packed), size, len(name), 0)
    local = head + name + packed
    entry = struct.pack(
        "<IHHHHHHIIIHHHHHII",
        0x02014B50,
        20,
        20,
        0,
        8,
        0,
        0,
        0,
        len(packed),
        size,
        len(name),
        0,
        0,
        0,
        0,
        0,
        0,
    )
    directory = entry + name
    return local + directory + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(directory), len(local), 0)


def test_archives_that_would_burst_lie_or_climb_out(portal, tmp_path):
    made = {}
    deflated = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = deflated.compress(bytes(32 << 20)) + deflated.flush()
    made["honest-bomb.zip"] = lying(b"a.dcm", zeros, 32 << 20)
    # It says that it is small: what comes beyond that is not taken.
    made["lying-bomb.zip"] = lying(b"a.dcm", zeros, 4096)
    made["beyond.zip"] = lying(b"a.dcm", b"", 1 << 31)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.dcm", bytes(8 << 20))
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
    made["nested.zip"] = nested.getvalue()
    climbing = io.BytesIO()
    with zipfile.ZipFile(climbing, "w") as archive:
        for place in (
            "../../../etc/passwd",
            "/etc/shadow",
            "C:\\windows\\x.dcm",
            "..\\..\\y.dcm",
            "a/" * 60 + "z.dcm",
        ):
            archive.writestr(zipfile.ZipInfo(place), part10(dataset(
                StudyInstanceUID="1.2.826.0.1.60.1", SeriesInstanceUID="1.2.826.0.1.60.1.1",
                SOPInstanceUID=f"1.2.826.0.1.60.1.1.{len(place)}",
            )))  # fmt: skip
    made["climbing.zip"] = climbing.getvalue()
    made["cut.zip"] = nested.getvalue()[:-10]
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    there = files_of(portal)
    with portal.person(path="/upload") as page:
        asked = []
        page.on(
            "request", lambda one: asked.append((one.method, one.url, one.headers.get("upload-metadata", "")))
        )
        choose(page, [str(tmp_path / name) for name in made])
        said = page.locator(".rc").inner_text()
        assert "grow more than a hundredfold" in said and "cut.zip" in said
        shown = page.locator("main").inner_text()
        assert "etc" not in shown and ".." not in shown.replace("…", "")
        send(page)
        # What is sent names nothing: neither a path nor a file.
        assert all("passwd" not in url and "%2e" not in url.lower() for _, url, _ in asked)
    assert files_of(portal) == there


def files_of(portal):
    """Whatever on the platform's disk is called as something in these archives."""
    return {file for name in ("*passwd*", "*shadow*", "*.dcm") for file in portal.wardlight.data.rglob(name)}


def test_ten_thousand_files_and_the_page_goes_on(portal, tmp_path):
    """Read, sent, cut off and reloaded in the middle: the page answers, and each file has its result once."""
    folder = tmp_path / "many"
    _many(folder)
    with portal.context() as context:
        page = context.new_page()
        page.add_init_script(_STALLS)
        portal.sign_in(page, "administrator", "/upload")
        page.evaluate("() => { window.stalls.length = 0; }")
        with page.expect_file_chooser() as chooser:
            page.click("text=Choose a folder")
        chooser.value.set_files(str(folder))
        page.wait_for_selector(".tot .btn.pri:not([disabled])", timeout=300_000)
        assert page.locator(".tot .pct").inner_text().strip() == f"{FILES:,}"
        reading = page.evaluate("() => [...window.stalls]")
        sent, broken = [], {"after": 12}

        def network(route):
            if route.request.method == "PATCH":
                if len(sent) >= broken["after"]:
                    route.abort("connectionreset")
                    return
                sent.append(route.request.url)
            route.continue_()

        page.route("**/api/v1/uploads/**", network)
        page.click(".tot .btn.pri")
        page.wait_for_selector("text=No connection.", timeout=120_000)
        broken["after"] = 24
        live.wait_until(lambda: page.wait_for_timeout(100) or len(sent) >= 24, 120, "it went on by itself")
        page.reload()
        page.wait_for_selector("text=was interrupted")
        with page.expect_file_chooser() as chooser:
            page.click("text=Choose a folder")
        chooser.value.set_files(str(folder))
        page.wait_for_selector(".tot .btn.pri:not([disabled])", timeout=300_000)
        broken["after"] = 1 << 30
        page.evaluate("() => { window.stalls.length = 0; }")
        page.click(".tot .btn.pri")
        page.locator("tr.g .fold").first.click()
        page.wait_for_selector("text=Upload finished", timeout=1_800_000)
        sending = page.evaluate("() => [...window.stalls]")
        counts = page.locator(".leg").inner_text()
        assert "0 refused" in counts and "0 held back" in counts
        for name, stalls in (("reading", reading), ("sending", sending)):
            print(
                f"\n{FILES} files, {name}: {len(stalls)} stalls over 50 ms, longest {max(stalls, default=0):.0f} ms"
            )
    live.wait_until(lambda: sum(_counts(portal)) == FILES, 300, "all of it in the archive")


#: Tasks of the main thread that kept it from answering (Long Tasks API: 50 ms and more), in milliseconds.
_STALLS = """
window.stalls = [];
new PerformanceObserver((list) => { for (const one of list.getEntries()) window.stalls.push(one.duration); })
  .observe({ type: "longtask", buffered: true });
"""


def _counts(portal):
    rows = portal.wardlight.search("/studies?includefield=00201208")
    return [row["00201208"]["Value"][0] for row in rows if row["00201208"]["Value"][0] >= 1000]


def _many(folder):
    """Ten studies of a thousand small slices."""
    template = part10(dataset(
        StudyInstanceUID="1.2.826.0.1.61.0", SeriesInstanceUID="1.2.826.0.1.61.0.1",
        SOPInstanceUID="1.2.826.0.1.61.0.1.0000", StudyDescription="Many 0", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
    ))  # fmt: skip
    for study in range(10):
        place = folder / f"study{study}"
        place.mkdir(parents=True)
        one = template.replace(b"1.2.826.0.1.61.0", b"1.2.826.0.1.61.%d" % study).replace(
            b"Many 0", b"Many %d" % study
        )
        for number in range(FILES // 10):
            (place / f"IM{number:04}").write_bytes(one.replace(b".1.0000", b".1.%04d" % (number + 1000)))
