"""Counting the people behind the alert topic: without subscribers an alert reaches nobody, and no error says so."""

from __future__ import annotations

from blocks.connection import Connection
from recovery.aws import calling


def nobody_subscribed(connection: Connection) -> str:
    """One line when no subscription of the alert topic is confirmed; "" when at least one is.

    Args:
        connection: to the estate.

    Raises:
        RepriseError: the topic could not be asked (the worker's role may not: sns:GetTopicAttributes).
    """
    topic = connection.alert_topic_arn
    with calling("sns:GetTopicAttributes"):
        attributes = connection.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    if int(attributes.get("SubscriptionsConfirmed", "0")):
        return ""
    pending = int(attributes.get("SubscriptionsPending", "0"))
    return (
        f"nobody is subscribed to the alert topic {topic}, so alerts reach nobody; {pending} wait for confirmation. "
        "Confirm the mail that SNS sent, or set AlertEmail of the estate's stack"
    )
