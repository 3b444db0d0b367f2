"""The page to sign in with: a form that needs no script; its script adds passkeys and the following of links."""

from __future__ import annotations

from html import escape
from importlib import resources
from typing import Final
from urllib.parse import parse_qs, urlsplit

from wardlight.api.browser import session_cookie
from wardlight.api.call import OpenRequest
from wardlight.api.oidc import AGAIN, RETURN, form_targets
from wardlight.api.sign_in import by_password, own_cookie
from wardlight.dicomweb.call import Answer
from wardlight.errors import WardlightError
from wardlight.identity.sessions import LIMITED, csrf_token

_SELF: Final = "/signin"
_HTML: Final = "text/html; charset=utf-8"
_FORM: Final = "application/x-www-form-urlencoded"
_TYPES: Final = {
    "signin.css": "text/css; charset=utf-8",
    "signin.js": "text/javascript; charset=utf-8",
    "inter.woff2": "font/woff2",
}
_POLICY: Final = "Content-Security-Policy"
# Stricter than the portal's: nothing but our own style and script, and nothing posted elsewhere.
_HEADERS: Final = {
    _POLICY: (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # With none at all browsers would not tell us of which origin the form is.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_REFUSED: Final = "That did not work. Check name, password and code, and try again."
_WAIT: Final = "Too many attempts. Try again in {seconds} seconds, or sign in with a passkey."
_WHICH: Final = "This name and password are known to more than one institution. Name yours."


def show(request: OpenRequest) -> Answer:
    """GET /signin?return=/…: the form; who is signed in goes on at once."""
    target = _target(request.query.get(RETURN, ""))
    principal = request.principal
    if principal is not None and principal.scopes and target and AGAIN not in request.query:
        return _go_on(target)
    limited = csrf_token(own_cookie(request)) if principal is not None and not principal.scopes else ""
    return _page(request, target, limited=limited)


def submit(request: OpenRequest) -> Answer:
    """POST /signin: signs in and goes on, or shows the form again and why."""
    fields = _fields(request)
    target = _target(fields.get(RETURN, ""))
    login = fields.get("login", "")
    try:
        opened = by_password(
            request, login, fields.get("password", ""), fields.get("code", ""), fields.get("institution", "")
        )
    except WardlightError as error:
        if error.code == "forbidden":
            raise
        return _again(request, error, target, login)
    # Who has no second factor comes back to the page, and is shown how to add one.
    target = _SELF if opened.method == LIMITED else target or _SELF
    return _go_on(target, {"Set-Cookie": session_cookie(opened.cookie, request.secure)})


def static(request: OpenRequest) -> Answer:
    """GET /signin/{file}."""
    name = request.path["file"]
    if name not in _TYPES:
        raise WardlightError("not-found")
    return Answer(resources.files("wardlight.web").joinpath("static", name).read_bytes(), _TYPES[name])


def _again(request: OpenRequest, error: WardlightError, target: str, login: str) -> Answer:
    headers = dict(error.headers)
    message = _REFUSED
    if error.code == "rate-limited":
        message = _WAIT.format(seconds=headers.get("Retry-After", "some"))
    elif error.reason == "institution":
        message = _WHICH
    elif error.code not in ("sign-in-failed", "conflict"):
        raise error
    return _page(request, target, message, login, status=error.kind.http, headers=headers)


def _fields(request: OpenRequest) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise WardlightError("unsupported-media-type", f"the body must be {_FORM}")
    try:
        found = parse_qs(request.body.decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise WardlightError("bad-request", "the body is not a form") from None
    return {name: values[0] for name, values in found.items()}


def _target(given: str) -> str:
    """An address of this site to go on to, or nothing: what a browser could take for another site's is dropped."""
    plain = given.isascii() and given.isprintable() and "\\" not in given
    if not plain or not given.startswith("/") or given.startswith("//") or len(given) > 4096:
        return ""
    parts = urlsplit(given)
    return "" if parts.scheme or parts.netloc else given


def _go_on(target: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(b"", _HTML, 303, {"Location": target, **_HEADERS, **(headers or {})})


def _page(
    request: OpenRequest,
    target: str,
    message: str = "",
    login: str = "",
    *,
    limited: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Answer:
    """limited: what requests of a session must bring that has to add a second factor first."""
    body = _TEMPLATE.format(
        message=f'<p role="alert">{escape(message)}</p>' if message else "",
        login=escape(login[:200]),
        target=escape(target),
        institution=_INSTITUTION if message == _WHICH else "",
        limited=escape(limited),
    )
    shown = {**_HEADERS, **(headers or {})}
    if targets := form_targets(request, target):
        shown[_POLICY] = shown[_POLICY].replace(
            "form-action 'self'", f"form-action 'self' {' '.join(targets)}"
        )
    return Answer(body.encode("utf-8", "replace"), _HTML, status, shown)


_INSTITUTION: Final = """
<label>Institution <input name="institution" autocomplete="organization" required maxlength="40"></label>"""

_TEMPLATE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · Wardlight</title>
<link rel="stylesheet" href="/signin/signin.css">
<script src="/signin/signin.js" defer></script>
</head>
<body>
<aside>
<p class="brand"><svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round"
 aria-hidden="true"><path d="M12 3l8 3v6c0 4.6-3.3 7.7-8 9-4.7-1.3-8-4.4-8-9V6z"/><circle cx="12" cy="11.5" r="2.6"
 fill="#ffc860" stroke="none"/></svg>Wardlight</p>
<div>
<p class="promise">See what is held, <em>who can see it</em>, why, and until when. End it with one click.</p>
</div>
<ul class="facts">
<li><b>Protected before it leaves</b>in your own network</li>
<li><b>A key for every study</b>destroyed when you delete</li>
<li><b>A trail you can check</b>in your own browser</li>
</ul>
</aside>
<main data-limited="{limited}">
<h1>Sign in</h1>
{message}
<button type="button" id="passkey" class="main" hidden>Sign in with a passkey</button>
<form id="signin" method="post" action="/signin">
<p class="or">with password and one-time code</p>
<input type="hidden" name="return" value="{target}">
<label>Name <input name="login" value="{login}" autocomplete="username" required maxlength="200"></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<label>Code <input name="code" autocomplete="one-time-code" maxlength="40"></label>{institution}
<button class="main">Sign in</button>
<p class="hint">The six digits of your authenticator, or a recovery code.</p>
</form>
<form id="institution" method="get" action="/federation">
<details>
<summary>Sign in with my hospital</summary>
<input type="hidden" name="return" value="{target}">
<label>Your institution's short name <input name="institution" autocomplete="organization" required
 maxlength="40"></label>
<button>Go on to my hospital</button>
</details>
</form>
<form id="link" hidden>
<p>Choose a password of at least 12 characters.</p>
<label>New password <input name="new" type="password" autocomplete="new-password" minlength="12" required></label>
<button>Go on</button>
</form>
<form id="add" hidden>
<p>Sign-in needs a second factor. Add a passkey, or type this secret into an authenticator and confirm its code.</p>
<p><code id="secret"></code></p>
<label>Code <input name="code" autocomplete="one-time-code" required maxlength="10"></label>
<button>Confirm the code</button>
<button type="button" id="add-passkey" hidden>Add a passkey instead</button>
</form>
<p id="told" role="status"></p>
</main>
</body>
</html>
"""
