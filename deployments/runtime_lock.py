"""The part of the lock that a worker, a relay or a server needs: what is installed in the image.

    python deployments/runtime_lock.py requirements.lock > runtime.lock

The lock says of each package which others ask for it ("# via"), so nothing but its own text is needed: the direct
dependencies of pyproject.toml, and whatever they ask for. Test tools and the simulated AWS stay out.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==.*\n(?:    .*\n?)*", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def runtime(lock: str, direct: Iterable[str]) -> str:
    """Return the entries of a lock that these packages need, themselves included.

    Args:
        lock: as `make lock` writes it.
        direct: names of packages.
    """
    entries = {_plain(found[1]): found[0] for found in _ENTRY.finditer(lock)}
    asked_by = {name: set(_askers(entry)) for name, entry in entries.items()}
    needed = {_plain(name) for name in direct}
    while more := {name for name, askers in asked_by.items() if name not in needed and askers & needed}:
        needed |= more
    return "".join(entry.rstrip("\n") + "\n" for name, entry in entries.items() if name in needed)


def _askers(entry: str) -> list[str]:
    comments = re.findall(r"^    # *(?:via)? *(\S+)?", entry, re.MULTILINE)
    return [_plain(found[0]) for each in comments if (found := _NAME.match(each))]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def direct_dependencies(project: Path) -> list[str]:
    """Return the names of the packages that the project itself imports, and those of a server that uses Redis.

    Args:
        project: its folder.
    """
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*table["dependencies"], *table["optional-dependencies"]["redis"]]
    return [found[0] for line in wanted if (found := _NAME.match(line))]


if __name__ == "__main__":
    file = Path(sys.argv[1])
    # Further names are packages besides: what builds the project, for example.
    sys.stdout.write(runtime(file.read_text(encoding="utf-8"), sys.argv[2:] or direct_dependencies(file.parent)))
