"""A headless Chromium, driven through its DevTools protocol: enough to open a page and read what it shows.

No driver and no package beyond `websockets`, which Prefect needs anyway. The browser gets a profile of its own, and
reaches this machine only: every other host name resolves to nothing, but for one that leads here as a rebound one does.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.waiting import wait_for

FOREIGN = "evil.example"
"""A name that a page of somebody else's has, and that leads to this machine."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_ANSWER_SECONDS = 30.0
_FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--no-proxy-server",
)


def installed() -> str | None:
    """The path of a browser on this machine: REPRISE_TEST_BROWSER, or the first of the usual names."""
    return os.environ.get("REPRISE_TEST_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._session = ""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._ask("Page.enable")
        self.resize(1400, 1000)

    def resize(self, width: int, height: int) -> None:
        """The size of the window, in pixels."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, url: str, *shows: str, seconds: float = 180) -> str:
        """Go to a page, wait until it shows all of these words, and return its text.

        Raises:
            AssertionError: it does not show them in time; the message holds what it shows instead.
        """
        self._ask("Page.navigate", url=url)
        return self.shows(*shows, seconds=seconds)

    def shows(self, *words: str, seconds: float = 180) -> str:
        """Wait until the page shows all of these words; returns its text."""
        wanted = " ".join
        text = ""

        def there() -> bool:
            nonlocal text
            text = wanted(self.text().split())
            return all(wanted(word.split()) in text for word in words)

        try:
            wait_for("the page", there, seconds=seconds)
        except AssertionError:
            missing = [word for word in words if wanted(word.split()) not in text]
            raise AssertionError(f"the page does not show {missing}, but: {text[:3000]}") from None
        return text

    def text(self) -> str:
        """Return the page's text, and the values of its form fields."""
        return str(
            self.evaluate(
                "[document.body ? document.body.innerText : '', "
                "...[...document.querySelectorAll('input,textarea')].map(field => field.value)].join('\\n')"
            )
        )

    def click(self, words: str, *, seconds: float = 30) -> None:
        """Click the first button, tab or link that shows these words, or bears them as its label.

        Raises:
            AssertionError: there is none in time.
        """
        script = f"""(() => {{
            const all = [...document.querySelectorAll('button,[role=tab],[role=menuitem],a')];
            const mine = all.find(e => e.innerText.trim() === {json.dumps(words)}
                || e.getAttribute('aria-label') === {json.dumps(words)});
            if (!mine) return false;
            for (const kind of ['pointerdown', 'mousedown', 'pointerup', 'mouseup'])
                mine.dispatchEvent(new PointerEvent(kind, {{bubbles: true, button: 0}}));
            mine.click();
            return true;
        }})()"""
        wait_for(f"a button {words!r}", lambda: self.evaluate(script), seconds=seconds)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    def picture(self, file: Path) -> None:
        """Write what the window shows as a PNG."""
        file.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"]))

    def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        asked: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            asked["sessionId"] = self._session
        self._socket.send(json.dumps(asked))
        while True:
            answer = json.loads(self._socket.recv(timeout=_ANSWER_SECONDS))
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]


@contextlib.contextmanager
def page(browser: str, folder: Path) -> Iterator[Page]:
    """Start a browser with one tab, and end it with the block.

    Args:
        browser: its path.
        folder: for its profile.
    """
    flags = [*_FLAGS, f"--user-data-dir={folder}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        flags.append("--no-sandbox")  # as root, and so in most containers, the sandbox does not start
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen([browser, *flags, "about:blank"], stdout=log, stderr=log, start_new_session=True)
    try:
        lines = wait_for("the browser's address", lambda: _address(folder, process), seconds=60)
        with connect(
            f"ws://127.0.0.1:{lines[0]}{lines[1]}", max_size=None, proxy=None, open_timeout=30, compression=None
        ) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, 9)
        process.wait()


def _address(folder: Path, process: subprocess.Popen[bytes]) -> list[str] | None:
    assert process.poll() is None, f"the browser ended: {(folder / 'browser.log').read_text(errors='replace')[-2000:]}"
    with contextlib.suppress(FileNotFoundError):
        lines = (folder / "DevToolsActivePort").read_text().splitlines()
        return lines if len(lines) == 2 else None
    return None
