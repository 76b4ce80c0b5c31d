"""The CloudFormation templates are right for AWS, and say what the code and its settings rely on."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prefect_aws.observers import ecs as ecs_observer
from prefect_aws.workers import ecs_worker

import recovery
from deployments.smoke import MARK
from recovery.appflow_runs.models import TWIN_PREFIX
from recovery.archive import bundle_key
from recovery.cases import State
from recovery.dead_letters.batch import Batch
from recovery.dead_letters.policy import DeadLetterPolicy
from recovery.dead_letters.records import archive_record
from recovery.dead_letters.verdicts import ArchiveVerdict
from recovery.outbox_records import stream
from recovery.settings import SETTINGS
from relay import permissions
from simulated_aws import estate
from tests.project.checkout import text
from tests.security import policies
from tests.security.calls import Need
from tests.unit.dead_letters.samples import NOW, diagnosis, message, queue

TEMPLATES = sorted(estate.TEMPLATES.glob("*.yaml"))
ESTATE = estate.load(estate.ESTATE)
SAMPLE = estate.load(estate.SAMPLE_WORKLOAD)


def properties(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"] for name, resource in template["Resources"].items() if resource["Type"] == kind
    }


def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of a policy; those behind a condition as if it held."""
    return [entry["Fn::If"][1] if "Fn::If" in entry else entry for entry in document["Statement"]]


