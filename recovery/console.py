"""Links into the AWS console, in every partition. Pure; all paths make their links here.

No link is better than a wrong one: a region or partition that is not known gives "".
Source: the SDKs' endpoint rules of AWS Sign-In, which name every partition's domain; AWS's documentation of China,
GovCloud and the European Sovereign Cloud for the console's own names.
"""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

_HOSTS = {
    "aws": "{region}.console.aws.amazon.com",
    "aws-cn": "{region}.console.amazonaws.cn",
    "aws-us-gov": "{region}.console.amazonaws-us-gov.com",
    "aws-eusc": "{region}.console.amazonaws-eusc.eu",
    "aws-iso": "console.c2shome.ic.gov",
    "aws-iso-b": "console.sc2shome.sgov.gov",
    "aws-iso-e": "console.csphome.adc-e.uk",
    "aws-iso-f": "console.csphome.hci.ic.gov",
}
_BEGINNINGS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "eusc-": "aws-eusc",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
}
_QUEUE = re.compile(r"https://(?:sqs\.[a-z0-9-]+|[a-z0-9-]+\.queue)\.[a-z0-9.-]+/\d+/[A-Za-z0-9_-]+(?:\.fifo)?")
_REGION = re.compile(r"[a-z]{2,5}-(?:[a-z]+-)+\d{1,2}")


def partition_of(region: str) -> str:
    """Return the partition of a region; "" for what is no region's name."""
    if not _REGION.fullmatch(region):
        return ""
    return next((found for beginning, found in _BEGINNINGS.items() if region.startswith(beginning)), "aws")


def page(region: str, service: str, place: str) -> str:
    """Return the address of a page of the console.

    Args:
        region: as "eu-west-1".
        service: first part of the path, as "cloudwatch".
        place: what follows the region, beginning with "#", quoted as that page wants it.

    Returns:
        The address; "" where the console's host is not known.
    """
    host = _HOSTS.get(partition_of(region), "")
    return f"https://{host.format(region=region)}/{service}/home?region={region}{place}" if host else ""


def region_of(arn: str) -> str:
    """Return the region of an ARN; "" where it has none."""
    return ":".join(arn.split(":")[3:4])


def log_lines(region: str, log_group: str, words: str, since: datetime | None = None) -> str:
    """Return the address of the lines of a log group that hold some words, in CloudWatch.

    Args:
        region: of the log group.
        log_group: its name.
        words: as "m-1"; found as they stand.
        since: time before which there are none; the page then reads less.
    """
    pattern = _twice(f'"{words}"')
    if since is not None:
        pattern += f"$26start$3D{int(since.timestamp() * 1000)}"
    return page(
        region, "cloudwatch", f"#logsV2:log-groups/log-group/{_twice(log_group)}/log-events$3FfilterPattern$3D{pattern}"
    )


def queue(url: str, region: str) -> str:
    """Return the address of a queue's page, by the queue's URL; "" for a queue that is not AWS's."""
    return page(region, "sqs/v3", f"#/queues/{quote(url, safe='')}") if _QUEUE.fullmatch(url) else ""


def table(name: str, region: str) -> str:
    """Return the address of a DynamoDB table's page."""
    return page(region, "dynamodbv2", f"#table?name={quote(name, safe='')}")


def replication_task(arn: str, name: str) -> str:
    """Return the address of a DMS task's page; "" for a serverless replication, whose page has no known address."""
    return page(region_of(arn), "dms/v2", f"#taskDetails/{quote(name, safe='')}") if ":task:" in arn else ""


def flows(region: str) -> str:
    """Return the address of AppFlow's list of flows: nothing published says how a flow's own page is addressed."""
    return page(region, "appflow", "#/list")


def _twice(text: str) -> str:
    """Quote as CloudWatch's page wants it: twice, with "$" in place of "%"."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")
