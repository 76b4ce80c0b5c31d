"""`reprise apply` and the relay behind TLS with a CA of one's own: what Prefect's client honours, they do."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_CLIENT_CUSTOM_HEADERS,
    temporary_settings,
)

from deployments.apply.__main__ import reach
from recovery.errors import BadInput, Transient
from recovery.events.hints import DEAD_LETTERS, hint
from relay.bursts import OutgoingEvent
from relay.prefect_events import Misconfigured, PrefectEvents


@dataclass
class Front:
    """A proxy with TLS that wants a header, and what came through it."""

    url: str
    certificate: Path
    seen: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """On this machine, with a certificate that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "of our own")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca, private = tmp_path / "ca.pem", tmp_path / "key.pem"
    ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    made = Front("", ca)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.seen.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers.get("content-length") or 0))
            status = 204 if self.path.endswith("/events") else 200
            if self.headers.get("x-proxy-token") != "t":
                status = 401
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, private)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"https://127.0.0.1:{server.server_port}/api"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def post(url: str) -> None:
    """One event, as the relay posts it."""
    events = PrefectEvents(url)
    try:
        events.post([OutgoingEvent(hint(DEAD_LETTERS, "orders-dlq", "1", datetime.now(UTC)), triggers=True)])
    finally:
        events.close()


def test_the_settings_of_prefect_s_client_let_both_in(front: Front) -> None:
    """The CA, a header for the proxy, and an API key; a password comes before a key, as with Prefect."""
    trusted = {
        PREFECT_API_SSL_CERT_FILE: str(front.certificate),
        PREFECT_CLIENT_CUSTOM_HEADERS: json.dumps({"X-Proxy-Token": "t"}),
        PREFECT_API_KEY: "pnu_abc",
    }
    with temporary_settings(trusted):
        reach(front.url)
        post(front.url)
        assert [each["authorization"] for each in front.seen] == ["Bearer pnu_abc"] * 2
        with temporary_settings({PREFECT_API_AUTH_STRING: "somebody:knows"}):
            reach(front.url)
            post(front.url)
    assert [each["authorization"] for each in front.seen[2:]] == ["Basic c29tZWJvZHk6a25vd3M="] * 2


def test_a_certificate_that_is_not_trusted_names_the_setting(front: Front, tmp_path: Path) -> None:
    """Not "the server is away": a person must change something. So does a file that holds no certificates."""
    with pytest.raises(Transient, match="PREFECT_API_SSL_CERT_FILE"):
        reach(front.url)
    with pytest.raises(Misconfigured, match="PREFECT_API_SSL_CERT_FILE"):
        post(front.url)
    with (
        temporary_settings({PREFECT_API_SSL_CERT_FILE: str(tmp_path / "none.pem")}),
        pytest.raises(BadInput, match="holds no certificates"),
    ):
        reach(front.url)
