"""`reprise login`: the lines that let a shell in to the Prefect server of this checkout.

    eval "$(reprise login)"

`reprise server` draws a password when nobody has set one, and keeps it in `PREFECT_HOME`, in a file that
only its owner may read. This command reads that file. The link that the server prints lets a browser in: the password
stands behind its `#`, which no browser sends to anybody.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from recovery.errors import BadInput

USER = "reprise"
FILE = "login.json"
SIGN_IN = "/sign-in"

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Reprise</title>
<body style="font-family: sans-serif; margin: 4rem">
<p id="status">Signing in ...</p>
<script>
(async () => {
  const given = location.hash.slice(1);
  history.replaceState(null, '', location.pathname);
  const answer = await fetch('/api/admin/version', { headers: { Authorization: `Basic ${given}` } });
  if (given && answer.ok) {
    localStorage.setItem('prefect-password', given);
    location.replace('/');
  } else {
    document.getElementById('status').textContent =
      'This link does not let you in: the server has another password. It prints the right link when it starts.';
  }
})();
</script>
</body>
</html>
"""
"""Answered at `SIGN_IN`: a password that the server takes is kept where Prefect's pages look for it."""


@dataclass(frozen=True, slots=True)
class Login:
    """A way in to a server.

    Attributes:
        api_url: as "http://127.0.0.1:4200/api".
        auth: "user:password".
    """

    api_url: str
    auth: str

    @property
    def link(self) -> str:
        """The address that lets a browser in."""
        return sign_in_link(self.api_url.removesuffix("/api"), self.auth)


def draw() -> str:
    """A new "user:password" that nobody can guess."""
    return f"{USER}:{secrets.token_urlsafe(18)}"


def sign_in_link(address: str, auth: str) -> str:
    """The address that lets a browser in to the server at `address`."""
    return f"{address}{SIGN_IN}#{base64.b64encode(auth.encode()).decode()}"


def keep(home: Path, login: Login) -> None:
    """Write it where only the owner may read it."""
    home.mkdir(parents=True, exist_ok=True)
    written = home / f"{FILE}.{os.getpid()}"
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(login), file)
    written.replace(home / FILE)


def kept(home: Path) -> Login | None:
    """The way in that was kept last; None when there is none that can be read."""
    try:
        found = json.loads((home / FILE).read_text(encoding="utf-8"))
        login = Login(found["api_url"], found["auth"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    complete = isinstance(login.api_url, str) and isinstance(login.auth, str) and ":" in login.auth
    return login if complete else None


def main() -> int:
    """Print PREFECT_API_URL and PREFECT_API_AUTH_STRING of this checkout's server, as lines that a shell can evaluate.

    Returns:
        The exit status.

    Raises:
        BadInput: no server has drawn a password here.
    """
    # Only now: Prefect reads its settings when it is imported, and fails on bad ones.
    from prefect.settings import get_current_settings

    home = get_current_settings().home
    login = kept(home)
    if login is None:
        raise BadInput(f"no server has drawn a password in {home}: start `reprise server` first")
    print(f"export PREFECT_API_URL={shlex.quote(login.api_url)}")
    print(f"export PREFECT_API_AUTH_STRING={shlex.quote(login.auth)}")
    return 0
