"""The few pages that the OpenID provider shows itself: consent, sign-out, and why something cannot go on.

Plain forms without script. Every value stands in the text escaped; what may be loaded is named by its digest.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from typing import Final

from wardlight.dicomweb.call import Answer
from wardlight.identity.oidc_request import IMAGES, OFFLINE, OPENID, PROFILE

HTML: Final = "text/html; charset=utf-8"

_STYLE: Final = """
:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}
body{max-width:32rem;margin:10vh auto;padding:0 1.25rem}
h1{font-size:1.375rem;line-height:1.3}
form{display:flex;gap:.75rem;margin-top:1.5rem}
button{font:inherit;padding:.5rem 1.25rem;border-radius:.375rem;border:1px solid currentColor;background:none;
color:inherit;cursor:pointer}
button.main{background:#0b5cad;border-color:#0b5cad;color:#fff}
button:focus-visible{outline:3px solid #f90;outline-offset:2px}
.small{font-size:.875rem;opacity:.8}
"""
_OPENER: Final = {"Cross-Origin-Opener-Policy": "same-origin"}
_DIGEST: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()

#: What each scope lets an application do, for people.
WORDS: Final[Mapping[str, str]] = {
    OPENID: "that you are somebody of your institution, under a name that only this application has for you",
    PROFILE: "your name, your login and your role",
    OFFLINE: "that you stay signed in to it for up to eight hours",
    IMAGES: "to see, for you, images that your institution has granted to it and that you may see yourself",
}
#: Purposes in words; a code that is not here is shown as it is.
PURPOSES: Final[Mapping[str, str]] = {
    "TREAT": "treatment",
    "ETREAT": "emergency treatment",
    "CAREMGT": "care management",
    "HRESCH": "research",
    "CLINTRCH": "clinical trial research",
    "HQUALIMP": "quality improvement",
    "HOPERAT": "the institution's operations",
    "PUBHLTH": "public health",
    "TRAIN": "training",
}
#: Why something cannot go on, for people.
REASONS: Final[Mapping[str, str]] = {
    "unknown-application": "The application that sent you here is not known, or not active.",
    "redirect-address": "The application that sent you here is registered with another address.",
    "bad-request": "The request that sent you here is not understood.",
    "own-page": "This request did not come from a page of ours.",
    "federation": "Your institution's sign-in did not work out.",
    "return-address": "The application asked to send you to an address that it is not registered with.",
}


def page(title: str, body: str, status: int = 200, *, form_to: Iterable[str] = ()) -> Answer:
    """A page. body: HTML in which every value is escaped. form_to: origins that answers to its forms redirect to."""
    targets = ["'self'", *form_to]
    policy = (
        f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {' '.join(targets)}"
    )
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    # With no referrer at all, browsers would not tell of which origin a form is.
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "same-origin", **_OPENER}
    return Answer(text.encode(), HTML, status, headers)


def trouble(reason: str, status: int = 400) -> Answer:
    """Why the browser is not sent on."""
    words = REASONS.get(reason, REASONS["bad-request"])
    return page(
        "This cannot go on", f'<p>{escape(words)}</p><p class="small">Code: {escape(reason)}</p>', status
    )


def consent(
    *,
    application: str,
    vendor: str,
    institution: str,
    person: str,
    scopes: Iterable[str],
    purpose: str,
    action: str,
    hidden: Mapping[str, str],
    origin: str,
) -> Answer:
    """Whether the person lets the application know who they are. origin: where the answer goes."""
    asked = frozenset(scopes)
    items = "".join(f"<li>{escape(words)}</li>" for scope, words in WORDS.items() if scope in asked)
    use = (
        f"<p>It says that it needs the images for {escape(PURPOSES.get(purpose, purpose))}.</p>"
        if IMAGES in asked
        else ""
    )
    body = (
        f"<p>You are signed in as <strong>{escape(person)}</strong> of <strong>{escape(institution)}</strong>.</p>"
        f"<p><strong>{escape(application)}</strong> by {escape(vendor)} would learn, or be allowed:</p>"
        f"<ul>{items}</ul>{use}"
        '<p class="small">This is remembered. You can withdraw it at any time; the application is then signed out '
        "at once.</p>"
        f"{_form(action, hidden, (('allow', 'Allow', True), ('deny', 'Do not allow', False)))}"
    )
    return page(f"Sign in to {application}?", body, form_to=(origin,))


def sign_out(*, action: str, hidden: Mapping[str, str], origin: str) -> Answer:
    """Whether the person wants to sign out; origin: where the answer may go, "" for nowhere."""
    body = (
        "<p>You will be signed out here, and of the applications that you signed in to from here.</p>"
        f"{_form(action, hidden, (('allow', 'Sign out', True),))}"
    )
    return page("Sign out?", body, form_to=(origin,) if origin else ())


def leaving(institution: str, url: str) -> Answer:
    """On to another site. No redirect: after a form, browsers hold that to the form's policy."""
    there = escape(url)
    body = (
        f'<meta http-equiv="refresh" content="0;url={there}">'
        f'<p>You go on to the sign-in of {escape(institution)}. <a href="{there}">Go on</a></p>'
    )
    return page("One moment", body)


def signed_out() -> Answer:
    """There is nowhere to go on to."""
    return page("You are signed out", "<p>You can close this window.</p>")


def _form(action: str, hidden: Mapping[str, str], choices: Iterable[tuple[str, str, bool]]) -> str:
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    buttons = "".join(
        f'<button{" class=main" if main else ""} name="choice" value="{escape(value)}">{escape(words)}</button>'
        for value, words, main in choices
    )
    return f'<form method="post" action="{escape(action)}">{fields}{buttons}</form>'
