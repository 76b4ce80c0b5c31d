"""prefect.yaml says what Prefect will do: every mistake that Prefect takes without a word is one here."""

from __future__ import annotations

import importlib.metadata
import re
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.cli.deploy._models import ConcurrencyLimitSpec, DeploymentConfig, PrefectYamlModel, RawScheduleConfig
from prefect.events import DeploymentCompoundTrigger, DeploymentEventTrigger, DeploymentSequenceTrigger
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.schema_tools import validate
from pydantic import BaseModel

from relay.prefect_events import TRIGGER
from tests.project.checkout import PROJECT, paths

DOCUMENT: dict[str, Any] = yaml.safe_load((PROJECT / "prefect.yaml").read_text(encoding="utf-8"))
DEPLOYMENTS: list[dict[str, Any]] = DOCUMENT["deployments"]

TRIGGERS: dict[str, type[BaseModel]] = {
    "event": DeploymentEventTrigger,
    "compound": DeploymentCompoundTrigger,
    "sequence": DeploymentSequenceTrigger,
}

every_deployment = pytest.mark.parametrize(
    "deployment", DEPLOYMENTS, ids=lambda d: f"{d['entrypoint'].split('.')[1]}/{d['name']}"
)


def flow_of(deployment: dict[str, Any]) -> Flow[Any, Any]:
    """The flow behind the entrypoint, really imported: a placeholder would hide a missing dependency."""
    found: Flow[Any, Any] = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    return found


def full_name(deployment: dict[str, Any]) -> str:
    """Its full name, as "dead-letters/sweep"."""
    return f"{flow_of(deployment).name}/{deployment['name']}"


def unknown_keys(given: dict[str, Any], model: type[BaseModel]) -> set[str]:
    """Keys that the model would ignore."""
    return set(given) - {field.alias or name for name, field in model.model_fields.items()}


