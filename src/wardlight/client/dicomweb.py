"""dicomweb-client with the tokens of this client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wardlight.client.tokens import TokenAuth

if TYPE_CHECKING:
    from dicomweb_client.api import DICOMwebClient


def dicomweb_client(url: str, auth: TokenAuth) -> DICOMwebClient:
    """A `DICOMwebClient` whose every request carries a token that is valid then."""
    import requests
    from dicomweb_client.api import DICOMwebClient

    session = requests.Session()
    # Where netrc or a proxy of the environment applied, the token could go elsewhere.
    session.trust_env = False
    session.auth = lambda request: _authenticated(request, auth)
    return DICOMwebClient(url, session=session)


def _authenticated(request: Any, auth: TokenAuth) -> Any:
    """The request of `requests` with a token; where that is not taken, it is sent once more with a new one."""
    # dicomweb-client names the host without its port, by which the platform would then be addressed in its answers.
    request.headers.pop("Host", None)
    fields = auth.headers(request.method, request.url.partition("?")[0])
    request.headers.update(fields)
    token = fields["Authorization"].partition(" ")[2]

    def answered(answer: Any, **options: Any) -> Any:
        if not auth.is_refused(answer.status_code, answer.headers, token) or answer.history:
            return answer
        answer.content  # noqa: B018 - read to its end, so that its connection is free
        answer.close()
        again = answer.request.copy()
        again.headers.update(auth.headers(again.method, again.url.partition("?")[0]))
        found = answer.connection.send(again, **options)
        found.history.append(answer)
        found.request = again
        return found

    request.register_hook("response", answered)
    return request