def linted(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the linter that knows AWS's own schemas on all templates: reading the schemas is most of its time."""
    command = [str(Path(sys.executable).with_name("cfn-lint")), *map(str, TEMPLATES), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_cfn_lint_finds_nothing() -> None:
    """The linter has nothing to say."""
    done = linted()
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_parameter_is_described_and_bounded(template: Path) -> None:
    """A person sees what each parameter means, and a wrong value is refused before anything is created."""
    for name, definition in estate.load(template)["Parameters"].items():
        assert definition.get("Description"), name
        assert "Default" in definition, name
        if definition["Type"] == "Number":
            assert "MinValue" in definition or "AllowedValues" in definition, name


def test_every_parameter_is_shown_in_a_group() -> None:
    """The console's form of the estate has no parameter outside a labelled group."""
    groups = ESTATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    assert sorted(shown) == sorted(ESTATE["Parameters"])


def test_the_alerts_reach_people_by_e_mail() -> None:
    """Addresses are parameters, and each one given is subscribed to the alert topic."""
    subscriptions = properties(ESTATE, "AWS::SNS::Subscription").values()
    assert {entry["Endpoint"]["Ref"] for entry in subscriptions} == {"AlertEmail", "SecondAlertEmail"}
    assert {entry["Protocol"] for entry in subscriptions} == {"email"}


def test_the_outputs_name_known_settings() -> None:
    """Each output that becomes a variable is a setting of the project, and the estate's required ones are all there."""
    exported = estate.variables(dict.fromkeys(ESTATE["Outputs"], ""))
    for output in ESTATE["Outputs"]:
        described = ESTATE["Outputs"][output].get("Description")
        assert described == next(iter(estate.variables({output: ""})), None), output
    required = {setting.name for setting in SETTINGS if setting.default is None}
    assert required <= set(exported)


def test_everything_kept_is_named_by_an_output() -> None:
    """Every ARN and URL that a person needs is an output: each resource but policies, aliases and subscriptions."""
    auxiliary = re.compile("Policy$|Alias$|Subscription$|Alarm$")
    text = str(ESTATE["Outputs"])
    for name in ESTATE["Resources"]:
        if not auxiliary.search(name) or name == "WorkerPolicy":
            assert f"'{name}'" in text or f"'{name}." in text, name


def test_what_is_kept_survives_the_stack() -> None:
    """Deleting the stack deletes neither the ledger nor the archive, nor the key that reads them."""
    outbox = estate.load(estate.TEMPLATES / "outbox.yaml")
    kept = [ESTATE["Resources"][name] for name in ("Ledger", "Archive", "Key")]
    for resource in (*kept, outbox["Resources"]["Table"], outbox["Resources"]["Key"]):
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_everything_is_encrypted_with_the_key() -> None:
    """Ledger, archive, topic and queues of the estate use its key."""
    uses = {"Fn::GetAtt": "Key.Arn"}, {"Ref": "Key"}
    assert ESTATE["Resources"]["Ledger"]["Properties"]["SSESpecification"]["KMSMasterKeyId"] in uses
    for entry in (*properties(ESTATE, "AWS::SQS::Queue").values(), *properties(ESTATE, "AWS::SNS::Topic").values()):
        assert entry["KmsMasterKeyId"] in uses
    [rule] = properties(ESTATE, "AWS::S3::Bucket")["Archive"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] in uses


def test_athena_reads_what_the_archive_holds() -> None:
    """Columns are fields of the records, the partition is not one of them, and the place is that of the bundles."""
    table = properties(ESTATE, "AWS::Glue::Table")["ArchiveTable"]["TableInput"]
    batch = Batch(queue(), DeadLetterPolicy(log_group="/teams/orders"), [message()])
    batch.items[0].verdict = ArchiveVerdict(State.ARCHIVED, "why", rule="action-archive")
    batch.items[0].diagnosis = diagnosis()
    record = archive_record(batch.items[0], batch, NOW)
    columns = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
    assert set(columns) == set(record) - {"path"}
    for name in ("verdict", "diagnosis", "evidence"):
        assert set(re.findall(r"(\w+):string", columns[name])) == set(record[name]) - {"attributes"}
    assert [key["Name"] for key in table["PartitionKeys"]] == ["path"]
    key = bundle_key(record["path"], "orders-dlq", NOW, "b")
    place = table["Parameters"]["storage.location.template"]["Fn::Sub"]
    assert key.startswith(place.removeprefix("s3://${Archive}/").replace("${!path}", record["path"]))
    assert record["path"] in table["Parameters"]["projection.path.values"].split(",")


def test_the_queries_of_the_page_name_columns_of_the_table() -> None:
    """Each name before a dot, or alone, in the page's SQL is a column."""
    table = properties(ESTATE, "AWS::Glue::Table")["ArchiveTable"]["TableInput"]
    known = {column["Name"] for column in table["StorageDescriptor"]["Columns"]} | {"path"}
    page = text(Path("docs/operations.md"))
    queries = page[page.index("`ArchiveTableName`") : page.index("With DuckDB:")]
    named = set(re.findall(r"(\w+)(?:\.\w+)? (?:=|>=|like)", queries)) | set(re.findall(r"min\((\w+)\)", queries))
    assert named
    assert named <= known


def test_the_archive_is_private() -> None:
    """All four blocks of public access are on, and nothing is served without TLS."""
    archive = properties(ESTATE, "AWS::S3::Bucket")["Archive"]
    assert set(archive["PublicAccessBlockConfiguration"].values()) == {True}
    [refusal] = properties(ESTATE, "AWS::S3::BucketPolicy")["ArchivePolicy"]["PolicyDocument"]["Statement"]
    assert (refusal["Effect"], refusal["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_archived_messages_can_be_replayed_at_once() -> None:
    """The archive's cold storage is the one that answers GetObject without a restore."""
    [rule] = properties(ESTATE, "AWS::S3::Bucket")["Archive"]["LifecycleConfiguration"]["Rules"]
    assert [step["StorageClass"] for step in rule["Transitions"]["Fn::If"][1]] == ["GLACIER_IR"]


POLICIES = properties(ESTATE, "AWS::IAM::ManagedPolicy")

NOT_BY_RESOURCE = {
    "appflow:ListFlows",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:DescribeAlarmsForMetric",
    "cloudwatch:GetMetricData",
    "cloudwatch:ListMetrics",
    "cloudwatch:PutMetricData",
    "dms:DescribeReplicationConfigs",
    "dms:DescribeReplicationInstances",
    "dms:DescribeReplicationTableStatistics",
    "dms:DescribeReplicationTasks",
    "dms:DescribeReplications",
    "dms:DescribeTableStatistics",
    "dms:ListTagsForResource",
    "lambda:ListEventSourceMappings",
    "lambda:ListFunctions",
    "logs:DescribeLogGroups",
    "logs:GetQueryResults",
    "logs:StopQuery",
    "sns:GetSubscriptionAttributes",
    "sqs:ListQueues",
}
"""Actions that AWS cannot bound by a resource, or that look at things whose names nobody knows beforehand."""


def test_the_worker_has_no_wildcard_action() -> None:
    """The policies list single actions; `*` as a resource stands only where no finer one serves."""
    for policy in POLICIES.values():
        for statement in statements(policy["PolicyDocument"]):
            assert statement["Effect"] == "Allow"
            assert not [action for action in statement["Action"] if "*" in action], statement["Sid"]
            if statement["Resource"] == "*":
                assert set(statement["Action"]) <= NOT_BY_RESOURCE, statement["Sid"]


def test_the_policies_are_what_the_gateways_use() -> None:
    """Every action that a gateway declares is granted, and nothing is granted that none declares.

    Actions of the relay alone are in the relay's policy (below), and not in the worker's.
    """
    granted = {
        action
        for policy in POLICIES.values()
        for statement in statements(policy["PolicyDocument"])
        for action in statement["Action"]
    }
    assert granted == declared() - {action for name in ("follow", "read") for action in stream.ACTIONS[name]}


def test_only_the_relay_reads_the_events() -> None:
    """The worker's role knows neither the events queue nor the one beside it."""
    assert "EventsQueue" not in str(POLICIES)
    assert "EventsDeadLetterQueue" not in str(POLICIES)
    assert "Reason" in properties(ESTATE, "AWS::CloudWatch::Alarm")["EventsParkedAlarm"]["AlarmDescription"]


def declared() -> set[str]:
    """The sum of the tables of IAM actions in the project's modules."""
    found: set[str] = set()
    for module in pkgutil.walk_packages(recovery.__path__, "recovery."):
        loaded = importlib.import_module(module.name)
        for name, table in vars(loaded).items():
            if name.endswith("ACTIONS") and isinstance(table, Mapping):
                found |= {action for actions in table.values() for action in actions if ":" in action}
    return found


EVENTS = estate.load(estate.TEMPLATES / "events.yaml")
DIRECT = estate.load(estate.TEMPLATES / "direct.yaml")


def test_the_relay_s_policy_is_what_it_uses() -> None:
    """The role of the relay may do what its tables say, and nothing else."""
    [policy] = properties(EVENTS, "AWS::IAM::ManagedPolicy").values()
    entries = statements(policy["PolicyDocument"])
    assert {action for entry in entries for action in entry["Action"]} == permissions.actions()
    assert {action for entry in entries if entry["Resource"] == "*" for action in entry["Action"]} <= NOT_BY_RESOURCE
    [metrics] = [entry for entry in entries if entry["Sid"] == "PublishMetrics"]
    assert metrics["Condition"] == {"StringEquals": {"cloudwatch:namespace": {"Ref": "MetricsNamespace"}}}


def test_nothing_undeliverable_is_lost() -> None:
    """An event that EventBridge cannot deliver to the events queue, or to a server, is parked."""
    for rule in (*properties(EVENTS, "AWS::Events::Rule").values(), *properties(DIRECT, "AWS::Events::Rule").values()):
        for target in rule["Targets"]:
            assert target["DeadLetterConfig"] == {"Arn": {"Ref": "ParkedQueueArn"}}


def test_no_text_of_a_failure_leaves_aws_directly() -> None:
    """A rule that starts a run without the relay passes only names: nobody would mask a text on its way."""
    for rule in properties(DIRECT, "AWS::Events::Rule").values():
        transformed = rule["Targets"][0].get("InputTransformer", {"InputPathsMap": {}, "InputTemplate": "{}"})
        assert not [path for path in transformed["InputPathsMap"].values() if "essage" in path or "error" in path]
        filled = re.sub("<([a-z]+)>", r'"\1"', transformed["InputTemplate"])
        assert set(re.findall("<([a-z]+)>", transformed["InputTemplate"])) == set(transformed["InputPathsMap"])
        assert set(json.loads(filled)) <= {"idempotency_key", "parameters"}


def test_the_policy_knows_the_names_of_twins() -> None:
    """Temporary copies of flows may be made and deleted under their prefix only."""
    document = POLICIES["AppFlowPolicy"]["PolicyDocument"]
    [twins] = [entry for entry in statements(document) if "appflow:DeleteFlow" in entry["Action"]]
    assert twins["Resource"]["Fn::Sub"].endswith(f":flow/{TWIN_PREFIX}*")


def test_metrics_go_into_one_namespace() -> None:
    """PutMetricData knows no resource, so the namespace bounds it."""
    document = POLICIES["WorkerPolicy"]["PolicyDocument"]
    [metrics] = [entry for entry in statements(document) if entry["Sid"] == "PublishMetrics"]
    assert metrics["Condition"] == {"StringEquals": {"cloudwatch:namespace": {"Ref": "MetricsNamespace"}}}


@pytest.mark.parametrize("template", [ESTATE, SAMPLE], ids=["estate", "sample"])
def test_messages_outlive_their_source(template: dict[str, Any]) -> None:
    """A dead-letter queue keeps messages longer than the queues that feed it, whose time goes on counting."""
    queues = properties(template, "AWS::SQS::Queue")
    fed = [entry for entry in queues.values() if "RedrivePolicy" in entry]
    assert fed
    for entry in fed:
        target = queues[entry["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"].partition(".")[0]]
        retention = entry["MessageRetentionPeriod"]
        if isinstance(retention, dict):
            retention = template["Parameters"][retention["Ref"]]["Default"]
        assert target["MessageRetentionPeriod"] > retention
        assert str(entry["QueueName"]).endswith(".fifo") == str(target["QueueName"]).endswith(".fifo")


def test_the_sample_has_every_kind_of_queue() -> None:
    """A plain pair, a FIFO pair, and one dead-letter queue that two queues share."""
    queues = properties(SAMPLE, "AWS::SQS::Queue")
    feeds = [
        entry["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"]
        for entry in queues.values()
        if "RedrivePolicy" in entry
    ]
    assert {queue: feeds.count(queue) for queue in feeds} == {
        "OrdersDeadLetterQueue.Arn": 1,
        "OrderedDeadLetterQueue.Arn": 1,
        "SharedDeadLetterQueue.Arn": 2,
    }


def test_the_depth_alarm_waits_five_minutes_above_ten() -> None:
    """Its defaults: more than 10 visible messages, in each of 5 periods of 60 seconds."""
    alarm = properties(SAMPLE, "AWS::CloudWatch::Alarm")["OrdersDepthAlarm"]
    defaults = {name: entry["Default"] for name, entry in SAMPLE["Parameters"].items()}
    assert (alarm["Period"], alarm["ComparisonOperator"]) == (60, "GreaterThanThreshold")
    assert defaults[alarm["Threshold"]["Ref"]] == 10
    assert defaults[alarm["EvaluationPeriods"]["Ref"]] == 5
    assert alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"


# -- safe in an account ------------------------------------------------------------------------------------------------

ELSEWHERE = ("eu-central-1", "cn-north-1", "us-gov-west-1")


def test_cfn_lint_finds_nothing_in_other_partitions() -> None:
    """GovCloud has no API destinations: the way without a relay is not for it, and nothing else is missing."""
    done = linted("--format", "json", "--regions", *ELSEWHERE)
    found = {
        f"{Path(each['Filename']).name}: {each['Rule']['Id']} {each['Message']}" for each in json.loads(done.stdout)
    }
    assert found == {
        f"direct.yaml: E3006 Resource type 'AWS::Events::{kind}' does not exist in 'us-gov-west-1'"
        for kind in ("Connection", "ApiDestination")
    }


def default(template: str, parameter: str) -> Any:
    return estate.load(estate.TEMPLATES / template)["Parameters"][parameter]["Default"]


def test_nothing_is_sent_read_or_started_unless_it_is_named() -> None:
    """By default the worker sends to the smoke test's queues only, reads no logs, and starts what bears the tag."""
    assert default("estate.yaml", "DestinationQueues") == f"{MARK}-*"
    for parameter in ("ConsumerLogGroups", "OutboxTopics", "DestinationQueueArns", "ConsumerLogGroupArns"):
        assert default("estate.yaml", parameter) == "", parameter
    assert default("estate.yaml", "OnlyTagged") == "yes"
    assert default("events.yaml", "AlarmPrefix") == ""
    tagged = {"StringEquals": {"aws:ResourceTag/reprise": "recover"}}
    starts = [
        entry
        for policy in POLICIES.values()
        for entry in statements(policy["PolicyDocument"])
        if {"dms:StartReplicationTask", "dms:ReloadTables"} & set(entry["Action"])
        or (entry["Action"] == ["appflow:StartFlow"])
    ]
    assert len(starts) == 3
    assert all(entry["Condition"]["Fn::If"] == ["NeedsTheTag", tagged, {"Ref": "AWS::NoValue"}] for entry in starts)


def test_every_rule_and_subscription_of_the_events_queue_has_a_dead_letter_queue() -> None:
    """A mistake in a policy or a key must not lose an event without a trace."""
    for template in TEMPLATES:
        loaded = estate.load(template)
        for name, rule in properties(loaded, "AWS::Events::Rule").items():
            assert all("DeadLetterConfig" in target for target in rule["Targets"]), (template.name, name)
        for name, subscription in properties(loaded, "AWS::SNS::Subscription").items():
            assert subscription["Protocol"] != "sqs" or "RedrivePolicy" in subscription, (template.name, name)


def test_the_estate_alone_has_an_alarm_when_nothing_runs_and_one_on_the_age_of_events() -> None:
    """Both show the estate's own topic; messages in a relay's hand count into the age, and not into the depth."""
    alarms = properties(ESTATE, "AWS::CloudWatch::Alarm")
    for name, metric in (("NothingRunsAlarm", "Sweeps"), ("EventsOldAlarm", "ApproximateAgeOfOldestMessage")):
        assert alarms[name]["MetricName"] == metric
        assert alarms[name]["AlarmActions"] == [{"Ref": "AlertTopic"}]
    assert alarms["NothingRunsAlarm"]["TreatMissingData"] == "breaching"
    assert default("estate.yaml", "AlarmWhenNothingRuns") == "yes"


def test_an_alarm_on_silence_says_when_it_really_comes() -> None:
    """CloudWatch looks at older numbers before it takes missing ones for a breach."""
    for template in ("estate.yaml", "events.yaml"):
        for name, alarm in properties(estate.load(estate.TEMPLATES / template), "AWS::CloudWatch::Alarm").items():
            if alarm.get("TreatMissingData") == "breaching":
                assert re.search(r"Comes \d+ to \d+ minutes after", alarm["AlarmDescription"]), name


def test_every_alarm_says_how_long_after_it_comes() -> None:
    """Not the length of its periods: what CloudWatch and the runs that publish take besides."""
    for template in (each for each in TEMPLATES if each != estate.SAMPLE_WORKLOAD):
        for name, alarm in properties(estate.load(template), "AWS::CloudWatch::Alarm").items():
            assert re.search(r"Comes (\d+ to \d+ minutes after|within)", str(alarm["AlarmDescription"])), name


ROLES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("estate.yaml", "WorkerRunsOn", {}),
    ("events.yaml", "RelayRunsOn", policies.RELAY),
)


@pytest.mark.parametrize(("template", "parameter", "more"), ROLES, ids=["worker", "relay"])
@pytest.mark.parametrize(
    ("runs_on", "principal"),
    [
        ("principal", {"AWS": "arn:aws:iam::000000000000:root"}),
        ("ecs", {"Service": "ecs-tasks.amazonaws.com"}),
        ("ec2", {"Service": "ec2.amazonaws.com"}),
        ("eks", {"Service": "pods.eks.amazonaws.com"}),
    ],
)
def test_a_role_can_be_taken_where_its_process_runs(
    template: str, parameter: str, more: dict[str, str], runs_on: str, principal: dict[str, str]
) -> None:
    """By a principal, an ECS task, an EC2 instance or an EKS pod."""
    [statement] = policies.trust(template, {**more, parameter: runs_on})
    assert statement["Principal"] == principal
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    assert ("sts:TagSession" in actions) == (runs_on == "eks")
    assert "Condition" not in statement or runs_on == "ecs"


@pytest.mark.parametrize(("template", "parameter", "more"), ROLES, ids=["worker", "relay"])
def test_a_role_can_be_taken_by_the_pods_of_one_service_account(
    template: str, parameter: str, more: dict[str, str]
) -> None:
    """By the cluster's OIDC provider, and by no other account, audience or cluster."""
    issuer = "oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF"
    provider = f"arn:aws:iam::{policies.ACCOUNT}:oidc-provider/{issuer}"
    given = {**more, parameter: "eks-oidc", "OidcProviderArn": provider, "ServiceAccount": "ops:reprise"}
    [statement] = policies.trust(template, given)
    assert statement["Principal"] == {"Federated": provider}
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {f"{issuer}:sub": "system:serviceaccount:ops:reprise", f"{issuer}:aud": "sts.amazonaws.com"}
    }
    [assertion] = estate.load(estate.TEMPLATES / template)["Rules"]["OidcNeedsItsProvider"]["Assertions"]
    assert "OidcProviderArn" in assertion["AssertDescription"]


@pytest.mark.parametrize("keys", [1, 50])
def test_many_keys_fit_into_the_policies(keys: int) -> None:
    """IAM takes 6,144 characters a policy; fifty ARNs of keys are all that a parameter takes."""
    arns = [f"arn:aws:kms:eu-central-1:{policies.ACCOUNT}:key/{n:08x}-0000-0000-0000-000000000000" for n in range(keys)]
    given = {**policies.WORKER, "QueueKeyArns": ",".join(arns), "QueueKeyAliases": "alias/orders-*"}
    assert len(given["QueueKeyArns"]) <= 4096
    sizes = policies.sizes("estate.yaml", given)
    assert len(sizes) <= 10, "a role takes ten policies"
    assert max(sizes.values()) < 6144, sizes


def test_what_is_archived_moves_before_it_is_deleted() -> None:
    """Whatever is chosen: S3 refuses the opposite, and CloudFormation would find that out after the table is there."""
    assert max(ESTATE["Parameters"]["GlacierDays"]["AllowedValues"]) < ESTATE["Parameters"]["RetentionDays"]["MinValue"]


def test_keys_can_be_named_by_their_aliases() -> None:
    """A key of another alias is not covered, nor one whose aliases are unknown."""
    given = policies.policy("estate.yaml", {"QueueKeyAliases": "alias/orders-*"})
    key = f"arn:aws:kms:{policies.REGION}:{policies.ACCOUNT}:key/any"
    aliases = {"alias/orders-eu": True, "alias/payments": False, "": False}
    for alias, expected in aliases.items():
        need = Need("kms:Decrypt", key, (("kms:ResourceAliases", alias),))
        assert policies.allowed(given, need) is expected


ECS_CALLS = {
    "register_task_definition": "ecs:RegisterTaskDefinition",
    "describe_task_definition": "ecs:DescribeTaskDefinition",
    "deregister_task_definition": "ecs:DeregisterTaskDefinition",
    "run_task": "ecs:RunTask",
    "describe_tasks": "ecs:DescribeTasks",
    "stop_task": "ecs:StopTask",
    "describe_vpcs": "ec2:DescribeVpcs",
    "describe_subnets": "ec2:DescribeSubnets",
}


def test_a_worker_that_starts_ecs_tasks_may_do_what_prefect_s_worker_calls() -> None:
    """Each call in the source of the locked version is allowed, and two roles are handed to ECS and to nobody else."""
    source = Path(ecs_worker.__file__).read_text(encoding="utf-8")
    source += Path(ecs_observer.__file__).read_text(encoding="utf-8")
    called = set(re.findall(r"(?:ecs|ec2)_client\.([a-z]\w+)\(", source))
    assert called <= set(ECS_CALLS), "Prefect's ECS worker makes calls that nobody wrote down"
    template = estate.load(estate.TEMPLATES / "ecs.yaml")
    [policy] = properties(template, "AWS::IAM::ManagedPolicy").values()
    entries = statements(policy["PolicyDocument"])
    granted = {action for entry in entries for action in entry["Action"]}
    assert {ECS_CALLS[call] for call in called} <= granted
    [passing] = [entry for entry in entries if "iam:PassRole" in entry["Action"]]
    assert passing["Resource"] == [{"Ref": "WorkerRoleArn"}, {"Fn::GetAtt": "ExecutionRole.Arn"}]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    group = template["Resources"]["Lines"]["Properties"]["LogGroupName"]["Fn::Sub"]
    pool = json.loads((estate.TEMPLATES.parent / "work_pools" / "ecs.json").read_text(encoding="utf-8"))
    options = pool["variables"]["properties"]["cloudwatch_logs_options"]["default"]
    assert options["awslogs-group"] == group.replace("${Prefix}", template["Parameters"]["Prefix"]["Default"])


def test_a_restored_ledger_takes_the_place_of_the_first() -> None:
    """Rights and outputs name it; the first table stays."""
    restored = f"arn:aws:dynamodb:{policies.REGION}:{policies.ACCOUNT}:table/restored"
    need = Need("dynamodb:PutItem", restored)
    assert policies.allowed(policies.policy("estate.yaml", {"RestoredLedgerTable": "restored"}), need)
    assert not policies.allowed(policies.policy("estate.yaml", {}), need)
    for output in ("RepriseLedgerTable", "LedgerTableArn"):
        assert ESTATE["Outputs"][output]["Value"]["Fn::If"][0] == "UsesRestoredLedger"


def test_two_estates_of_one_account_do_not_keep_each_other_s_alarms_quiet() -> None:
    """Another prefix needs a namespace of its own."""
    rule = ESTATE["Rules"]["ASecondEstateHasNumbersOfItsOwn"]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Prefix"}, "reprise"]}]}
    [assertion] = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "MetricsNamespace"}, "Reprise"]}]}
