"""Surroundings of the replications: instances, endpoints, connection tests, tags, event subscriptions, past events."""

# ruff: noqa: ARG002 - every operation is called in the same way
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from simulated_aws.dms.notices import CATEGORIES
from simulated_aws.dms.protocol import DmsError
from simulated_aws.dms.queries import chosen, page
from simulated_aws.dms.state import Account, Connection, Endpoint, Instance, Subscription

TEST_SECONDS = 5.0


class Surroundings:
    """The operations on everything that is not a replication."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.operations = {
            "CreateReplicationInstance": self.create_instance,
            "DescribeReplicationInstances": self.describe_instances,
            "CreateEndpoint": self.create_endpoint,
            "DescribeEndpoints": self.describe_endpoints,
            "TestConnection": self.test_connection,
            "DescribeConnections": self.describe_connections,
            "AddTagsToResource": self.add_tags,
            "RemoveTagsFromResource": self.remove_tags,
            "ListTagsForResource": self.list_tags,
            "CreateEventSubscription": self.create_subscription,
            "ModifyEventSubscription": self.modify_subscription,
            "DeleteEventSubscription": self.delete_subscription,
            "DescribeEventSubscriptions": self.describe_subscriptions,
            "DescribeEventCategories": self.describe_categories,
            "DescribeEvents": self.describe_events,
        }

    # -- instances and endpoints ---------------------------------------------------------------------------------

    def create_instance(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """CreateReplicationInstance; it is available at once."""
        name = given["ReplicationInstanceIdentifier"]
        if any(instance.identifier == name for instance in self._account.instances.values()):
            raise DmsError("ResourceAlreadyExistsFault", f"Replication instance {name} already exists")
        arn = self._account.arn("rep", name)
        instance = Instance(arn, name, given["ReplicationInstanceClass"], given.get("AllocatedStorage", 50), now)
        self._account.instances[arn] = instance
        self._account.tags[arn] = {tag["Key"]: tag.get("Value", "") for tag in given.get("Tags", [])}
        return {"ReplicationInstance": _instance(instance)}

    def describe_instances(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DescribeReplicationInstances."""
        operation = "DescribeReplicationInstances"
        found = chosen(
            operation,
            given,
            list(self._account.instances.values()),
            lambda each: {
                "replication-instance-arn": each.arn,
                "replication-instance-id": each.identifier,
                "replication-instance-class": each.instance_class,
                "engine-version": "3.5.4",
            },
        )
        some, more = page(operation, given, found)
        return {"ReplicationInstances": [_instance(instance) for instance in some], **more}

    def create_endpoint(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """CreateEndpoint. Passwords are not kept."""
        name = given["EndpointIdentifier"]
        if any(endpoint.identifier == name for endpoint in self._account.endpoints.values()):
            raise DmsError("ResourceAlreadyExistsFault", f"Endpoint {name} already exists")
        arn = self._account.arn("endpoint", name)
        extra = {key: given[key] for key in ("Username", "ServerName", "Port", "DatabaseName") if key in given}
        endpoint = Endpoint(arn, name, given["EndpointType"], given["EngineName"], extra)
        self._account.endpoints[arn] = endpoint
        self._account.tags[arn] = {tag["Key"]: tag.get("Value", "") for tag in given.get("Tags", [])}
        return {"Endpoint": _endpoint(endpoint)}

    def describe_endpoints(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DescribeEndpoints."""
        operation = "DescribeEndpoints"
        found = chosen(
            operation,
            given,
            list(self._account.endpoints.values()),
            lambda each: {
                "endpoint-arn": each.arn,
                "endpoint-type": each.kind,
                "endpoint-id": each.identifier,
                "engine-name": each.engine,
            },
        )
        some, more = page(operation, given, found)
        return {"Endpoints": [_endpoint(endpoint) for endpoint in some], **more}

    def test_connection(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """TestConnection."""
        instance = self._account.instances.get(given["ReplicationInstanceArn"])
        endpoint = self._account.endpoints.get(given["EndpointArn"])
        if instance is None or endpoint is None:
            raise DmsError("ResourceNotFoundFault", "There is no such replication instance or endpoint")
        test = Connection(instance.arn, endpoint.arn, now + timedelta(seconds=TEST_SECONDS), endpoint.trouble)
        self._account.connections[instance.arn, endpoint.arn] = test
        return {"Connection": self._connection(test, now)}

    def describe_connections(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DescribeConnections."""
        operation = "DescribeConnections"
        found = chosen(
            operation,
            given,
            list(self._account.connections.values()),
            lambda each: {"endpoint-arn": each.endpoint, "replication-instance-arn": each.instance},
        )
        some, more = page(operation, given, found)
        return {"Connections": [self._connection(test, now) for test in some], **more}

    def _connection(self, test: Connection, now: datetime) -> dict[str, Any]:
        described = {
            "ReplicationInstanceArn": test.instance,
            "EndpointArn": test.endpoint,
            "EndpointIdentifier": self._account.endpoints[test.endpoint].identifier,
            "ReplicationInstanceIdentifier": self._account.instances[test.instance].identifier,
            "Status": "testing" if now < test.until else "failed" if test.failure else "successful",
        }
        return described | ({"LastFailureMessage": test.failure} if test.failure and now >= test.until else {})

    # -- tags ----------------------------------------------------------------------------------------------------

    def add_tags(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """AddTagsToResource."""
        self._tags(given["ResourceArn"]).update({tag["Key"]: tag.get("Value", "") for tag in given["Tags"]})
        return {}

    def remove_tags(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """RemoveTagsFromResource."""
        tags = self._tags(given["ResourceArn"])
        for key in given["TagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """ListTagsForResource, for one resource or for several."""
        many = given.get("ResourceArnList") or []
        one = given.get("ResourceArn")
        if bool(many) == bool(one):
            raise DmsError("InvalidParameterCombinationException", "Name either ResourceArn or ResourceArnList")
        if one:
            return {"TagList": [{"Key": key, "Value": value} for key, value in self._tags(one).items()]}
        return {
            "TagList": [
                {"Key": key, "Value": value, "ResourceArn": arn}
                for arn in many
                for key, value in self._tags(arn).items()
            ]
        }

    def _tags(self, arn: str) -> dict[str, str]:
        if arn not in self._account.tags:
            raise DmsError("ResourceNotFoundFault", f"{arn} was not found")
        return self._account.tags[arn]

    # -- events --------------------------------------------------------------------------------------------------

    def create_subscription(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """CreateEventSubscription."""
        name = given["SubscriptionName"]
        if name in self._account.subscriptions:
            raise DmsError("ResourceAlreadyExistsFault", f"Event subscription {name} already exists")
        if ":sns:" not in given["SnsTopicArn"]:
            raise DmsError("SNSInvalidTopicFault", f"{given['SnsTopicArn']} is not a topic")
        subscription = Subscription(
            name=name,
            topic=given["SnsTopicArn"],
            source_type=given.get("SourceType", ""),
            source_ids=list(given.get("SourceIds", [])),
            categories=_categories(given.get("EventCategories", [])),
            enabled=given.get("Enabled", True),
            created=now,
        )
        if subscription.source_type not in {"", "replication-task", "replication-instance"}:
            raise DmsError("InvalidParameterValueException", f"Source type {subscription.source_type} is not valid")
        known = {thing.identifier for thing in self._account.tasks.values()}
        if subscription.source_type == "replication-task" and not set(subscription.source_ids) <= known:
            raise DmsError("ResourceNotFoundFault", "A source of the event subscription was not found")
        self._account.subscriptions[name] = subscription
        return {"EventSubscription": self._subscription(subscription)}

    def modify_subscription(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """ModifyEventSubscription."""
        subscription = self._subscribed(given)
        subscription.topic = given.get("SnsTopicArn", subscription.topic)
        subscription.source_type = given.get("SourceType", subscription.source_type)
        if "EventCategories" in given:
            subscription.categories = _categories(given["EventCategories"])
        subscription.enabled = given.get("Enabled", subscription.enabled)
        return {"EventSubscription": self._subscription(subscription)}

    def delete_subscription(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DeleteEventSubscription."""
        subscription = self._subscribed(given)
        del self._account.subscriptions[subscription.name]
        return {"EventSubscription": self._subscription(subscription)}

    def describe_subscriptions(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DescribeEventSubscriptions."""
        things = list(self._account.subscriptions.values())
        if "SubscriptionName" in given:
            things = [self._subscribed(given)]
        some, more = page("DescribeEventSubscriptions", given, things)
        return {"EventSubscriptionsList": [self._subscription(each) for each in some], **more}

    def describe_categories(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DescribeEventCategories, of tasks."""
        return {"EventCategoryGroupList": [{"SourceType": "replication-task", "EventCategories": list(CATEGORIES)}]}

    def describe_events(self, given: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """DescribeEvents, of the last `Duration` minutes (60 by default)."""
        since = now - timedelta(minutes=given.get("Duration", 60))
        wanted = given.get("SourceIdentifier")
        things = [each for each in self._account.events if each.at >= since and wanted in (None, each.source)]
        some, more = page("DescribeEvents", given, things)
        described = [
            {
                "SourceIdentifier": each.source,
                "SourceType": each.source_type,
                "Message": each.message,
                "EventCategories": each.categories,
                "Date": each.at,
            }
            for each in some
        ]
        return {"Events": described, **more}

    def _subscribed(self, given: Mapping[str, Any]) -> Subscription:
        if given["SubscriptionName"] not in self._account.subscriptions:
            raise DmsError("ResourceNotFoundFault", f"Event subscription {given['SubscriptionName']} was not found")
        return self._account.subscriptions[given["SubscriptionName"]]

    def _subscription(self, each: Subscription) -> dict[str, Any]:
        return {
            "CustomerAwsId": self._account.account,
            "CustSubscriptionId": each.name,
            "SnsTopicArn": each.topic,
            "Status": each.status,
            "SubscriptionCreationTime": each.created.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            "SourceType": each.source_type,
            "SourceIdsList": each.source_ids,
            "EventCategoriesList": each.categories,
            "Enabled": each.enabled,
        }


def _categories(given: list[str]) -> list[str]:
    unknown = [name for name in given if name.lower() not in CATEGORIES]
    if unknown:
        raise DmsError("InvalidParameterValueException", f"Event categories {unknown} are not valid")
    return [name.lower() for name in given]


def _instance(each: Instance) -> dict[str, Any]:
    return {
        "ReplicationInstanceIdentifier": each.identifier,
        "ReplicationInstanceArn": each.arn,
        "ReplicationInstanceClass": each.instance_class,
        "ReplicationInstanceStatus": each.status,
        "AllocatedStorage": each.storage,
        "InstanceCreateTime": each.created,
        "EngineVersion": "3.5.4",
        "MultiAZ": False,
        "PubliclyAccessible": False,
    }


def _endpoint(each: Endpoint) -> dict[str, Any]:
    return {
        "EndpointIdentifier": each.identifier,
        "EndpointArn": each.arn,
        "EndpointType": each.kind.upper(),
        "EngineName": each.engine,
        "Status": "active",
        **each.extra,
    }
