"""A stack's life beyond its first create: one that fails, a delete and another create, and a changed parameter.

The simulated AWS keeps and removes resources by their policies as CloudFormation documents it. What CloudFormation
refuses to replace is asked of AWS's own resource schemas, for every parameter of every template.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from simulated_aws import estate
from simulated_aws.server import SimulatedAws
from tests.waiting import wait_for

KEPT = estate.TEMPLATES / "kept.yaml"
KEPT_OUTPUTS = ("RepriseLedgerTable", "RepriseArchiveBucket", "KeyArn")
TEMPLATES = sorted(estate.TEMPLATES.glob("*.yaml"))
LEDGER, BUCKET = "reprise-ledger", "reprise-archive-000000000000-us-east-1"

BUSY = 60
STORES = {"AWS::DynamoDB::Table", "AWS::S3::Bucket"}


@pytest.fixture
def aws(simulated_aws: SimulatedAws) -> SimulatedAws:
    simulated_aws.reset()
    return simulated_aws


def make(aws: SimulatedAws, **parameters: str) -> dict[str, str]:
    return estate.create(aws.client, estate.ESTATE, "reprise", parameters)


def kept(aws: SimulatedAws) -> tuple[list[str], list[str]]:
    """Tables and buckets that exist."""
    buckets = [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]]
    return aws.client("dynamodb").list_tables()["TableNames"], buckets


def stack(aws: SimulatedAws, name: str = "reprise") -> dict[str, Any]:
    return dict(aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0])


def delete(aws: SimulatedAws) -> None:
    identity = stack(aws)["StackId"]
    aws.client("cloudformation").delete_stack(StackName="reprise")
    wait_for("the stack's end", lambda: stack(aws, identity)["StackStatus"] == "DELETE_COMPLETE", seconds=BUSY)


def update(aws: SimulatedAws, parameters: Mapping[str, str]) -> None:
    """Deploy the estate's template over the stack."""
    aws.client("cloudformation").update_stack(
        StackName="reprise",
        TemplateBody=estate.ESTATE.read_text(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )

    def is_done() -> bool:
        status = stack(aws)["StackStatus"]
        assert "ROLLBACK" not in status, parameters
        return bool(status == "UPDATE_COMPLETE")

    wait_for("the update", is_done, seconds=BUSY)


BREAKS = """
  Breaks:
    Type: Custom::Breaks
    DependsOn: [Ledger, Archive, EventsQueue]
    Properties: { ServiceToken: "arn:aws:lambda:us-east-1:000000000000:function:none" }

Outputs:
"""


def test_a_create_that_fails_leaves_nothing_behind_and_the_next_one_works(aws: SimulatedAws, tmp_path: Path) -> None:
    """A failed create takes along what has a fixed name and is kept otherwise: else no later create would succeed."""
    broken = tmp_path / "broken.yaml"
    broken.write_text(estate.ESTATE.read_text().replace("\nOutputs:\n", BREAKS))
    with pytest.raises(RuntimeError, match="Breaks"):
        estate.create(aws.client, broken, "reprise", {})
    assert kept(aws) == ([], [])
    delete(aws)
    assert make(aws)["RepriseLedgerTable"] == LEDGER


def test_a_stack_that_is_deleted_keeps_its_data_and_comes_back_as_the_page_says(aws: SimulatedAws) -> None:
    """Ledger, archive and key stay with what is in them. A plain create refuses to begin beside them, another prefix
    works, and by the page's change set and a deploy of the template the estate has them again."""
    before = make(aws)
    item = {"pk": {"S": "case"}, "sk": {"S": "1"}}
    aws.client("dynamodb").put_item(TableName=LEDGER, Item=item)
    delete(aws)
    assert kept(aws) == ([LEDGER], [BUCKET])
    with pytest.raises(RuntimeError, match="ROLLBACK_COMPLETE"):
        make(aws)
    assert kept(aws) == ([LEDGER], [BUCKET])
    delete(aws)
    other = estate.create(aws.client, estate.ESTATE, "other", {"Prefix": "other", "MetricsNamespace": "Other"})
    assert other["RepriseLedgerTable"] == "other-ledger"

    cloudformation = aws.client("cloudformation")
    key = before["KeyArn"].rpartition("/")[2]
    cloudformation.create_change_set(
        StackName="reprise",
        ChangeSetName="kept",
        ChangeSetType="IMPORT",
        TemplateBody=KEPT.read_text(),
        ResourcesToImport=[
            {"ResourceType": kind, "LogicalResourceId": logical, "ResourceIdentifier": {name: value}}
            for kind, logical, name, value in (
                ("AWS::KMS::Key", "Key", "KeyId", key),
                ("AWS::DynamoDB::Table", "Ledger", "TableName", LEDGER),
                ("AWS::S3::Bucket", "Archive", "BucketName", BUCKET),
            )
        ],
    )

    def is_made() -> bool:
        described = cloudformation.describe_change_set(StackName="reprise", ChangeSetName="kept")
        assert described["Status"] != "FAILED", described.get("StatusReason")
        return bool(described["Status"] == "CREATE_COMPLETE")

    wait_for("the change set", is_made, seconds=BUSY)
    cloudformation.execute_change_set(StackName="reprise", ChangeSetName="kept")
    wait_for("the import", lambda: stack(aws)["StackStatus"] == "IMPORT_COMPLETE", seconds=BUSY)
    update(aws, {})
    after = {output["OutputKey"]: output["OutputValue"] for output in stack(aws)["Outputs"]}
    assert {name: after[name] for name in KEPT_OUTPUTS} == {name: before[name] for name in KEPT_OUTPUTS}
    assert aws.client("dynamodb").get_item(TableName=LEDGER, Key=item)["Item"] == item


def test_what_is_taken_up_is_what_the_estate_makes() -> None:
    """An index or a time to live that differed would be added to a table that has it, and AWS refuses that."""
    taken, made = (estate.load(each)["Resources"] for each in (KEPT, estate.ESTATE))
    assert taken.keys() == {name for name, each in made.items() if each.get("UpdateReplacePolicy") == "Retain"}
    ledger = dict(made["Ledger"]["Properties"])
    del ledger["DeletionProtectionEnabled"]
    assert taken["Ledger"]["Properties"] == ledger
    assert taken["Archive"]["Properties"]["BucketName"] == made["Archive"]["Properties"]["BucketName"]
    for name, each in taken.items():
        assert (each["Type"], each["DeletionPolicy"]) == (made[name]["Type"], made[name]["DeletionPolicy"])


# -- changed parameters --------------------------------------------------------------------------------------------


def parameters_in(value: Any, template: Mapping[str, Any]) -> set[str]:
    """The parameters that a value depends on, by conditions too."""
    known = template["Parameters"].keys()
    if isinstance(value, Mapping):
        found = set().union(*(parameters_in(each, template) for each in value.values()))
        if "Ref" in value and value["Ref"] in known:
            found.add(value["Ref"])
        if "Fn::Sub" in value:
            text = value["Fn::Sub"] if isinstance(value["Fn::Sub"], str) else value["Fn::Sub"][0]
            found |= set(re.findall(r"\$\{(\w+)\}", text)) & known
        if "Fn::If" in value:
            found |= parameters_in(template["Conditions"][value["Fn::If"][0]], template)
        if "Condition" in value and isinstance(value["Condition"], str):
            found |= parameters_in(template["Conditions"].get(value["Condition"], {}), template)
        return found
    if isinstance(value, list):
        return set().union(*(parameters_in(each, template) for each in value))
    return set()


def refused(template: Mapping[str, Any]) -> Iterator[str]:
    """Changes that CloudFormation refuses: it replaces no resource whose name stays the same.

    A property that AWS calls create-only makes it replace the resource; the new one exists beside the old one for a
    while, and cannot have its name.
    """
    for logical, resource in template["Resources"].items():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
        given = resource.get("Properties", {})
        names = [each.rpartition("/")[2] for each in schema.get("primaryIdentifier", ())]
        names = [name for name in names if name in given]
        if not names:
            continue  # CloudFormation names the new one
        in_name = set().union(*(parameters_in(given[name], template) for name in names))
        for path in schema.get("createOnlyProperties", ()):
            name = path.removeprefix("/properties/").partition("/")[0]
            if name in names or name not in given:
                continue
            for parameter in sorted(parameters_in(given[name], template) - in_name):
                yield f"{logical}.{name} by {parameter}"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_changed_parameter_wants_a_named_resource_replaced(template: Path) -> None:
    """Each parameter can be changed after the first deploy."""
    assert list(refused(estate.load(template))) == []


def test_a_named_resource_with_a_fixed_property_is_found() -> None:
    """The search finds what it is made for: a subscription's tasks under a fixed name."""
    template = {
        "Parameters": {"Tasks": {}, "Prefix": {}},
        "Conditions": {"Some": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Tasks"}, ""]}]}},
        "Resources": {
            "Events": {
                "Type": "AWS::DMS::EventSubscription",
                "Properties": {
                    "SubscriptionName": {"Fn::Sub": "${Prefix}-tasks"},
                    "SourceIds": {"Fn::If": ["Some", ["a"], {"Ref": "AWS::NoValue"}]},
                },
            }
        },
    }
    assert list(refused(template)) == ["Events.SourceIds by Tasks"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_what_is_replaced_with_its_data_is_kept(template: Path) -> None:
    """A changed parameter in the name of a table, a bucket or a key makes a new one; the old one stays."""
    loaded = estate.load(template)
    kinds = {resource["Type"] for resource in loaded["Resources"].values()}
    if template == estate.SAMPLE_WORKLOAD or not kinds & STORES:
        return  # made to be thrown away, or without data
    for name, resource in loaded["Resources"].items():
        if resource["Type"] in {*STORES, "AWS::KMS::Key"}:
            assert resource["UpdateReplacePolicy"] == "Retain", name


VALUES = {
    "DeadLetterQueues": "*-dlq",
    "DestinationQueues": "orders*",
    "ConsumerLogGroups": "/aws/lambda/*",
    "OutboxTopics": "orders-*",
    "AlertEmail": "people@example.com",
}


def changes() -> list[tuple[str, str]]:
    """Another value of each parameter of the estate that has one which is easy to name."""
    found = []
    for name, definition in estate.load(estate.ESTATE)["Parameters"].items():
        if name in VALUES:
            found.append((name, VALUES[name]))
        elif "AllowedValues" in definition:
            found.append((name, str(next(v for v in definition["AllowedValues"] if v != definition["Default"]))))
        elif definition["Type"] == "Number":
            found.append((name, str(int(definition["Default"]) + 1)))
    return found


def test_changed_parameters_of_the_estate_leave_its_data_where_it_is(aws: SimulatedAws) -> None:
    """One after the other, as a person does over the years: the stack is updated, and nothing that is kept is new."""
    before = make(aws)
    aws.client("dynamodb").put_item(TableName=LEDGER, Item={"pk": {"S": "case"}, "sk": {"S": "1"}})
    given: dict[str, str] = {}
    tried = changes()
    assert len(tried) >= 8
    for name, value in tried:
        given[name] = value
        update(aws, given)
        after = {output["OutputKey"]: output["OutputValue"] for output in stack(aws)["Outputs"]}
        for output in (*KEPT_OUTPUTS, "RepriseEventsQueueUrl"):
            assert after[output] == before[output], name
    assert aws.client("dynamodb").scan(TableName=LEDGER)["Count"] == 1
