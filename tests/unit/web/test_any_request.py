"""Whatever is asked, the answer is no 5xx and a failure is a problem of the catalogue."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from unit.web.fakes import make, part10
from wardlight.errors import CATALOGUE
from wardlight.web.app import DICOMWEB, create_app

CLIENT = TestClient(create_app(make().services), raise_server_exceptions=False)
CLIENT.post(
    "/dicom-web/studies",
    content=part10(),
    headers={"Authorization": "Bearer admin", "Content-Type": "application/dicom"},
)
WORDS = st.sampled_from(
    [
        "1.2.3",
        "1.2.3.4",
        "1.2.3.4.1",
        "1",
        "1,2",
        "..",
        "PatientID",
        "00100010",
        "=",
        "&",
        "*",
        "limit",
        "%",
        "\0",
    ]
) | st.text(max_size=12)
ACCEPT = st.lists(
    st.sampled_from(
        [
            "*/*",
            "multipart/related",
            '; type="application/dicom"',
            "; transfer-syntax=*",
            "application/dicom",
            "application/dicom+json",
            ";q=0.1",
            ",",
            '"',
        ]
    ),
    max_size=6,
).map("".join)


@given(
    st.sampled_from(DICOMWEB),
    st.lists(WORDS, min_size=4, max_size=4),
    st.lists(WORDS, max_size=6).map("".join),
    ACCEPT,
    st.sampled_from(
        ["application/dicom", 'multipart/related; type="application/dicom"; boundary=b', "text/plain", ""]
    ),
    st.binary(max_size=60),
)
@settings(max_examples=300, deadline=None)
def test_no_5xx(operation, words, query, accept, content_type, body) -> None:
    path = operation.path
    for name, word in zip(("study", "series", "instance", "frames"), words, strict=True):
        path = path.replace(f"{{{name}}}", quote(word, safe="") or "x")
    answer = CLIENT.request(
        operation.method,
        f"{path}?{quote(query, safe='=&*')}",
        headers={"Authorization": "Bearer admin", "Accept": accept, "Content-Type": content_type},
        content=body if operation.method == "POST" else None,
    )
    assert answer.status_code < 500
    if answer.status_code >= 400 and answer.headers["content-type"] == "application/problem+json":
        problem = json.loads(answer.content)
        assert problem["code"] in CATALOGUE
        assert CATALOGUE[problem["code"]].http == problem["status"] == answer.status_code
    elif answer.status_code >= 400:
        assert answer.status_code == 409
