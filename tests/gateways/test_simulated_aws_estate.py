"""The local estate is what the templates say: each property is looked up in what exists, through the services' APIs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from simulated_aws import estate
from simulated_aws.server import SimulatedAws

Found = dict[str, Any]


def _key(aws: SimulatedAws, key: str) -> Found:
    kms = aws.client("kms")
    return {
        "Description": kms.describe_key(KeyId=key)["KeyMetadata"]["Description"],
        "EnableKeyRotation": kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"],
        "KeyPolicy": json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]),
    }


def _alias(aws: SimulatedAws, alias: str) -> Found:
    named = {entry["AliasName"]: entry for entry in aws.client("kms").list_aliases()["Aliases"]}
    return {"AliasName": alias, "TargetKeyId": named[alias]["TargetKeyId"]}


def _table(aws: SimulatedAws, table: str) -> Found:
    dynamodb = aws.client("dynamodb")
    described = dynamodb.describe_table(TableName=table)["Table"]
    expiry = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    return {
        "TableName": described["TableName"],
        "BillingMode": described["BillingModeSummary"]["BillingMode"],
        "AttributeDefinitions": described["AttributeDefinitions"],
        "KeySchema": described["KeySchema"],
        "GlobalSecondaryIndexes": [
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
            for index in described["GlobalSecondaryIndexes"]
        ],
        "TimeToLiveSpecification": {
            "AttributeName": expiry["AttributeName"],
            "Enabled": expiry["TimeToLiveStatus"] == "ENABLED",
        },
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovery == "ENABLED"},
        "SSESpecification": {
            "SSEEnabled": described["SSEDescription"]["Status"] == "ENABLED",
            "SSEType": described["SSEDescription"]["SSEType"],
            "KMSMasterKeyId": described["SSEDescription"]["KMSMasterKeyArn"],
        },
    }


def _bucket(aws: SimulatedAws, bucket: str) -> Found:
    s3 = aws.client("s3")
    encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    lifecycle = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    return {
        "BucketName": bucket,
        "BucketEncryption": encryption,
        "PublicAccessBlockConfiguration": s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"],
        "OwnershipControls": s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"],
        "VersioningConfiguration": {"Status": s3.get_bucket_versioning(Bucket=bucket)["Status"]},
        "LifecycleConfiguration": lifecycle,
    }


def _bucket_policy(aws: SimulatedAws, bucket: str) -> Found:
    policy = aws.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
    return {"Bucket": bucket, "PolicyDocument": json.loads(policy)}


def _topic(aws: SimulatedAws, topic: str) -> Found:
    attributes = aws.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    return {
        "TopicName": attributes["TopicArn"].rpartition(":")[2],
        "DisplayName": attributes["DisplayName"],
        "KmsMasterKeyId": attributes["KmsMasterKeyId"],
    }


def _subscription(aws: SimulatedAws, subscription: str) -> Found:
    every = aws.client("sns").list_subscriptions()["Subscriptions"]
    [found] = [entry for entry in every if entry["SubscriptionArn"] == subscription]
    return {name: found[name] for name in ("TopicArn", "Protocol", "Endpoint")}


def _queue(aws: SimulatedAws, url: str) -> Found:
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    found: Found = {"QueueName": url.rpartition("/")[2], **attributes}
    for name in ("RedrivePolicy", "RedriveAllowPolicy"):
        if name in found:
            found[name] = json.loads(found[name])
    return found


def _alarm(aws: SimulatedAws, alarm: str) -> Found:
    [found] = aws.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    return dict(found)


def _log_group(aws: SimulatedAws, name: str) -> Found:
    [found] = aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return {"LogGroupName": found["logGroupName"], "RetentionInDays": found["retentionInDays"]}


def _managed_policy(aws: SimulatedAws, arn: str) -> Found:
    iam = aws.client("iam")
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    return {"Description": policy["Description"], "PolicyDocument": version["Document"]}


def _role(aws: SimulatedAws, name: str) -> Found:
    iam = aws.client("iam")
    role = iam.get_role(RoleName=name)["Role"]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return {
        "Description": role["Description"],
        "AssumeRolePolicyDocument": role["AssumeRolePolicyDocument"],
        "ManagedPolicyArns": [policy["PolicyArn"] for policy in attached],
    }


def _database(aws: SimulatedAws, name: str) -> Found:
    found = aws.client("glue").get_database(Name=name)["Database"]
    account = aws.client("sts").get_caller_identity()["Account"]
    return {"CatalogId": account, "DatabaseInput": {key: found[key] for key in ("Name", "Description")}}


def _glue_table(aws: SimulatedAws, name: str) -> Found:
    [database] = aws.client("glue").get_databases()["DatabaseList"]
    found = aws.client("glue").get_table(DatabaseName=database["Name"], Name=name)["Table"]
    account = aws.client("sts").get_caller_identity()["Account"]
    names = ("Name", "TableType", "Parameters", "PartitionKeys", "StorageDescriptor")
    table = {key: found[key] for key in names}
    return {"CatalogId": account, "DatabaseName": found["DatabaseName"], "TableInput": table}


READERS: Mapping[str, Callable[[SimulatedAws, str], Found]] = {
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::DynamoDB::Table": _table,
    "AWS::Glue::Database": _database,
    "AWS::Glue::Table": _glue_table,
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::IAM::Role": _role,
    "AWS::KMS::Alias": _alias,
    "AWS::KMS::Key": _key,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::S3::Bucket": _bucket,
    "AWS::S3::BucketPolicy": _bucket_policy,
    "AWS::SNS::Subscription": _subscription,
    "AWS::SNS::Topic": _topic,
    "AWS::SQS::Queue": _queue,
}

_ON_OTHERS = {"AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"}
"""Resources that are nothing but a policy of other resources; `test_policies_stand_on_their_resources` reads those."""


def wanted(kind: str, properties: Mapping[str, Any]) -> Found:
    """A template's properties in the spelling of the service's API, where the two differ."""
    spelled = dict(properties)
    if kind == "AWS::S3::Bucket":
        rules = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        spelled["BucketEncryption"] = [estate.bucket_encryption_rule(rule) for rule in rules]
        spelled["LifecycleConfiguration"] = [
            estate.lifecycle_rule(rule) for rule in properties["LifecycleConfiguration"]["Rules"]
        ]
    return spelled


def same(want: Any, have: Any) -> bool:
    """Equal but for the order of keys, and for numbers and truths that an API spells as text."""
    if isinstance(want, Mapping):
        return isinstance(have, Mapping) and want.keys() == have.keys() and all(same(want[k], have[k]) for k in want)
    if isinstance(want, list):
        return isinstance(have, list) and len(want) == len(have) and all(map(same, want, have))
    if isinstance(want, bool):
        return have == want or str(have).lower() == str(want).lower()
    if isinstance(want, int | float) or isinstance(have, int | float):
        return float(want) == float(have)
    return bool(want == have)


def compare(aws: SimulatedAws, template: Any, stack: str) -> list[str]:
    """Return the differences between a template and the estate, and the number of properties compared."""
    described = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    loaded = estate.load(template)
    resolved = estate.Resolved(aws.client, loaded, described)
    differences: list[str] = []
    for logical_id, properties in resolved.resources():
        kind = loaded["Resources"][logical_id]["Type"]
        if kind in _ON_OTHERS:
            continue
        # A bucket policy has a name of CloudFormation's own; what it stands on is its bucket.
        have = READERS[kind](aws, properties.get("Bucket", resolved.physical_id(logical_id)))
        for name, want in wanted(kind, properties).items():
            if name not in have or not same(want, have[name]):
                differences.append(f"{logical_id}.{name}: template {want!r}, exists {have.get(name)!r}")
    return differences


EVERYTHING = {
    "AlertEmail": "oncall@example.com",
    "SecondAlertEmail": "pager@example.com",
    "RetentionDays": "90",
    "GlacierDays": "7",
    "EventsRetentionSeconds": "7200",
    "WorkerPrincipalArn": "arn:aws:iam::000000000000:role/worker-host",
    "QueueKeyArns": "arn:aws:kms:us-east-1:000000000000:key/1,arn:aws:kms:us-east-1:000000000000:key/2",
    "PayloadObjectArns": "arn:aws:s3:::payloads/*",
    "MetricsNamespace": "Shop/Recovery",
    "OutboxTables": "*-outbox",
    "RecoverReplications": "restart-and-reload",
    "FlowNames": "crm-*",
    "FlowTwins": "yes",
    "FindConsumers": "yes",
    "TargetFunctions": "stock*",
    "TargetArns": "arn:aws:sns:us-east-1:000000000000:shipped-*",
}


@pytest.mark.parametrize(
    "parameters", [{}, EVERYTHING, {"GlacierDays": "0"}], ids=["defaults", "everything", "no-glacier"]
)
def test_the_estate_is_what_the_template_says(aws: SimulatedAws, parameters: dict[str, str]) -> None:
    """Every property of every resource of the estate exists, with the parameters' values, dropped ones included."""
    aws.create_estate(**parameters)
    assert compare(aws, estate.ESTATE, "reprise") == []


