"""Creates the local estate from the CloudFormation templates that a user deploys to AWS.

The emulator drops some properties without a word; `SUPPLEMENTS` adds them through the services' own APIs, with the
values that the template has. `tests/gateways/test_simulated_aws_estate.py` compares what exists with the template.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

TEMPLATES: Final = Path(__file__).parents[1] / "deployments" / "cloudformation"
ESTATE: Final = TEMPLATES / "estate.yaml"
SAMPLE_WORKLOAD: Final = TEMPLATES / "sample-workload.yaml"
OBSERVABILITY: Final = TEMPLATES / "observability.yaml"
_STACK_DEADLINE = 30.0
_NOTHING = object()

ClientOf = Callable[[str], Any]


def create(client: ClientOf, template: Path, stack: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """Create a stack, add what the emulator dropped, and return the stack's outputs.

    Args:
        client: gives the boto3 client of a service.
        parameters: values for the template's parameters; the others keep their defaults.

    Raises:
        RuntimeError: the stack could not be created; the message holds CloudFormation's reason.
    """
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=stack,
        TemplateBody=template.read_text(),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    described = _created(cloudformation, stack)
    resolved = Resolved(client, load(template), described)
    for kind, supplement in SUPPLEMENTS.items():
        for logical_id, resource in resolved.resources(kind):
            supplement(client, resolved.physical_id(logical_id), resource)
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def variables(outputs: Mapping[str, str]) -> dict[str, str]:
    """The environment variables among a stack's outputs: `RepriseLedgerTable` is REPRISE_LEDGER_TABLE."""
    return {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper(): value
        for name, value in outputs.items()
        if name.startswith("Reprise")
    }


def _created(cloudformation: Any, stack: str) -> dict[str, Any]:
    # The emulator works on a thread of its own, and is done in milliseconds.
    deadline, pause = time.monotonic() + _STACK_DEADLINE, threading.Event()
    while time.monotonic() < deadline:
        described: dict[str, Any] = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        if described["StackStatus"] == "CREATE_COMPLETE":
            return described
        if described["StackStatus"] != "CREATE_IN_PROGRESS":
            events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
            reasons = [
                f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
                for event in events
                if event["ResourceStatus"].endswith("FAILED")
            ]
            raise RuntimeError(f"stack {stack} is {described['StackStatus']}: {'; '.join(reasons)}")
        pause.wait(0.01)
    raise RuntimeError(f"stack {stack} was not created within {_STACK_DEADLINE:.0f} seconds")


# -- reading templates ---------------------------------------------------------------------------------------------


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # the one in C is ten times as fast
    pass


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


def load(template: Path) -> dict[str, Any]:
    """A template with its short intrinsic functions in their long form."""
    loaded: dict[str, Any] = yaml.load(template.read_text(), _Loader)  # noqa: S506 - a SafeLoader with plain values
    return loaded


