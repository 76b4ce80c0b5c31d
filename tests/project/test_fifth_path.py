"""A path is added by the README's recipe alone, and whatever is forgotten of it fails a test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.checkout import PROJECT, files, text
from tests.project.fifth_path import EDITS, NEW, PATH, TRIAL

COMPLAINS_OF = {
    "recovery/paths.py": "test_every_path_says_of_itself",
    "recovery/histories/search.py": "test_every_path_says_of_itself",
    "pyproject.toml": "test_every_path_is_in_the_contract_on_paths",
    "prefect.yaml": "test_every_path_has_a_deployment",
    "README.md": "test_the_table_of_paths_is_the_flows",
}
"""By file: the test that fails when it was forgotten."""
TESTS = ("test_layout.py", "test_path_pages.py", "test_prefect_yaml.py", "test_readme.py")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the checkout with the files of the path, and no edits."""
    for file in files():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / file, tmp_path / file)
    for name, content in NEW.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, timeout=60)
    return tmp_path


def edit(copy: Path) -> None:
    """Make the edits of the recipe."""
    for name, changes in EDITS.items():
        content = (copy / name).read_text()
        for before, after in changes:
            assert content.count(before) == 1, (name, before, content.count(before))
            content = content.replace(before, after)
        (copy / name).write_text(content)


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the copy, which then comes before the checkout."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def project_tests(copy: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests that look at all paths."""
    tests = [f"tests/project/{name}" for name in TESTS]
    return run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", "not modules_are_short")


def test_the_recipe_lists_what_a_path_touches() -> None:
    """The README's recipe names each file that is made or edited, and no other one."""
    recipe = text(Path("README.md")).split("To add a path", 1)[1].split("\n\n`make check`", 1)[0]
    named = {name.replace("<path>", PATH) for name in re.findall(r"`([\w<>/.]+\.(?:py|md|toml|yaml))`", recipe)}
    touched = {name for name in (*NEW, *EDITS) if not name.endswith("__init__.py")}
    assert named == touched


def test_a_path_by_the_recipe_works(copy: Path) -> None:
    """With the new files and the edits the project's tests hold, and a run shows in report, digest and metrics."""
    edit(copy)
    (copy / "trial.py").write_text(TRIAL)
    tried = run(copy, "trial.py")
    assert tried.returncode == 0, tried.stderr
    (copy / "trial.py").unlink()
    checked = project_tests(copy)
    assert checked.returncode == 0, checked.stdout[-3000:]


def test_what_is_forgotten_fails_a_test(copy: Path) -> None:
    """Without the edits, a test complains of each file."""
    checked = project_tests(copy)
    assert set(EDITS) - set(COMPLAINS_OF) == {"docs/operations.md"}  # complains as soon as there is a deployment
    for file, complaint in COMPLAINS_OF.items():
        assert f"::{complaint}" in checked.stdout, (file, checked.stdout[-3000:])
