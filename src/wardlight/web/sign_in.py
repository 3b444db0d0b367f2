"""Routes by which people sign in, and look after their own session and factors."""

from __future__ import annotations

from typing import Final

from wardlight.api import sign_in
from wardlight.audit.actions import Action
from wardlight.web import sign_in_page
from wardlight.web.about import JSON, About
from wardlight.web.routes import Open

ROOT: Final = "/api/v1/session"
PAGE: Final = "/signin"

_FORM: Final = "application/x-www-form-urlencoded"
_HTML: Final = "text/html"
_ORIGIN: Final = (
    "for those who are to be known; only pages of our own origin may send it, and guessing is slowed"
)
_SESSION: Final = "decides by itself: the holder of a session, about their own account only"
_STATIC: Final = "shows nothing of any institution"


def _about(name: str, summary: str, schema: str, takes: str = "", *errors: int) -> About:
    consumes = (JSON,) if takes else ()
    known = (401, 403, 404, *((415,) if takes else ()), *errors)
    return About(name, summary, (JSON,), consumes=consumes, errors=known, schema=schema, takes=takes)


SIGN_IN: Final = (
    Open(
        ROOT,
        sign_in.show,
        Action.IDENTITY_PERSON_READ,
        _SESSION,
        _about("Show Session", "Who is signed in, and what unsafe requests must bring as X-CSRF.", "Session"),
        method="GET",
    ),
    Open(
        ROOT,
        sign_in.sign_in,
        Action.IDENTITY_SESSION_LOGIN,
        _ORIGIN,
        _about(
            "Sign In",
            "Name, password and code together; the answer is the same whichever of them is wrong.",
            "Session",
            "SignIn",
            409,
            429,
        ),
        beside=(Action.IDENTITY_ACCOUNT_LOCK, Action.IDENTITY_SESSION_LOGOUT),
    ),
    Open(
        ROOT,
        sign_in.sign_out,
        Action.IDENTITY_SESSION_LOGOUT,
        _SESSION,
        _about("Sign Out", "The session ends at once.", "SignedOut"),
        method="DELETE",
    ),
    Open(
        f"{ROOT}/passkey-options",
        sign_in.passkey_options,
        Action.IDENTITY_SESSION_LOGIN,
        _ORIGIN,
        _about("Ask for Passkey", "Options for `navigator.credentials.get`.", "PasskeyOptions", "", 429),
    ),
    Open(
        f"{ROOT}/passkey",
        sign_in.passkey,
        Action.IDENTITY_SESSION_LOGIN,
        _ORIGIN,
        _about(
            "Sign In by Passkey", "What the browser answered to those options.", "Session", "Passkey", 429
        ),
        beside=(Action.IDENTITY_SESSION_LOGOUT,),
    ),
    Open(
        f"{ROOT}/link",
        sign_in.follow_link,
        Action.IDENTITY_PASSWORD_CHANGE,
        _ORIGIN,
        _about(
            "Follow Link",
            "A password for somebody who was invited, or let back in.",
            "SignedInOrNot",
            "LinkPassword",
            429,
        ),
        beside=(
            Action.IDENTITY_SESSION_LOGIN,
            Action.IDENTITY_SESSION_REVOKE,
            Action.IDENTITY_SESSION_LOGOUT,
        ),
    ),
    Open(
        f"{ROOT}/step-up-options",
        sign_in.step_up_options,
        Action.IDENTITY_SESSION_LOGIN,
        _SESSION,
        _about("Ask for Presence", "Options for `navigator.credentials.get`.", "PasskeyOptions", "", 429),
    ),
    Open(
        f"{ROOT}/step-up",
        sign_in.step_up,
        Action.IDENTITY_SESSION_LOGIN,
        _SESSION,
        _about("Prove Presence", "A code or a passkey; good for five minutes.", "Session", "StepUp", 429),
        beside=(Action.IDENTITY_ACCOUNT_LOCK,),
    ),
    Open(
        f"{ROOT}/password",
        sign_in.change_password,
        Action.IDENTITY_PASSWORD_CHANGE,
        _SESSION,
        _about("Change Password", "Of at least 12 characters; other sessions end.", "Done", "Passwords", 429),
        beside=(
            Action.IDENTITY_SESSION_LOGIN,
            Action.IDENTITY_SESSION_REVOKE,
            Action.IDENTITY_ACCOUNT_LOCK,
        ),
    ),
    Open(
        f"{ROOT}/all",
        sign_in.sessions,
        Action.IDENTITY_PERSON_READ,
        _SESSION,
        _about("List Sessions", "One's own.", "Sessions"),
        method="GET",
    ),
    Open(
        f"{ROOT}/all/{{session}}",
        sign_in.end_session,
        Action.IDENTITY_SESSION_REVOKE,
        _SESSION,
        _about("End Session", "One of one's own.", "Done"),
        method="DELETE",
    ),
    Open(
        f"{ROOT}/factors",
        sign_in.factors,
        Action.IDENTITY_PERSON_READ,
        _SESSION,
        _about("List Factors", "One's own authenticators and passkeys.", "Factors"),
        method="GET",
    ),
    Open(
        f"{ROOT}/factors/totp",
        sign_in.begin_totp,
        Action.IDENTITY_FACTOR_ADD,
        _SESSION,
        _about(
            "Begin Authenticator", "A secret, which a code is to confirm.", "TotpSecret", "FactorName", 409
        ),
    ),
    Open(
        f"{ROOT}/factors/totp/confirm",
        sign_in.confirm_totp,
        Action.IDENTITY_FACTOR_ADD,
        _SESSION,
        _about("Confirm Authenticator", "With a code of it.", "Session", "Code", 409),
    ),
    Open(
        f"{ROOT}/factors/passkey-options",
        sign_in.begin_passkey,
        Action.IDENTITY_FACTOR_ADD,
        _SESSION,
        _about("Begin Passkey", "Options for `navigator.credentials.create`.", "PasskeyOptions"),
    ),
    Open(
        f"{ROOT}/factors/passkey",
        sign_in.add_passkey,
        Action.IDENTITY_FACTOR_ADD,
        _SESSION,
        _about("Add Passkey", "What the browser answered to those options.", "Session", "NewPasskey", 409),
    ),
    Open(
        f"{ROOT}/factors/recovery-codes",
        sign_in.new_codes,
        Action.IDENTITY_FACTOR_ADD,
        _SESSION,
        _about("New Recovery Codes", "Those of before are good no more.", "RecoveryCodes", "", 409),
    ),
    Open(
        f"{ROOT}/factors/{{factor}}",
        sign_in.remove_factor,
        Action.IDENTITY_FACTOR_REMOVE,
        _SESSION,
        _about("Remove Factor", "One's own; the last one stays.", "Done", "", 409),
        method="DELETE",
    ),
    Open(
        PAGE,
        sign_in_page.show,
        Action.IDENTITY_SESSION_LOGIN,
        _STATIC,
        About("Sign-in Page", "For browsers.", (_HTML,), statuses=(200, 303)),
        method="GET",
    ),
    Open(
        PAGE,
        sign_in_page.submit,
        Action.IDENTITY_SESSION_LOGIN,
        _ORIGIN,
        About(
            "Sign In by Form",
            "What the page sends; goes on where the page was called from.",
            (_HTML,),
            consumes=(_FORM,),
            statuses=(200, 303),
            errors=(401, 403, 409, 415, 429),
        ),
        beside=(Action.IDENTITY_ACCOUNT_LOCK, Action.IDENTITY_SESSION_LOGOUT),
    ),
    Open(
        f"{PAGE}/{{file}}",
        sign_in_page.static,
        Action.IDENTITY_SESSION_LOGIN,
        _STATIC,
        About(
            "Sign-in File", "Style and script of the page.", ("text/css", "text/javascript"), errors=(404,)
        ),
        method="GET",
    ),
)
