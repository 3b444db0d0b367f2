"""How the receiver becomes known to a platform: its code, a key that it makes, and digits for two people to compare."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from joserfc import jws
from joserfc.jwk import ECKey

from wardlight import __version__
from wardlight.errors import CATALOGUE, WardlightError
from wardlight.identity.enrolments import ALGORITHM, REQUEST_TYPE, Code, answer_of
from wardlight.receiver import credential
from wardlight.receiver.connection import Address

PATH: Final = "/api/v1/enrolments"
_TIMEOUT_S: Final = 30.0
_ANSWER_BYTES: Final = 64 << 10

#: Brings a signed request to the platform, and returns its signed answer.
Bring = Callable[[str], str]


def enrol(text: str, bring: Bring, directory: Path) -> dict[str, Any]:
    """Use a code; the new key is in the place of the one before when this returns what the platform said.

    That has `digits`, `receiver`, `name` and `institution`. Raises `bad-request`, `enrolment-refused`, and what `bring`
    raises; the key before stays then.
    """
    code = Code.parse(text)
    key = ECKey.generate_key("P-256")
    header = {"alg": ALGORITHM, "typ": REQUEST_TYPE, "jwk": key.as_dict(private=False)}
    claims = {"code": code.text, "iat": int(time.time())}
    answered = answer_of(bring(jws.serialize_compact(header, json.dumps(claims), key)), code, key)
    credential.save(directory, str(answered["receiver"]), str(answered["iss"]), key)
    return answered


def over_http(address: Address) -> Bring:
    """Brings it to a platform by HTTP. Raises `unavailable`, and the error that the platform answers with."""

    def bring(signed: str) -> str:
        connection, path = address.open(PATH, _TIMEOUT_S)
        try:
            connection.request(
                "POST",
                path,
                json.dumps({"enrolment": signed}).encode(),
                {"Content-Type": "application/json", "User-Agent": f"wardlight-receiver/{__version__}"},
            )
            response = connection.getresponse()
            found = json.loads(response.read(_ANSWER_BYTES))
            if response.status == 201:
                return str(found["enrolled"])
            code = str(found.get("code", ""))
        except (OSError, http.client.HTTPException) as error:
            raise WardlightError("unavailable", f"no answer ({type(error).__name__})") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise WardlightError("unavailable", "the platform's answer cannot be read") from None
        finally:
            connection.close()
        raise WardlightError(
            code if code in CATALOGUE else "unavailable", f"the platform answered {response.status}"
        )

    return bring
