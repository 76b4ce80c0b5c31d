"""The lock is what is installed, what pyproject.toml allows, and free of addresses."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project.checkout import PROJECT

LOCK = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
PROJECT_TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RANGES = [
    Requirement(line)
    for lines in (PROJECT_TABLE["dependencies"], *PROJECT_TABLE["optional-dependencies"].values())
    for line in lines
]
_ENTRY = re.compile(r"^(?P<requirement>[A-Za-z0-9][^\n\\]*?) \\\n(?P<hashes>(?:    --hash=[^\n]+\n)+)", re.MULTILINE)


def locked() -> dict[str, Requirement]:
    """Every pinned requirement that applies to this interpreter and platform, by canonical name."""
    pins = [Requirement(entry["requirement"]) for entry in _ENTRY.finditer(LOCK)]
    return {canonicalize_name(pin.name): pin for pin in pins if pin.marker is None or pin.marker.evaluate()}


def version_of(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "==", f"{pin} is not pinned"
    return specifier.version


def test_installed_versions_equal_the_lock() -> None:
    """Whatever the lock names for this machine is installed in exactly that version."""
    wrong = {}
    for name, pin in locked().items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "missing"
        if installed != version_of(pin):
            wrong[name] = f"{installed} instead of {version_of(pin)}"
    assert not wrong, "run `make install`"
    assert len(locked()) > 50, "the lock was not read as it is written"


@pytest.mark.parametrize("requirement", RANGES, ids=lambda requirement: requirement.name)
def test_ranges_admit_the_lock(requirement: Requirement) -> None:
    """The range in pyproject.toml admits the pinned version, and the requirement is pinned at all."""
    pin = locked().get(canonicalize_name(requirement.name))
    assert pin is not None, f"{requirement.name} is not in the lock: run `make lock`"
    assert requirement.specifier.contains(version_of(pin), prereleases=True), f"{pin} is outside {requirement}"


def test_every_pin_has_hashes() -> None:
    """Each line that names a version goes on with at least one sha256, so that pip may demand them all."""
    named = re.findall(r"^[A-Za-z0-9][\w.\-\[\]]*==\S+", LOCK, re.MULTILINE)
    assert len(named) == len(list(_ENTRY.finditer(LOCK))) > 50
    assert set(re.findall(r"--hash=(\w+):", LOCK)) == {"sha256"}


def test_lock_names_no_place() -> None:
    """A lock with addresses works only where those are reachable."""
    for word in (
        "://",
        "--index-url",
        "--extra-index-url",
        "--find-links",
        "--trusted-host",
        "@ file",
        "/tmp",
        "/home",
    ):
        assert word not in LOCK


def test_dependencies_of_what_is_locked_are_locked() -> None:
    """`pip install --no-deps` installs what the lock names and nothing else, so nothing may be missing from it."""
    pins = locked()
    environment = {key: str(value) for key, value in default_environment().items()}
    missing = set()
    for name, pin in pins.items():
        for line in importlib.metadata.requires(name) or ():
            wanted = Requirement(line)
            extras = pin.extras or {""}
            if wanted.marker is None or any(wanted.marker.evaluate({**environment, "extra": e}) for e in extras):
                key = canonicalize_name(wanted.name)
                if key not in pins:
                    missing.add(f"{name} needs {wanted}")
                elif not wanted.specifier.contains(version_of(pins[key]), prereleases=True):
                    missing.add(f"{name} needs {wanted}, and {pins[key]} is locked")
    assert not missing