def test_the_sample_workload_is_what_the_template_says(aws: SimulatedAws) -> None:
    """So does every property of the sample workload."""
    topic = aws.create_estate()["RepriseAlertTopicArn"]
    aws.create_sample_workload(AlarmTopicArn=topic, VisibilitySeconds="1", MaxReceives="2")
    assert compare(aws, estate.SAMPLE_WORKLOAD, "sample-workload") == []


def test_the_comparison_sees_a_difference(aws: SimulatedAws) -> None:
    """A property that is dropped or has another value is found."""
    aws.create_estate()
    table, bucket = aws.environment["REPRISE_LEDGER_TABLE"], aws.environment["REPRISE_ARCHIVE_BUCKET"]
    aws.client("dynamodb").update_time_to_live(
        TableName=table, TimeToLiveSpecification={"AttributeName": "expires", "Enabled": False}
    )
    aws.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    found = compare(aws, estate.ESTATE, "reprise")
    assert [difference.partition(":")[0] for difference in found] == [
        "Ledger.TimeToLiveSpecification",
        "Archive.VersioningConfiguration",
    ]


def test_policies_stand_on_their_resources(aws: SimulatedAws) -> None:
    """The policies of topic and queues exist, and refuse what does not come over TLS."""
    outputs = aws.create_estate()
    topic = aws.client("sns").get_topic_attributes(TopicArn=outputs["RepriseAlertTopicArn"])["Attributes"]["Policy"]
    queues = [_queue(aws, outputs[name])["Policy"] for name in ("RepriseEventsQueueUrl", "RepriseEventsParkedQueueUrl")]
    for document in map(json.loads, [topic, *queues]):
        [refusal] = [statement for statement in document["Statement"] if statement["Effect"] == "Deny"]
        assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_outputs_become_variables(aws: SimulatedAws) -> None:
    """Each output named Reprise... is the variable that its name spells, in the environment for other processes."""
    outputs = aws.create_estate()
    environment = aws.environ({})
    assert environment["REPRISE_LEDGER_TABLE"] == outputs["RepriseLedgerTable"] == "reprise-ledger"
    assert environment["REPRISE_EVENTS_PARKED_QUEUE_URL"] == outputs["RepriseEventsParkedQueueUrl"]
    aws.reset()
    assert not [name for name in aws.environ({}) if name.startswith("REPRISE_")]


def test_a_stack_that_fails_says_why(aws: SimulatedAws, tmp_path: Any) -> None:
    """The reason of the resource that could not be created is in the error."""
    template = tmp_path / "broken.yaml"
    template.write_text("Resources: {Archive: {Type: 'AWS::S3::Bucket', Properties: {BucketName: taken}}}")
    aws.client("s3").create_bucket(Bucket="taken")
    with pytest.raises(RuntimeError, match=r"stack broken is ROLLBACK_COMPLETE: .*Validation failed"):
        estate.create(aws.client, template, "broken", {})
