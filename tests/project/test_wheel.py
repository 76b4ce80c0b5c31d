"""Wheel and sdist: they hold what they need, collide with nobody, and work without a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from deployments.prefect_server import prefect_server
from deployments.prefect_settings import client_environment
from tests.project.checkout import PROJECT, files

BUILD = "import sys; from hatchling import build; print(getattr(build, sys.argv[1])(sys.argv[2]))"
SHIPPED = ("flows", "tasks", "blocks", "recovery", "relay", "deployments", "simulated_aws", "demo")


def built(kind: str, folder: Path) -> Path:
    """A distribution of the checkout as it is now."""
    made = subprocess.run(
        [sys.executable, "-c", BUILD, f"build_{kind}", str(folder)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return folder / made.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel alone, and looks for its dependencies in this one's folder."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True, timeout=120)
    # The editable install of this environment is a .pth file of its folder, which is not read from here.
    (site_of(folder) / "zz-dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder


def site_of(environment: Path) -> Path:
    [found] = environment.glob("lib/python*/site-packages")
    return found


def reprise(installed: Path, folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The installed command, started in a folder that holds nothing of ours."""
    environment = {**os.environ, "HOME": str(folder), "PATH": f"{installed}/bin:{os.environ['PATH']}", **variables}
    return subprocess.run(
        [str(installed / "bin" / "reprise"), *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_the_wheel_brings_one_folder_and_one_line(wheel: Path) -> None:
    """No top-level module of it can overwrite anybody's."""
    with ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
        assert {top for top in tops if not top.endswith(".dist-info")} == {"reprise", "reprise.pth"}
        assert archive.read("reprise.pth") == b"reprise\n"


def test_the_wheel_holds_every_file_that_it_needs(wheel: Path) -> None:
    """Templates, rules, job templates and Prefect's two files among them."""
    with ZipFile(wheel) as archive:
        held = {name.removeprefix("reprise/") for name in archive.namelist()}
    needed = {str(file) for file in files() if file.parts[0] in SHIPPED} | {"prefect.yaml", "prefect.toml"}
    assert needed - {"deployments/reprise.pth"} <= held


def test_the_sdist_is_the_checkout(tmp_path: Path) -> None:
    """Tests, docs and the lock too: from it one can do all that one can from a clone."""
    with tarfile.open(built("sdist", tmp_path)) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {str(file) for file in files()} <= held


def test_the_installed_command_registers_everything(installed: Path, tmp_path: Path) -> None:
    """Without a checkout: the same version, and every deployment of `prefect.yaml`."""
    assert reprise(installed, tmp_path, "--version").stdout == version() + "\n"
    with prefect_server(tmp_path / "server") as server:
        variables = client_environment(server.api_url, tmp_path / "home") | {"REPRISE_LEDGER_TABLE": "ledger"}
        applied = reprise(installed, tmp_path, "apply", **variables)
        checked = reprise(installed, tmp_path, "apply", "--check", **variables)
    assert "deployment dead-letters/sweep: missing" in applied.stdout, applied.stderr
    assert checked.stdout == f"nothing differs on {server.api_url}\n"
    assert "Traceback" not in applied.stderr + checked.stderr


@pytest.fixture
def taken(installed: Path) -> Iterator[Path]:
    """Somebody else's package of a name of ours, installed beside us."""
    other = site_of(installed) / "tasks.py"
    other.write_text("raise SystemExit('somebody else was imported')\n")
    yield other
    other.unlink()


def test_a_name_that_is_taken_is_one_line(installed: Path, taken: Path, tmp_path: Path) -> None:
    """Nothing of the other package is imported, and ours does nothing with half of its modules."""
    refused = reprise(installed, tmp_path, "apply", "--check")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        f"reprise apply: the name `tasks` is taken by {taken}: install Reprise in an environment of its own"
    ]


def version() -> str:
    """The version that the project's own file states."""
    [line] = [line for line in (PROJECT / "pyproject.toml").read_text().splitlines() if line.startswith("version = ")]
    return line.split('"')[1]
