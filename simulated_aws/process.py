"""The process of the simulated AWS: `python -m simulated_aws.process`.

Prints one line of JSON, {"port": n}, when it can be used. It lives as long as the other end of its standard input is
open, so it ends with the process that started it, however that one ends. `simulated_aws.server` is its other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Mapping
from importlib.util import find_spec

from simulated_aws import clock
from simulated_aws.requests import Host, Simulator

HOST = "127.0.0.1"
SIMULATORS = {
    "dms": ("simulated_aws.dms", "DmsSimulator"),
    "appflow": ("simulated_aws.appflow", "AppFlowSimulator"),
}
"""Services beside the emulator: the name that requests are signed for, module and class."""


def simulators(host: Host) -> Mapping[str, Simulator]:
    """A new simulator of each service that the project has."""
    found: dict[str, Simulator] = {}
    for service, (module, name) in SIMULATORS.items():
        if find_spec(module) is not None:
            made = getattr(__import__(module, fromlist=[name]), name, None)
            if made is not None:
                found[service] = made(host)
    return found


def listen(port: int = 0) -> socket.socket:
    """A listening socket on the loopback address: on `port`, or where that is 0 or taken, on a free one."""
    # The protocol is named so that asyncio turns Nagle's algorithm off: answers are small and in two pieces.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError:
        listening.bind((HOST, 0))
    listening.listen(512)
    return listening


def emulator_environment(port: int) -> dict[str, str]:
    """Settings of the emulator: in memory, on the loopback address, and no listener or container beside it."""
    return {
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "BIND_HOST": HOST,
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "AUTH": "false",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        # Its start looks for containers to remove; it shall not find anybody's daemon.
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        "LOG_LEVEL": "WARNING",
    }


def prepare(port: int) -> None:
    """Set the process up before anything of the emulator is imported: its settings, and the clock."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MINISTACK_", "LOCALSTACK_"))]:
        del os.environ[name]
    os.environ.update(emulator_environment(port))
    os.environ.pop("SERVICES", None)
    clock.install()


def _end_with_the_parent() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    os._exit(0)


async def _serve(listening: socket.socket) -> None:
    import uvicorn

    from simulated_aws.application import Application, EmbeddedHost

    application = Application(lambda: simulators(EmbeddedHost()))
    # A connection that is closed without an answer is what some faults are about.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "without starting response" not in record.getMessage())
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        # The emulator sends the clock's date itself.
        date_header=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=600,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    ticking = asyncio.create_task(application.keep_ticking())
    await server.serve(sockets=[listening])
    ticking.cancel()


def main() -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    listening = listen(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    port = listening.getsockname()[1]
    prepare(port)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    # Connections queue in the socket until the server takes them, so the port can be announced before it does.
    print(json.dumps({"port": port}), flush=True)
    asyncio.run(_serve(listening))


if __name__ == "__main__":
    main()
