"""No test leaves this machine, uses a person's accounts, or touches a person's files.

This module runs before any test module is imported, so Prefect and the AWS SDK never see another environment. Three
locks, each enough by itself for the calls that it sees:

- the environment: no credentials, profiles or endpoints of the caller's, and a proxy that does not exist, which is
  what a child process finds when it tries to leave (moto's `mock_aws` works all the same: it answers earlier);
- botocore: a request that is about to go anywhere but to a loopback address is an error that names it;
- sockets: in this process nothing connects, and no name is looked up, beyond the loopback.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import hypothesis
import pytest

from deployments.loopback import is_loopback, on_this_machine
from simulated_aws.guard import SIMULATED_CREDENTIALS
from tests import once

_HOME = Path(tempfile.mkdtemp(prefix="reprise-tests-"))

_NOWHERE = "http://127.0.0.1:9"
"""The discard port: nobody listens, so a connection is refused at once."""


class LeftTheMachine(BaseException):
    """A test tried to reach something beyond 127.0.0.1.

    Not an `Exception`: code that retries or reports errors must not swallow it.
    """


def _shut_in() -> None:
    for name in list(os.environ):
        # REPRISE_*: a person's estate. PREFECT_*: a person's server. AWS_*: a person's accounts.
        if name.startswith(("AWS_", "PREFECT_", "REPRISE_")):
            del os.environ[name]
    os.environ.update(SIMULATED_CREDENTIALS)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ[name] = os.environ[name.upper()] = _NOWHERE
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost,::1"
    os.environ |= {
        "PREFECT_HOME": str(_HOME / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        # A flow outside the harness is a mistake in a test; with a private server it would pass, ten seconds later.
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        # Log lines are looked at where they are written; sending them costs a request every two seconds.
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
    }
    (_HOME / "prefect").mkdir()


def _spare() -> None:
    """Leave out what costs every client and every schedule some time, and shows nothing here."""
    # Each HTTP client reads all authorities of the world, 30 ms; nothing here speaks TLS. One of them is enough.
    end = "-----END CERTIFICATE-----\n"
    one = _HOME / "one-authority.pem"
    one.write_text(Path(certifi.where()).read_text(encoding="utf-8").partition(end)[0] + end, encoding="utf-8")
    os.environ["SSL_CERT_FILE"] = str(one)
    # Prefect lists the time zones for each schedule that it reads: the machine has 600 files, tzdata has a list.
    os.environ["PYTHONTZPATH"] = ""
    zoneinfo.reset_tzpath(to=[])


_shut_in()
_spare()
once.read_service_models()

# The same examples in every run, on any machine: no seed, no stored examples, and no deadline, because a busy machine
# is no defect.
hypothesis.settings.register_profile("reprise", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("reprise")


def _host_of(address: Any) -> str | None:
    """The host of a socket address; None for one that has none (a Unix socket)."""
    return address[0] if isinstance(address, tuple) else None


@pytest.fixture(scope="session", autouse=True)
def _nothing_leaves_this_machine() -> Iterator[None]:
    from botocore.httpsession import URLLib3Session

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            original = getattr(socket.socket, name)

            def connect(self: socket.socket, address: Any, original: Any = original) -> Any:
                host = _host_of(address)
                if host is not None and not is_loopback(str(host)):
                    raise LeftTheMachine(f"a connection to {address}")
                return original(self, address)

            patch.setattr(socket.socket, name, connect)

        look_up = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            # None and "" are this machine's own addresses, asked for by a server that is about to listen.
            if name and name not in {"0.0.0.0", "::"} and not is_loopback(name):
                raise LeftTheMachine(f"a look-up of {name}")
            return look_up(host, *args, **kwargs)

        patch.setattr(socket, "getaddrinfo", getaddrinfo)

        send = URLLib3Session.send

        def guarded_send(self: Any, request: Any) -> Any:
            if not on_this_machine(request.url):
                raise LeftTheMachine(
                    f"a request to {request.url}. Start the test's own simulated AWS, or wrap the test in mock_aws"
                )
            return send(self, request)

        patch.setattr(URLLib3Session, "send", guarded_send)
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-points", action="store_true", help="kill at every point, in place of every third")


LONGEST = (
    "browser/test_pages.py",
    "gateways/test_broken.py",
    "project/test_outage.py",
    "proof/test_crash.py",
    "project/test_apply.py",
    "orchestration/test_relay.py",
    "gateways/test_appflow_safety.py",
    "orchestration/test_basic_auth.py",
    "orchestration/test_dead_letters_trouble.py",
    "orchestration/test_dead_letters.py",
    "project/test_apply_interrupted.py",
    "project/test_orderly_stop.py",
    "project/test_fifth_path.py",
    "project/test_locked_set.py",
    "project/test_wheel.py",
    "browser/test_other_origins.py",
)
"""Files that take longest, by measurement: begun first, so that no worker waits at the end for another one's."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the order within a file stays."""
    places = {f"tests/{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)