def triggers_of(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    """All triggers of the deployment, those inside compound ones included."""
    found: list[dict[str, Any]] = list(deployment.get("triggers") or [])
    for trigger in found:
        found += trigger.get("triggers") or []
    return found


def has_template(value: Any) -> bool:
    """True for a value that is filled in only when an event comes."""
    return "{{" in str(value) or "__prefect_kind" in str(value)


def test_the_file_is_read_as_it_is_written() -> None:
    """No key is one that Prefect ignores; the version in it is the locked one."""
    PrefectYamlModel.model_validate(DOCUMENT)
    assert unknown_keys(DOCUMENT, PrefectYamlModel) <= {"definitions"}
    assert DOCUMENT["prefect-version"] == importlib.metadata.version("prefect")
    assert DEPLOYMENTS


def test_every_path_has_a_deployment() -> None:
    """Each path can be started from the UI."""
    assert {deployment["entrypoint"].split(".")[1] for deployment in DEPLOYMENTS} >= set(paths())


def test_names_are_unique() -> None:
    """Two deployments of one name would replace each other; so would two schedules of one slug."""
    names = [full_name(deployment) for deployment in DEPLOYMENTS]
    assert len(names) == len(set(names))
    for deployment in DEPLOYMENTS:
        slugs = [schedule["slug"] for schedule in deployment.get("schedules") or []]
        assert len(slugs) == len(set(slugs)), deployment["name"]


@every_deployment
def test_entrypoints_resolve_in_both_forms(deployment: dict[str, Any]) -> None:
    """The module form finds the flow without a checkout on the path, and the file form finds the same one."""
    entrypoint = deployment["entrypoint"]
    assert re.fullmatch(r"flows\.\w+\.\w+", entrypoint), "a module's name, without a colon"
    module, function = entrypoint.rsplit(".", 1)
    flow = flow_of(deployment)
    file = PROJECT / f"{module.replace('.', '/')}.py"
    from_file: Flow[Any, Any] = load_flow_from_entrypoint(f"{file}:{function}", use_placeholder_flow=False)
    assert isinstance(flow, Flow)
    assert (from_file.name, from_file.fn.__name__) == (flow.name, function)


@every_deployment
def test_a_person_learns_what_it_is_for(deployment: dict[str, Any]) -> None:
    """The deployment's page has a description, and its list can be narrowed by tags."""
    assert not unknown_keys(deployment, DeploymentConfig)
    assert len(deployment["description"].split()) > 5
    assert deployment["tags"]
    assert deployment["work_pool"]["name"]
    assert flow_of(deployment).description, "the flow's docstring is what the form shows first"


@every_deployment
def test_runs_of_a_path_do_not_pile_up(deployment: dict[str, Any]) -> None:
    """At most one at a time, with a rule for the next; what a person starts is never cancelled."""
    limit = deployment["concurrency_limit"]
    assert not unknown_keys(limit, ConcurrencyLimitSpec)
    assert limit["limit"] == 1
    by_a_person = not deployment.get("schedules") and not deployment.get("triggers")
    assert limit["collision_strategy"] == ("ENQUEUE" if by_a_person else "CANCEL_NEW")


@every_deployment
def test_parameters_fit_the_flow(deployment: dict[str, Any]) -> None:
    """The flow takes the file's values, alone or with a schedule's own."""
    flow = flow_of(deployment)
    base = deployment.get("parameters") or {}
    sets = [base, *({**base, **(schedule.get("parameters") or {})} for schedule in deployment.get("schedules") or [])]
    for parameters in sets:
        validate(parameters, flow.parameters.model_dump(), raise_on_error=True)
        flow.validate_parameters(parameters)


@every_deployment
def test_only_what_runs_by_itself_acts_by_itself(deployment: dict[str, Any]) -> None:
    """Events and schedules act; a run by hand stays a dry run until a person says otherwise, unless it only reads."""
    by_itself = bool(deployment.get("schedules") or deployment.get("triggers"))
    request = deployment["parameters"]["request"]
    if "dry_run" not in request:  # it only reads, or writes nothing but a note
        assert full_name(deployment).split("/")[0] in ("cases", "discover") or deployment["name"] == "plan"
        assert not by_itself
    else:
        assert request["dry_run"] is (not by_itself)


@every_deployment
def test_schedules_keep_their_identity_and_their_phase(deployment: dict[str, Any]) -> None:
    """Without a slug a redeployment makes a second schedule; without an anchor an interval starts anew with each."""
    for schedule in deployment.get("schedules") or []:
        RawScheduleConfig.model_validate(schedule)
        assert schedule["slug"]
        assert "interval" not in schedule or schedule["anchor_date"]
        assert "{{" not in str(schedule)


@every_deployment
def test_triggers_expect_something_of_something(deployment: dict[str, Any]) -> None:
    """A misspelt key is dropped in silence, and a trigger without `expect` or `match` fires at every event."""
    for trigger in triggers_of(deployment):
        model = TRIGGERS[trigger.get("type", "event")]
        assert not unknown_keys(trigger, model)
        model.model_validate(trigger)
        if model is DeploymentEventTrigger:
            assert trigger["expect"]
            assert all(trigger["expect"])
            assert trigger["match"]
            assert set(trigger["match"].values()) != {"*"}


@every_deployment
def test_triggers_fire_at_rings_alone(deployment: dict[str, Any]) -> None:
    """Of a burst of a thousand events only the first and one after the last carry the label that starts a run."""
    for trigger in triggers_of(deployment):
        if any(name.startswith("reprise.") for name in trigger.get("expect") or []):
            assert trigger["match"][TRIGGER] == "yes"


@every_deployment
def test_triggers_give_parameters_that_the_flow_has(deployment: dict[str, Any]) -> None:
    """A template that stands alone in a list is lost by a redeployment; a parameter of no flow fails each run."""
    flow = flow_of(deployment)
    for trigger in triggers_of(deployment):
        parameters = trigger.get("parameters") or {}
        assert set(parameters) <= set(flow.parameters.properties)
        assert not re.search(r"- *['\"]?\{\{[^}]*\}\}['\"]? *$", yaml.safe_dump(parameters), re.MULTILINE)
        if not has_template(parameters):
            flow.validate_parameters({**(deployment.get("parameters") or {}), **parameters})


def test_every_deployment_is_documented() -> None:
    """Each deployment stands in the documents under the name that a person types."""
    pages = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
    written = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert [name for name in map(full_name, DEPLOYMENTS) if name not in written] == []
