"""Needs of an AWS API call in IAM: the actions, each with its resource and the keys of its context.

Sources: the tables of actions, resources and condition keys in the AWS service authorization reference. An operation
that is not in the table is refused, so that a new call cannot pass unchecked.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from blocks.connection import Connection

_HERE = "us-east-1:000000000000"


@dataclass(frozen=True)
class Need:
    """One right that a call needs.

    Attributes:
        action: as "sqs:SendMessage".
        resource: an ARN; "*" for actions that know no resource.
        keys: the keys of the request's context that policies ask for, with their values.
    """

    action: str
    resource: str
    keys: tuple[tuple[str, str], ...] = ()

    @property
    def context(self) -> dict[str, str]:
        """The keys by name."""
        return dict(self.keys)


Params = Mapping[str, Any]
Needs = Iterable[Need]


def _on(resource: Callable[[Params], str], *actions: str) -> Callable[[Params], Needs]:
    return lambda params: [Need(action, resource(params)) for action in actions]


def _on_tagged(resource: Callable[[Params], str], action: str) -> Callable[[Params], Needs]:
    """On a resource that bears the tag of what is in scope: the policies ask for it."""
    return lambda params: [Need(action, resource(params), (("aws:ResourceTag/reprise", "recover"),))]


def _anything(_: Params) -> str:
    return "*"


def _queue(params: Params) -> str:
    name = params.get("QueueName") or str(params["QueueUrl"]).rpartition("/")[2]
    return f"arn:aws:sqs:{_HERE}:{name}"


def _table_named(name: str) -> str:
    return name if name.startswith("arn:") else f"arn:aws:dynamodb:{_HERE}:table/{name}"


def _table(params: Params) -> str:
    index = params.get("IndexName")
    return _table_named(params["TableName"]) + (f"/index/{index}" if index else "")


def _tables(action: str) -> Callable[[Params], Needs]:
    return lambda params: [Need(action, _table_named(name)) for name in params["RequestItems"]]


def _partiql(params: Params) -> Needs:
    verbs = {"UPDATE": "Update", "SELECT": "Select", "INSERT": "Insert", "DELETE": "Delete"}
    for each in params.get("Statements") or [params]:
        found = re.match(r'(\w+)\s+(?:INTO\s+|FROM\s+)?"([^"]+)"', each["Statement"])
        assert found, each["Statement"]
        yield Need(f"dynamodb:PartiQL{verbs[found[1].upper()]}", _table_named(found[2]))


def _stream(params: Params) -> str:
    return str(params["StreamArn"])


def _object(params: Params) -> str:
    return f"arn:aws:s3:::{params['Bucket']}/{params['Key']}"


def _copy(params: Params) -> Needs:
    source = params["CopySource"]
    path = source if isinstance(source, str) else f"{source['Bucket']}/{source['Key']}"
    return [Need("s3:GetObject", f"arn:aws:s3:::{path}"), Need("s3:PutObject", _object(params))]


def _topic(params: Params) -> str:
    return str(params["TopicArn"])


def _log_groups(action: str) -> Callable[[Params], Needs]:
    def needs(params: Params) -> Needs:
        for name in params.get("logGroupNames") or [params["logGroupName"]]:
            yield Need(action, f"arn:aws:logs:{_HERE}:log-group:{name}:log-stream:")

    return needs


def _metric_data(params: Params) -> Needs:
    return [Need("cloudwatch:PutMetricData", "*", (("cloudwatch:namespace", params["Namespace"]),))]


def _given(name: str) -> Callable[[Params], str]:
    return lambda params: str(params[name])


def _function(params: Params) -> str:
    name = str(params["FunctionName"])
    return name if name.startswith("arn:") else f"arn:aws:lambda:{_HERE}:function:{name}"


def _rule(params: Params) -> str:
    bus = params.get("EventBusName")
    return f"arn:aws:events:{_HERE}:rule/{bus + '/' if bus else ''}{params['Rule']}"


def _flow(params: Params) -> str:
    return f"arn:aws:appflow:{_HERE}:flow/{params['flowName']}"


def _profiles(params: Params) -> Iterator[str]:
    for end in (params["sourceFlowConfig"], *params["destinationFlowConfigList"]):
        if end.get("connectorProfileName"):
            yield f"arn:aws:appflow:{_HERE}:connectorprofile/{end['connectorProfileName']}"


def _create_flow(params: Params) -> Needs:
    yield Need("appflow:CreateFlow", _flow(params))
    if params.get("tags"):
        yield Need("appflow:TagResource", _flow(params))
    for profile in _profiles(params):
        yield Need("appflow:UseConnectorProfile", profile)
    if key := params.get("kmsArn"):
        for action in ("kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt"):
            yield Need(action, key, (("kms:ViaService", "appflow.us-east-1.amazonaws.com"),))
        yield Need("kms:CreateGrant", key, (("kms:GrantIsForAWSResource", "true"),))


_DMS_LOOKS = (
    "DescribeReplicationConfigs",
    "DescribeReplicationInstances",
    "DescribeReplicationTableStatistics",
    "DescribeReplicationTasks",
    "DescribeReplications",
    "DescribeTableStatistics",
    "ListTagsForResource",
)
_BY_NAME = ("GetItem", "PutItem", "DeleteItem", "Query", "Scan", "DescribeTable")

NEEDS: Mapping[tuple[str, str], Callable[[Params], Needs]] = {
    ("sqs", "ListQueues"): _on(_anything, "sqs:ListQueues"),
    **{
        ("sqs", f"{name}{batch}"): _on(_queue, f"sqs:{name}")
        for name in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")
        for batch in ("", "Batch")
    },
    **{
        ("sqs", name): _on(_queue, f"sqs:{name}")
        for name in ("ReceiveMessage", "GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues")
    },
    **{("dynamodb", name): _on(_table, f"dynamodb:{name}") for name in _BY_NAME},
    ("dynamodb", "BatchGetItem"): _tables("dynamodb:BatchGetItem"),
    ("dynamodb", "BatchWriteItem"): _tables("dynamodb:BatchWriteItem"),
    ("dynamodb", "BatchExecuteStatement"): _partiql,
    ("dynamodb", "ExecuteStatement"): _partiql,
    **{
        ("dynamodbstreams", name): _on(_stream, f"dynamodb:{name}")
        for name in ("DescribeStream", "GetShardIterator", "GetRecords")
    },
    ("s3", "GetObject"): _on(_object, "s3:GetObject"),
    ("s3", "HeadObject"): _on(_object, "s3:GetObject"),
    ("s3", "PutObject"): _on(_object, "s3:PutObject"),
    ("s3", "CopyObject"): _copy,
    ("sns", "Publish"): _on(_topic, "sns:Publish"),
    ("sns", "PublishBatch"): _on(_topic, "sns:Publish"),
    ("sns", "GetSubscriptionAttributes"): _on(_anything, "sns:GetSubscriptionAttributes"),
    ("stepfunctions", "StartExecution"): _on(_given("stateMachineArn"), "states:StartExecution"),
    ("events", "PutEvents"): lambda params: [
        Need("events:PutEvents", each["EventBusName"]) for each in params["Entries"]
    ],
    ("events", "ListTargetsByRule"): _on(_rule, "events:ListTargetsByRule"),
    ("logs", "FilterLogEvents"): _log_groups("logs:FilterLogEvents"),
    ("logs", "StartQuery"): _log_groups("logs:StartQuery"),
    ("logs", "GetQueryResults"): _on(_anything, "logs:GetQueryResults"),
    ("logs", "StopQuery"): _on(_anything, "logs:StopQuery"),
    ("cloudwatch", "PutMetricData"): _metric_data,
    ("cloudwatch", "DescribeAlarms"): _on(_anything, "cloudwatch:DescribeAlarms"),
    ("cloudwatch", "DescribeAlarmsForMetric"): _on(_anything, "cloudwatch:DescribeAlarmsForMetric"),
    ("logs", "DescribeLogGroups"): _on(_anything, "logs:DescribeLogGroups"),
    ("cloudwatch", "GetMetricData"): _on(_anything, "cloudwatch:GetMetricData"),
    ("cloudwatch", "ListMetrics"): _on(_anything, "cloudwatch:ListMetrics"),
    ("lambda", "ListEventSourceMappings"): _on(_anything, "lambda:ListEventSourceMappings"),
    **{
        ("lambda", name): _on(_function, f"lambda:{name}")
        for name in ("GetFunctionConfiguration", "GetFunctionConcurrency", "GetFunctionEventInvokeConfig")
    },
    ("lambda", "Invoke"): _on(_function, "lambda:InvokeFunction"),
    ("lambda", "ListFunctions"): _on(_anything, "lambda:ListFunctions"),
    **{("dms", name): _on(_anything, f"dms:{name}") for name in _DMS_LOOKS},
    ("dms", "StartReplicationTask"): _on_tagged(_given("ReplicationTaskArn"), "dms:StartReplicationTask"),
    ("dms", "ReloadTables"): _on_tagged(_given("ReplicationTaskArn"), "dms:ReloadTables"),
    ("dms", "StartReplication"): _on_tagged(_given("ReplicationConfigArn"), "dms:StartReplication"),
    ("dms", "ReloadReplicationTables"): _on_tagged(_given("ReplicationConfigArn"), "dms:ReloadReplicationTables"),
    ("appflow", "StartFlow"): _on_tagged(_flow, "appflow:StartFlow"),
    ("appflow", "ListFlows"): _on(_anything, "appflow:ListFlows"),
    ("appflow", "CreateFlow"): _create_flow,
    **{
        ("appflow", name): _on(_flow, f"appflow:{name}")
        for name in ("DescribeFlow", "DescribeFlowExecutionRecords", "DeleteFlow")
    },
}
"""Needs of each call, by service (boto3's name) and operation."""

_READS = re.compile(r"(dynamodb|s3|sqs):.*(Get|Query|Scan|Receive|Records|Select)")
_WRITES = re.compile(r"(sqs|sns):.*(Send|Publish)|s3:Put|dynamodb:.*(Write|Put|Delete|Update)")


def of_keys(need: Need, encrypted: Mapping[str, str]) -> Needs:
    """The rights on the key of what a call reads or writes.

    Sources: SQS and SNS ask a sender for GenerateDataKey and Decrypt, a receiver for Decrypt; S3 asks for
    GenerateDataKey to put and Decrypt to get; DynamoDB asks for Decrypt at least, whatever is done.
    """
    key = next((encrypted[owner] for owner in encrypted if re.match(f"{re.escape(owner)}(/|$)", need.resource)), None)
    if key is None:
        return
    if _WRITES.match(need.action) and not need.action.startswith("dynamodb:"):
        yield Need("kms:GenerateDataKey", key)
    if _READS.match(need.action) or _WRITES.match(need.action):
        yield Need("kms:Decrypt", key)


@dataclass
class Calls:
    """All calls of the clients that it watches.

    Attributes:
        made: number of each, by service and operation.
        needs: their needs, once each, with one of the calls.
        unknown: operations whose needs are not in the table.
    """

    encrypted: Mapping[str, str]
    made: dict[tuple[str, str], int] = field(default_factory=dict)
    needs: dict[Need, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    _streams: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, connection: Connection) -> None:
        """Look at every call of a connection's clients, those that it makes later, too."""
        for client in connection._clients.values():
            self._register(client.meta.events)
        self._register(connection.session.events)

    def _register(self, events: Any) -> None:
        events.register("provide-client-params.*.*", self._note, unique_id=f"least-privilege-{id(self)}")
        events.register("after-call.dynamodb-streams.*", self._learn, unique_id=f"iterators-{id(self)}")

    def _note(self, params: Params, model: Any, context: dict[str, Any], **_: Any) -> None:
        service, operation = model.service_model.service_name, model.name
        with self._lock:
            self.made[service, operation] = self.made.get((service, operation), 0) + 1
            if (service, operation) not in NEEDS:
                self.unknown.add(f"{service}:{operation}")
                return
            if service == "dynamodbstreams":  # an iterator is of the stream that it was asked for
                params = {**params, "StreamArn": params.get("StreamArn") or self._streams[params["ShardIterator"]]}
                context["stream"] = params["StreamArn"]
            for need in NEEDS[service, operation](params):
                for each in (need, *of_keys(need, self.encrypted)):
                    self.needs.setdefault(each, f"{service}:{operation}")

    def _learn(self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        for name in ("ShardIterator", "NextShardIterator"):
            if parsed.get(name):
                self._streams[parsed[name]] = context["stream"]
