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

    def authenticate(request: Any) -> Any:
        request.headers.update(auth.headers(request.method, request.url.partition("?")[0]))
        return request

    session.auth = authenticate
    return DICOMwebClient(url, session=session)
