"""HEALTHCHECK of the image: ask the container's process for its health, whichever of ours it is.

Exit status: 0 when it answers well or serves no health (a single run, `apply`), 1 when it does not.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

_SECONDS = 5.0


def address(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return where a process serves its health; "" where it serves none.

    Args:
        command: its command line.
        environment: its variables.
    """
    words = [Path(word).name for word in command]
    kind = next((following for word, following in pairwise(words) if word == "reprise"), "")
    port = {
        "server": environment.get("PREFECT_SERVER_API_PORT", "4200"),
        "worker": environment.get("PREFECT_WORKER_WEBSERVER_PORT", "8080"),
        "relay": environment.get("RELAY_HEALTH_PORT", "8081"),
    }.get(kind, "")
    for option, value in pairwise(command):
        if option == {"server": "--port", "relay": "--health-port"}.get(kind):
            port = value
    return f"http://127.0.0.1:{port}{'/api' if kind == 'server' else ''}/health" if port else ""


def main() -> int:
    """Ask the first process of this container.

    Returns:
        The exit status.
    """
    command = Path("/proc/1/cmdline").read_text(encoding="utf-8").rstrip("\0").split("\0")
    url = address(command, os.environ)
    if not url:
        return 0
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS):  # noqa: S310 - an address of this machine
            return 0
    except (urllib.error.URLError, TimeoutError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
