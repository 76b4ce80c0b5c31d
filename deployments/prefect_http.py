"""An HTTP client for the Prefect server, with what Prefect's own client honours: certificates, key, password, headers.

`reprise apply` and the relay speak to the server without Prefect's client, which repeats and waits by itself. They must
be let in all the same behind TLS with a CA of one's own, or a proxy that wants a header.
"""

from __future__ import annotations

import ssl

import httpx

from recovery.errors import BadInput


def prefect_client(api_url: str, *, timeout: httpx.Timeout, auth: str | None = None) -> httpx.Client:
    """A client whose requests are made as Prefect's own would be.

    Args:
        api_url: the server's /api address.
        timeout: of each request.
        auth: "user:password" in place of `PREFECT_API_AUTH_STRING`.

    Raises:
        BadInput: the file of certificates cannot be read.
    """
    # Only now: Prefect takes its time to load.
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    secret = settings.api.auth_string
    auth = auth if auth is not None else (secret.get_secret_value() if secret else "")
    headers = dict(settings.client.custom_headers)
    if not auth and settings.api.key:
        headers["Authorization"] = f"Bearer {settings.api.key.get_secret_value()}"
    return httpx.Client(
        base_url=api_url,
        auth=httpx.BasicAuth(*auth.split(":", 1)) if ":" in auth else None,
        headers=headers,
        timeout=timeout,
        verify=_trusted(settings.api.ssl_cert_file, skip=settings.api.tls_insecure_skip_verify),
    )


def untrusted(error: Exception) -> str:
    """Advice when the server's certificate is not trusted; "" for any other error."""
    if "CERTIFICATE_VERIFY_FAILED" not in str(error):
        return ""
    return "Its certificate is not trusted: set PREFECT_API_SSL_CERT_FILE to the file of its CA"


def _trusted(file: str | None, *, skip: bool) -> ssl.SSLContext | bool:
    if skip:
        return False
    if not file:
        return True
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:
        raise BadInput(f"PREFECT_API_SSL_CERT_FILE: {file} holds no certificates: {error}") from error
