"""The README is true."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

from deployments.command import COMMANDS
from recovery.settings import SETTINGS
from tests.project.checkout import PROJECT, WITHOUT_A_PATH, files, modules, paths, text

README = text(Path("README.md"))
DOCS = tuple(f for f in files(".md"))


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", README, re.MULTILINE | re.DOTALL)


def _rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its two head lines."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_table_of_settings_is_the_code_s() -> None:
    """Every setting stands in the README with its meaning and default, in the code's order, and no other one does."""
    written = {None: "must be set", "": "none"}
    expected = [
        [f"`{setting.name}`", setting.meaning, written.get(setting.default, f"`{setting.default}`")]
        for setting in SETTINGS
    ]
    assert _rows("Settings") == expected


def test_the_code_reads_no_other_setting() -> None:
    """A variable that the code or a template names is in the table."""
    names = {setting.name for setting in SETTINGS}
    named = {
        name
        for f in modules("flows", "tasks", "blocks", "recovery", "deployments")
        for name in re.findall(r"REPRISE_[A-Z]+(?:_[A-Z]+)*", text(f))
    }
    assert named <= names


def test_the_table_of_paths_is_the_flows() -> None:
    """A path is in the README from its flow on, and not before."""
    flows = {f.stem for f in modules("flows") if not f.stem.startswith("_")} - WITHOUT_A_PATH
    assert flows <= set(paths())
    assert [row[0] for row in _rows("Paths")] == [f"[{path}](docs/paths/{path}.md)" for path in sorted(flows)]


def test_its_make_targets_exist() -> None:
    """Every `make` command of the README is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", text(Path("Makefile")), re.MULTILINE))
    named = set(
        re.findall(r"\bmake ([a-z]+)\b", "\n".join(_blocks("sh")) + "\n".join(re.findall(r"`([^`\n]+)`", README)))
    )
    assert {"demo", "test"} <= named <= targets


def test_its_first_commands_are_what_the_continuous_integration_runs() -> None:
    """The two commands that a newcomer types are run from a fresh clone by `.ci/run`."""
    commands = _blocks("sh")[0].split("\n")
    assert [line for line in commands if line] == ["make demo", "make test"]
    for command in ("make demo", "make test"):
        assert re.search(rf"^\s*step \w+ {command}\b", text(Path(".ci/run")), re.MULTILINE)


def test_the_modules_and_the_commands_that_it_names_exist() -> None:
    """`python -m` names a module of the project, and `reprise` one of its sub-commands."""
    shell = "\n".join(_blocks("sh"))
    for module in re.findall(r"python -m ([a-z_.]+)", shell):
        place = PROJECT / Path(*module.split("."))
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()
    assert set(re.findall(r"^ *reprise (\w+)", shell, re.MULTILINE)) <= set(COMMANDS)
    for template in re.findall(r"--template-file (\S+)", shell):
        assert (PROJECT / template).is_file()


@pytest.mark.parametrize("code", _blocks("python"), ids=lambda code: code.strip().splitlines()[-1])
def test_its_python_is_valid(code: str) -> None:
    """The examples import what exists, and the requests that they pass are accepted."""
    tree = ast.parse(code)
    scope: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            name = ast.unparse(node.value.func)
            (request,) = node.value.args
            flow = scope[name]
            assert callable(flow)
            exec(f"__request = {ast.unparse(request)}", scope)
            flow.validate_parameters({"request": scope["__request"]})  # type: ignore[attr-defined]
        else:
            exec(compile(ast.Module([node], []), "README.md", "exec"), scope)


@pytest.mark.parametrize("page", DOCS, ids=str)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A relative link or picture of any page is a file of the project."""
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text(page))
    missing = [t for t in targets if "://" not in t and not (PROJECT / page.parent / t).resolve().exists()]
    assert missing == []


def _anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"```.*?```", "", text(page), flags=re.DOTALL)
    headings = (re.sub(r"[^\w\- ]", "", line.lower()) for line in re.findall(r"^#+ (.*)$", prose, re.MULTILINE))
    return {heading.strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", DOCS, ids=str)
def test_anchors_are_headings(page: Path) -> None:
    """A link into a page leads to one of its headings, also after that was renamed."""
    targets = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", text(page))
    inside = [(page if not other else Path(os.path.normpath(page.parent / other)), name) for other, name in targets]
    assert [(f, name) for f, name in inside if f in DOCS and name not in _anchors(f)] == []


def test_the_index_of_docs_names_every_page() -> None:
    """A page that nobody links is a page that nobody reads."""
    index = text(Path("docs/README.md")) + README.replace("(docs/", "(")
    pages = [f.relative_to("docs") for f in DOCS if f.parts[0] == "docs" and "decisions" not in f.parts]
    assert [str(page) for page in pages if f"({page})" not in index and str(page) != "README.md"] == []
