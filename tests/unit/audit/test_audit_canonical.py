"""Vectors of audit.md section 4, and the subset of RFC 8785."""

import hashlib
import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlight.audit.actions import LETTER, Action
from wardlight.audit.canonical import canonical
from wardlight.audit.references import References

ENTRIES = r"""
{"action":"audit:log:start","actor":{"id":"sealer","kind":"system"},"detail":{"vkey":"wardlight.example/audit/stmary/1+5e0a1198+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"},"id":"0198c0de-0000-7000-8000-000000000000","log":"wardlight.example/audit/stmary/1","node":"web-1","outcome":"success","recorded":"2026-11-24T08:00:00.000Z","salt":"OXO3IPXNqiuEjMJvOv1Xyw","source":"platform","v":1}
{"action":"identity:session:login","actor":{"id":"u-7f3a","kind":"person","role":"clinician"},"detail":{"factor":"passkey"},"id":"0198c0de-0000-7000-8000-000000000001","log":"wardlight.example/audit/stmary/1","network":{"address":"192.0.2.17"},"node":"web-1","outcome":"success","recorded":"2026-11-24T08:00:01.250Z","request":"4bf92f3577b34da6a3ce929d0e0e4736","salt":"MmG0qPvlS0fAEJscxxqctQ","source":"platform","v":1}
{"action":"dicomweb:study:read","actor":{"id":"u-7f3a","kind":"person","role":"clinician"},"agreement":{"id":"agr-12","version":3},"basis":"gdpr:6.1.c+9.2.h","behalf":{"id":"acme_ai_prod","kind":"application"},"classes":["image:pseudonymised"],"grant":"gr-881","id":"0198c0de-0000-7000-8000-000000000002","log":"wardlight.example/audit/stmary/1","network":{"address":"192.0.2.17"},"node":"web-1","object":{"kind":"study","ref":"s1.m3yFZR_RhIVA69nuhWTP9w"},"outcome":"success","phase":"authorised","purpose":"TREAT","recorded":"2026-11-24T08:00:02.500Z","request":"00f067aa0ba902b7a3ce929d0e0e4736","salt":"w6aoUw27R4-3CmyoxyY6lA","source":"platform","subjects":[{"patient":"p1.RAhcAkm4Im2hUgQwW0-XcA","study":"s1.m3yFZR_RhIVA69nuhWTP9w"}],"v":1}
{"action":"dicomweb:study:read","actor":{"id":"u-7f3a","kind":"person","role":"clinician"},"behalf":{"id":"acme_ai_prod","kind":"application"},"counts":{"bytes":262144000,"frames":500,"instances":500,"requests":500},"grant":"gr-881","id":"0198c0de-0000-7000-8000-000000000003","log":"wardlight.example/audit/stmary/1","network":{"address":"192.0.2.17"},"node":"web-1","object":{"kind":"study","ref":"s1.m3yFZR_RhIVA69nuhWTP9w"},"of":"0198c0de-0000-7000-8000-000000000002","outcome":"success","phase":"finished","purpose":"TREAT","recorded":"2026-11-24T08:03:02.500Z","salt":"3zMnocy5hmnT9rn2ATWzxw","source":"platform","subjects":[{"patient":"p1.RAhcAkm4Im2hUgQwW0-XcA","study":"s1.m3yFZR_RhIVA69nuhWTP9w"}],"v":1}
{"action":"receiver:route:change","actor":{"id":"u-11c0","kind":"person","role":"administrator"},"change":[{"after":"médium","before":"high","path":"level"}],"id":"0198c0de-0000-7000-8000-000000000004","log":"wardlight.example/audit/stmary/1","network":{"address":"2001:db8::5"},"node":"web-1","object":{"id":"rt-3","kind":"route","version":2},"outcome":"success","recorded":"2026-11-24T08:05:00.000Z","salt":"-U8K1FAjs9UaS-Pwk9HkoQ","source":"platform","v":1}
""".strip().split("\n")
LEAVES = [
    "ICyLqEdzi/MVMXjZ/gVmdSqzDR519pue8Pf8WSEvZMI=",
    "KRvrB+U2BaQrYhpWoXJPqFSIogcxhn56p/le/HJ4xBE=",
    "vuKrn6f1Lr0Us/bQORtFhlGIFCO7AmoUqunJiQDZrh4=",
    "pozZJ7j07crp7tN2/XsiUTqupRgA1SHV/bl2Y2/DDqE=",
    "YR/S3kOgLIbd3t1HqOHHaMaiGXfho/kcmoYRIaphLy0=",
]


@pytest.mark.parametrize("index", range(5))
def test_vectors_keep_their_bytes_and_leaf_hash(index):
    content = canonical(json.loads(ENTRIES[index]))
    assert content == ENTRIES[index].encode()
    assert b64encode(hashlib.sha256(b"\x00" + content).digest()).decode() == LEAVES[index]


def test_reference_vectors():
    references = References(bytes(range(0x40, 0x60)), 1)
    assert references.patient("PAT-0042") == "p1.RAhcAkm4Im2hUgQwW0-XcA"
    assert references.patient(" PAT-0042 ") == "p1.RAhcAkm4Im2hUgQwW0-XcA"
    assert references.study("1.2.826.0.1.3680043.8.498.1") == "s1.m3yFZR_RhIVA69nuhWTP9w"
    assert references.patient("  ") == ""
    assert references.patient("PAT-0042", "HOSPITAL") != references.patient("PAT-0042")


@pytest.mark.parametrize(
    "value",
    [None, 1.5, 2**53, -(2**53), "a\x00", "line\n", "\ud800", "e\u0301", b"bytes", ("tuple",), "x" * 17_000],
)
def test_what_leaves_the_subset_is_refused(value):
    with pytest.raises(ValueError):
        canonical({"member": value})


@pytest.mark.parametrize("name", ["Upper", "with-dash", "", "ü", 1])
def test_member_names_are_restricted(name):
    with pytest.raises(ValueError):
        canonical({name: "x"})


@given(
    st.recursive(
        st.booleans()
        | st.integers(-(2**53) + 1, 2**53 - 1)
        | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.from_regex(r"[a-z0-9_]{1,8}", fullmatch=True), inner, max_size=3)
        ),
        max_leaves=10,
    )
)
def test_canonical_form_is_a_fixed_point(value):
    content = canonical({"value": value})
    assert canonical(json.loads(content)) == content


def test_every_action_has_a_letter():
    assert set(LETTER) == set(Action)
