"""Check that every metric of the dashboard and the alarms has a data point: a panel without one stays empty.

create(aws)           # once the estate is there: the stack of observability.yaml
...                   # let recovery work
differences(aws)      # [] when everything that is named was published
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from simulated_aws import estate
from simulated_aws.server import SimulatedAws

STACK = "observability"
LOOK_BACK = timedelta(days=1)
_AT_ONCE = 500  # queries of one GetMetricData

Metric = tuple[str, str, tuple[tuple[str, str], ...]]
"""Namespace, name, and dimensions in the order of their names."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search expression of the dashboard: the namespace, the names of the dimensions, and what is asked of values."""

    namespace: str
    dimensions: frozenset[str]
    wanted: tuple[tuple[str, str], ...]


def create(aws: SimulatedAws, **parameters: str) -> dict[str, str]:
    """Create dashboard and alarms beside the estate, with everything watched; returns the stack's outputs."""
    described = aws.client("cloudformation").describe_stacks(StackName="reprise")["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    settings = {
        "AlertTopicArn": outputs["RepriseAlertTopicArn"],
        "WatchOutbox": "yes",
        "WatchReplications": "yes",
        "WatchAppFlow": "yes",
        "MetricMath": "no",  # the emulator refuses alarms on expressions
    }
    return estate.create(aws.client, estate.OBSERVABILITY, STACK, settings | parameters)


def differences(aws: SimulatedAws, but: Iterable[str] = ()) -> list[str]:
    """Return the metrics that are named and were not published in the last day, each as a line for a person.

    Args:
        aws: with the stack that `create` made.
        but: names of metrics that need not be there.
    """
    resources = _resources(aws)
    named = sorted(
        metric for metric in set(_of_alarms(resources)) | set(_of_dashboard(resources)) if metric[1] not in but
    )
    published = set(_with_data(aws, named))
    missing = [_line(metric) for metric in named if metric not in published]
    listed = list(_listed(aws, {search.namespace for search in _searches(resources)}))
    missing += [
        f"the dashboard's search for {dict(search.wanted)} by {sorted(search.dimensions)} finds nothing"
        for search in _searches(resources)
        if not any(_finds(search, metric) for metric in listed)
    ]
    return missing


def _resources(aws: SimulatedAws) -> list[dict[str, Any]]:
    """All alarms and dashboards of the template with the stack's values, those included that the emulator refuses."""
    stack = aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    template = estate.load(estate.OBSERVABILITY)
    resolved = estate.Resolved(aws.client, template, stack)
    return [
        resolved.value(resource["Properties"])
        for resource in template["Resources"].values()
        if resource["Type"].startswith("AWS::CloudWatch::")
    ]


def _of_alarms(resources: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    for alarm in resources:
        single = [alarm] if "MetricName" in alarm else []
        of_math = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
        for metric in (*single, *of_math):
            dimensions = {entry["Name"]: str(entry["Value"]) for entry in metric["Dimensions"]}
            yield metric["Namespace"], metric["MetricName"], tuple(sorted(dimensions.items()))


def _of_dashboard(resources: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    for line in _lines(resources):
        words = [part for part in line if isinstance(part, str)]
        if words:
            namespace, name, *rest = words
            yield namespace, name, tuple(sorted(zip(rest[::2], rest[1::2], strict=True)))


def _searches(resources: Iterable[Mapping[str, Any]]) -> list[Search]:
    found = []
    for line in _lines(resources):
        expression = line[0].get("expression", "") if isinstance(line[0], dict) else ""
        if match := re.match(r"SEARCH\('\{([^}]+)\} (.*?)', '", expression):
            namespace, *dimensions = match[1].split(",")
            wanted = tuple(re.findall(r'(\w+)="([^"]+)"', match[2]))
            found.append(Search(namespace, frozenset(dimensions), wanted))
    return found


def _lines(resources: Iterable[Mapping[str, Any]]) -> Iterator[list[Any]]:
    for dashboard in resources:
        body = json.loads(dashboard.get("DashboardBody", '{"widgets": []}'))
        for widget in body["widgets"]:
            yield from widget["properties"].get("metrics", [])


def _with_data(aws: SimulatedAws, named: list[Metric]) -> Iterator[Metric]:
    now = aws.clock.now()
    for start in range(0, len(named), _AT_ONCE):
        part = named[start : start + _AT_ONCE]
        queries = [
            {"Id": f"m{number}", "MetricStat": {"Metric": _spelled(metric), "Period": 3600, "Stat": "SampleCount"}}
            for number, metric in enumerate(part)
        ]
        answer: Any = aws.client("cloudwatch").get_metric_data(
            MetricDataQueries=queries, StartTime=now - LOOK_BACK, EndTime=now + timedelta(minutes=5)
        )
        for result in answer["MetricDataResults"]:
            if result["Values"]:
                yield part[int(result["Id"][1:])]


def _spelled(metric: Metric) -> dict[str, Any]:
    namespace, name, dimensions = metric
    return {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
    }


def _listed(aws: SimulatedAws, namespaces: Iterable[str]) -> Iterator[Metric]:
    for namespace in namespaces:
        for page in aws.client("cloudwatch").get_paginator("list_metrics").paginate(Namespace=namespace):
            for metric in page["Metrics"]:
                dimensions = {entry["Name"]: entry["Value"] for entry in metric["Dimensions"]}
                yield namespace, metric["MetricName"], tuple(sorted(dimensions.items()))


def _finds(search: Search, metric: Metric) -> bool:
    namespace, name, pairs = metric
    values = dict(pairs)
    asked: dict[str, set[str]] = {}
    for key, value in search.wanted:
        asked.setdefault(key, set()).add(value)
    has = {**values, "MetricName": name}
    return (
        namespace == search.namespace
        and set(values) == search.dimensions
        and all(has.get(key) in allowed for key, allowed in asked.items())
    )


def _line(metric: Metric) -> str:
    namespace, name, dimensions = metric
    named = ", ".join(f"{key}={value}" for key, value in dimensions)
    return f"the metric {namespace} {name} ({named}) has no data point"
