"""Links into the AWS console: right in every partition, and none where the host is not known."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest

from recovery import console


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("ap-southeast-7", "ap-southeast-7.console.aws.amazon.com"),
        ("cn-northwest-1", "cn-northwest-1.console.amazonaws.cn"),
        ("us-gov-east-1", "us-gov-east-1.console.amazonaws-us-gov.com"),
        ("eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
        ("us-iso-west-1", "console.c2shome.ic.gov"),
        ("us-isob-east-1", "console.sc2shome.sgov.gov"),
        ("eu-isoe-west-1", "console.csphome.adc-e.uk"),
        ("us-isof-south-1", "console.csphome.hci.ic.gov"),
    ],
)
def test_the_host_is_the_partitions_own(region: str, host: str) -> None:
    """Each partition has a console host of its own."""
    assert console.page(region, "sqs/v3", "#/queues").startswith(f"https://{host}/sqs/v3/home?region={region}#")


def test_every_region_that_the_sdk_knows_has_its_partition() -> None:
    """No region of the SDK is without a partition."""
    session = boto3.Session()
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("sqs", partition):
            assert console.partition_of(region) == partition
            assert console.page(region, "sqs/v3", "")


@pytest.mark.parametrize("region", ["", "elasticmq", "eu-west-1.evil.example.com", "eu_west_1"])
def test_what_is_no_region_has_no_link(region: str) -> None:
    """An unknown region gives no link rather than a wrong one."""
    assert console.page(region, "sqs/v3", "#/queues") == ""
    assert console.log_lines(region, "/aws/lambda/orders", "m-1") == ""


def test_a_link_to_log_lines_opens_the_right_ones() -> None:
    """Group and words are escaped twice, as the page wants them."""
    link = console.log_lines("eu-west-1", "/aws/lambda/orders", "m-1")
    assert link.startswith("https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#")
    assert "log-group/$252Faws$252Flambda$252Forders/" in link
    assert link.endswith("$3FfilterPattern$3D$2522m-1$2522")


def test_a_link_to_a_queue_holds_its_url() -> None:
    """The queue's URL stands in the link, encoded."""
    link = console.queue("https://sqs.cn-north-1.amazonaws.com.cn/1/orders-dlq", "cn-north-1")
    assert link == (
        "https://cn-north-1.console.amazonaws.cn/sqs/v3/home?region=cn-north-1"
        "#/queues/https%3A%2F%2Fsqs.cn-north-1.amazonaws.com.cn%2F1%2Forders-dlq"
    )


@pytest.mark.parametrize(
    "url", ["http://localhost:4566/000000000000/orders-dlq", "https://example.com/1/orders", "https://sqs.eu-west-1.x/"]
)
def test_a_queue_that_is_not_at_aws_has_no_link(url: str) -> None:
    """An emulator's queue has no page in the console."""
    assert console.queue(url, "eu-west-1") == ""


def test_log_lines_begin_at_a_time() -> None:
    """The page reads from there, in milliseconds."""
    link = console.log_lines("eu-west-1", "/a", "m-1", datetime(2026, 1, 2, tzinfo=UTC))
    assert link.endswith("$2522m-1$2522$26start$3D1767312000000")


def test_a_task_has_a_page_and_a_serverless_replication_has_none() -> None:
    """The address of a task is the one that DMS itself writes in its events; nothing says that of the other."""
    task = console.replication_task("arn:aws-cn:dms:cn-north-1:1:task:ABC", "orders|cdc")
    assert task == "https://cn-north-1.console.amazonaws.cn/dms/v2/home?region=cn-north-1#taskDetails/orders%7Ccdc"
    assert console.replication_task("arn:aws:dms:eu-west-1:1:replication-config:ABC", "orders") == ""
    assert console.replication_task("not an arn:task:", "orders") == ""


def test_tables_and_flows_have_pages_of_their_region() -> None:
    """A region that is not known gives none."""
    host = "https://us-gov-west-1.console.amazonaws-us-gov.com"
    assert console.table("a b", "us-gov-west-1") == (f"{host}/dynamodbv2/home?region=us-gov-west-1#table?name=a%20b")
    assert console.flows("eu-west-1").endswith("/appflow/home?region=eu-west-1#/list")
    assert console.table("a", "") == console.flows("") == ""
