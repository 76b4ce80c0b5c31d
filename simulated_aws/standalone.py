"""A simulator alone on a port of its own: `python -m simulated_aws.standalone dms [--port N] [--beside ENDPOINT]`.

For anyone whose other AWS services are somewhere else (LocalStack, moto): botocore reads a variable per service, and
the first line that this prints is that variable ("export AWS_ENDPOINT_URL_DATABASE_MIGRATION_SERVICE=..."). With
`--beside`, events and notifications go to a simulated AWS at that endpoint; without, they are kept and shown at
`GET /_reprise/sent`. Its clock is moved as that of the simulated AWS: `POST /_reprise/clock {"advance": seconds}`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from simulated_aws import clock
from simulated_aws.process import SIMULATORS, listen, simulators
from simulated_aws.requests import SimulatedRequest, SimulatedResponse, Simulator
from simulated_aws.server import SimulatedAws

VARIABLES = {"dms": "AWS_ENDPOINT_URL_DATABASE_MIGRATION_SERVICE", "appflow": "AWS_ENDPOINT_URL_APPFLOW"}
"""The variable in which botocore looks for the endpoint of each service (its service id in capitals)."""


class LoneHost:
    """Host of a simulator without an estate around it, or with one in another process.

    Args:
        beside: the simulated AWS that events and notifications go to; None keeps them in `sent`.
    """

    def __init__(self, beside: SimulatedAws | None = None) -> None:
        self._beside = beside
        self.sent: list[dict[str, Any]] = []

    def now(self) -> datetime:
        return clock.now()

    def put_event(self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        if self._beside is not None:
            self._beside.put_event(source, detail_type, detail, resources)
        else:
            event = {"source": source, "detail_type": detail_type, "detail": detail, "resources": resources}
            self.sent.append({"event": event})

    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        if self._beside is not None:
            self._beside.client("sns").publish(TopicArn=topic_arn, Subject=subject, Message=message)
        else:
            self.sent.append({"notification": {"topic_arn": topic_arn, "subject": subject, "message": message}})

    def record_metric(self, namespace: str, name: str, value: float, dimensions: dict[str, str], at: datetime) -> None:
        """Metrics stay untold: clients may not give CloudWatch those of AWS."""


class LoneApplication:
    """One simulator as an ASGI application."""

    def __init__(self, simulator: Simulator, host: LoneHost) -> None:
        self._simulator, self._host = simulator, host

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qs(scope.get("query_string", b"").decode(), keep_blank_values=True)
        request = SimulatedRequest(scope["method"], scope["path"], query, headers, body)
        answer = self._control(request) or self._simulator.handle(request)
        sent = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
        sent.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": sent})
        await send({"type": "http.response.body", "body": answer.body})

    def _control(self, request: SimulatedRequest) -> SimulatedResponse | None:
        match request.method, request.path:
            case "POST", "/_reprise/clock":
                clock.advance(float(json.loads(request.body)["advance"]))
                self.tick()
            case "GET", "/_reprise/clock":
                pass
            case "GET", "/_reprise/sent":
                return SimulatedResponse.json(self._host.sent, content_type="application/json")
            case _:
                return None
        now = {"now": clock.now().isoformat(), "offset": clock.offset()}
        return SimulatedResponse.json(now, content_type="application/json")

    def tick(self) -> None:
        if (step := getattr(self._simulator, "tick", None)) is not None:
            step()


async def _serve(service: str, port: int, beside: str | None) -> None:
    import uvicorn

    host = LoneHost(SimulatedAws(beside) if beside else None)
    application = LoneApplication(simulators(host)[service], host)
    listening = listen(port)
    print(f"export {VARIABLES[service]}=http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        application, lifespan="off", log_config=None, access_log=False, server_header=False, ws="none"
    )
    serving = asyncio.create_task(uvicorn.Server(config).serve(sockets=[listening]))
    while not serving.done():
        application.tick()
        await asyncio.wait([serving], timeout=0.2)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m simulated_aws.standalone", description=__doc__)
    parser.add_argument("service", choices=sorted(SIMULATORS))
    parser.add_argument("--port", type=int, default=0, help="wanted port; a free one where it is busy, or 0")
    parser.add_argument("--beside", help="endpoint of a simulated AWS that gets the events")
    options = parser.parse_args()
    clock.install()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(options.service, options.port, options.beside))


if __name__ == "__main__":
    main()