class Resolved:
    """A template's resources with the values that they have in a stack.

    Only the functions that the templates use in properties are known; another one raises `KeyError`.

    Args:
        client: gives the boto3 client of a service, to ask for attributes of resources.
        template: as `load` reads it.
        stack: as DescribeStacks answers.
    """

    def __init__(self, client: ClientOf, template: Mapping[str, Any], stack: Mapping[str, Any]) -> None:
        self._client = client
        self._template = template
        described = client("cloudformation").describe_stack_resources(StackName=stack["StackName"])
        self._ids: dict[str, str] = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in described["StackResources"]
        }
        parameters: dict[str, Any] = {
            name: definition.get("Default") for name, definition in template.get("Parameters", {}).items()
        }
        parameters |= {given["ParameterKey"]: given["ParameterValue"] for given in stack.get("Parameters", [])}
        for name, definition in template.get("Parameters", {}).items():
            if definition["Type"] == "CommaDelimitedList":
                parameters[name] = parameters[name].split(",")
        _, _, _, region, account, _ = stack["StackId"].split(":", 5)
        pseudo = {"AWS::AccountId": account, "AWS::Region": region, "AWS::Partition": "aws"}
        self._values: dict[str, Any] = {**parameters, **pseudo, **self._ids}

    def physical_id(self, logical_id: str) -> str:
        return self._ids[logical_id]

    def resources(self, kind: str = "") -> list[tuple[str, dict[str, Any]]]:
        """Logical id and resolved properties of the resources (of one type) that the stack's conditions make."""
        return [
            (logical_id, self.value(resource.get("Properties", {})))
            for logical_id, resource in self._template["Resources"].items()
            if kind in ("", resource["Type"]) and ("Condition" not in resource or self.condition(resource["Condition"]))
        ]

    def condition(self, name: str) -> bool:
        """True when a condition of the template holds."""
        return bool(self.value(self._template["Conditions"][name]))

    def value(self, node: Any) -> Any:
        """A property's value with all functions carried out."""
        if isinstance(node, list):
            return [item for item in map(self.value, node) if item is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(function, argument)] = node.items()
            named = function == "Condition" and isinstance(argument, str)  # else the part of a policy
            if named or function == "Ref" or function.startswith("Fn::"):
                return self._function(function, argument)
        resolved = {name: self.value(item) for name, item in node.items()}
        return {name: item for name, item in resolved.items() if item is not _NOTHING}

    def _function(self, function: str, argument: Any) -> Any:
        match function:
            case "Ref":
                return _NOTHING if argument == "AWS::NoValue" else self._values[argument]
            case "Condition":
                return self.condition(argument)
            case "Fn::If":
                return self.value(argument[1] if self.condition(argument[0]) else argument[2])
            case "Fn::Equals":
                return str(self.value(argument[0])) == str(self.value(argument[1]))
            case "Fn::And":
                return all(self.value(condition) for condition in argument)
            case "Fn::Or":
                return any(self.value(condition) for condition in argument)
            case "Fn::Join":
                return argument[0].join(self.value(argument[1]))
            case "Fn::Split":
                return self.value(argument[1]).split(argument[0])
            case "Fn::Not":
                return not self.value(argument[0])
            case "Fn::Select":
                return self.value(argument[1])[int(argument[0])]
            case "Fn::Sub":
                text, given = (argument, {}) if isinstance(argument, str) else argument
                own = {name: self.value(value) for name, value in given.items()}
                return re.sub(
                    r"\$\{([^!}][^}]*)\}",
                    lambda found: str(own[found[1]] if found[1] in own else self._named(found[1])),
                    text,
                ).replace("${!", "${")
            case "Fn::GetAtt":
                return self._named(argument if isinstance(argument, str) else ".".join(argument))
        raise KeyError(function)

    def _named(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        logical_id, _, attribute = name.partition(".")
        physical_id, kind = self._ids[logical_id], self._template["Resources"][logical_id]["Type"]
        return _ATTRIBUTES[kind, attribute](self._client, physical_id)


_ATTRIBUTES: Mapping[tuple[str, str], Callable[[ClientOf, str], str]] = {
    ("AWS::KMS::Key", "Arn"): lambda client, key: client("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"],
    ("AWS::SQS::Queue", "Arn"): lambda client, url: client("sqs").get_queue_attributes(
        QueueUrl=url, AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"],
    ("AWS::SQS::Queue", "QueueName"): lambda _, url: url.rpartition("/")[2],
    ("AWS::S3::Bucket", "Arn"): lambda _, bucket: f"arn:aws:s3:::{bucket}",
    ("AWS::DynamoDB::Table", "Arn"): lambda client, table: client("dynamodb").describe_table(TableName=table)["Table"][
        "TableArn"
    ],
}


# -- what the emulator drops ---------------------------------------------------------------------------------------


def _complete_table(client: ClientOf, table: str, properties: Mapping[str, Any]) -> None:
    dynamodb = client("dynamodb")
    if expiry := properties.get("TimeToLiveSpecification"):
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=expiry)
    if recovery := properties.get("PointInTimeRecoverySpecification"):
        dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
    if encryption := properties.get("SSESpecification"):
        key = encryption["KMSMasterKeyId"]
        specification = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
        dynamodb.update_table(TableName=table, SSESpecification=specification)


def _complete_bucket(client: ClientOf, bucket: str, properties: Mapping[str, Any]) -> None:
    if encryption := properties.get("BucketEncryption"):
        rules = [bucket_encryption_rule(rule) for rule in encryption["ServerSideEncryptionConfiguration"]]
        client("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    if lifecycle := properties.get("LifecycleConfiguration"):
        rules = [lifecycle_rule(rule) for rule in lifecycle["Rules"]]
        client("s3").put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def bucket_encryption_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A template's encryption rule as the S3 API spells it."""
    default = rule["ServerSideEncryptionByDefault"]
    return {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": rule["BucketKeyEnabled"]}


def lifecycle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A template's lifecycle rule as the S3 API spells it."""
    spelled: dict[str, Any] = {"ID": rule["Id"], "Status": rule["Status"], "Filter": {"Prefix": ""}}
    if "ExpirationInDays" in rule:
        spelled["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    if "Transitions" in rule:
        spelled["Transitions"] = [
            {"Days": int(step["TransitionInDays"]), "StorageClass": step["StorageClass"]}
            for step in rule["Transitions"]
        ]
    for name in ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
        if name in rule:
            spelled[name] = rule[name]
    return spelled


def _complete_topic(client: ClientOf, topic: str, properties: Mapping[str, Any]) -> None:
    if key := properties.get("KmsMasterKeyId"):
        client("sns").set_topic_attributes(TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue=key)


SUPPLEMENTS: Final[Mapping[str, Callable[[ClientOf, str, Mapping[str, Any]], None]]] = {
    "AWS::DynamoDB::Table": _complete_table,
    "AWS::S3::Bucket": _complete_bucket,
    "AWS::SNS::Topic": _complete_topic,
}
