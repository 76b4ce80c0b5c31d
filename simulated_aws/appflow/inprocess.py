"""A boto3 client answered by the simulator in the same process: no port, no thread, no network."""

from __future__ import annotations

import io
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from simulated_aws.requests import SimulatedRequest, Simulator


class _Raw(io.BytesIO):
    """The part of urllib3's response that botocore reads."""

    def stream(self, **_: Any) -> Any:
        while chunk := self.read():
            yield chunk


def client_for(simulator: Simulator, service: str = "appflow", *, total_attempts: int = 1) -> Any:
    """A client whose every request `simulator` answers.

    Args:
        simulator: of the service.
        service: boto3's name of it.
        total_attempts: calls that the SDK makes by itself before it gives up.
    """
    client: Any = _session().client(
        service,  # type: ignore[call-overload]
        region_name="us-east-1",
        aws_access_key_id="simulated",
        aws_secret_access_key="simulated",  # noqa: S106 - no secret: nothing checks it
        endpoint_url=f"http://{service}.simulated.invalid",
        config=Config(retries={"mode": "standard", "total_max_attempts": total_attempts}),
    )

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        body: Any = request.body or b""
        response = simulator.handle(
            SimulatedRequest(
                method=request.method,
                path=unquote(url.path),
                query=parse_qs(url.query, keep_blank_values=True),
                headers={name.lower(): _text(value) for name, value in request.headers.items()},
                body=body.encode() if isinstance(body, str) else bytes(body),
            )
        )
        return AWSResponse(request.url, response.status, response.headers, _Raw(response.body))  # type: ignore[arg-type]

    client.meta.events.register(f"before-send.{service}", answer)
    return client


@cache
def _session() -> boto3.Session:
    # One for all clients: it keeps the service models that were read.
    return boto3.Session()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
