"""The portal's pages and files: built from ui/ into the package, the same for everybody.

A page shows nothing by itself: its script asks the API, with the session's cookie. Files have their digest in their
name, so browsers keep them. They were compressed when they were built; nothing else is ever compressed on its way,
since what holds a secret beside a word of somebody else's would give it away by its length (BREACH).
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from wardlight.errors import WardlightError
from wardlight.web.about import About
from wardlight.web.routes import Public

#: First steps of the addresses of pages; the script knows what lies below.
PAGES: Final = (
    "studies",
    "upload",
    "quarantine",
    "developers",
    "applications",
    "agreements",
    "receivers",
    "people",
    "account",
    "trail",
    "data-map",
    "machine-data",
    "notifications",
)
_FILE: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.(js|css|woff2|svg|wasm)")
#: A weight of nothing: the coding is not to be used.
_REFUSED: Final = re.compile(r"q\s*=\s*0(?:\.0*)?")
_TYPES: Final = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "woff2": "font/woff2",
    "svg": "image/svg+xml",
    "wasm": "application/wasm",
}
# Only our own scripts run. Styles of components are set by script, so their attributes must be allowed; decoders of
# images are WebAssembly in workers. Nothing is asked of any other host.
_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; font-src 'self'; connect-src 'self'; worker-src 'self' blob:; media-src 'self' blob:; "
    "frame-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}
# Workers have the policy of their own file: they load and run decoders of images, which are WebAssembly.
_SCRIPT_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_KEPT: Final = "public, max-age=31536000, immutable"
#: What of a file lies beside it, as the name's ending and as HTTP calls it; the smallest first.
_CODINGS: Final = ((".br", "br"), (".gz", "gzip"))
_BUILT: Final = resources.files("wardlight.web") / "portal"

_SAME: Final = "is the same for everybody and shows nothing of any institution"
PAGE: Final = About("Portal page", "A page of the portal.", ("text/html",), errors=(503,))
FILE: Final = About("Portal file", "A file of the portal's pages.", tuple(_TYPES.values()), errors=(404,))


def page(_request: Request) -> Response:
    """Any page of the portal: its script does the rest. Raises `unavailable` where the portal was not built."""
    built = _BUILT / "index.html"
    if not built.is_file():
        raise WardlightError("unavailable", "the portal was not built: see docs/how-to/install.md")
    return Response(built.read_bytes(), media_type="text/html; charset=utf-8", headers=_PAGE_HEADERS)


def file(request: Request) -> Response:
    """GET /portal/assets/{file}: only names that a build gives, so no address leads elsewhere."""
    name = request.path_params["file"]
    match = _FILE.fullmatch(name)
    found = _BUILT / "assets" / name
    if match is None or not found.is_file():
        raise WardlightError("not-found")
    headers = {"Cache-Control": _KEPT, "Vary": "Accept-Encoding"}
    if match[1] == "js":
        headers["Content-Security-Policy"] = _SCRIPT_POLICY
    taken = _taken(request.headers.get("accept-encoding", ""))
    for ending, coding in _CODINGS:
        small = _BUILT / "assets" / f"{name}{ending}"
        if coding in taken and small.is_file():
            headers["Content-Encoding"] = coding
            found = small
            break
    return Response(found.read_bytes(), media_type=_TYPES[match[1]], headers=headers)


def _taken(accept: str) -> frozenset[str]:
    """The codings that the client takes (RFC 9110 section 12.5.3); `*` names none that we would choose for it."""
    taken = set()
    for one in accept.lower().split(","):
        coding, _, weight = one.partition(";")
        if not _REFUSED.fullmatch(weight.strip()):
            taken.add(coding.strip())
    return frozenset(taken)


ROUTES: Final = (
    Public("/", page, _SAME, PAGE),
    *(Public(f"/{step}", page, _SAME, PAGE) for step in PAGES),
    *(Public(f"/{step}/{{rest:path}}", page, _SAME, PAGE) for step in PAGES),
    Public("/portal/assets/{file}", file, _SAME, FILE),
)
