"""Numbers of runs in CloudWatch: batches, limits, and what happens when a request goes wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from recovery.errors import OutcomeUnknown, Refused, Transient
from recovery.metrics.gateway import MOST_BYTES, MOST_METRICS, MetricsGateway, batches
from recovery.metrics.publication import Metrics, Publication
from recovery.metrics.series import Datum
from recovery.report import RecoveryReport
from simulated_aws.server import SimulatedAws
from tests.outbox_world import connection_to
from tests.unit.metrics.samples import entry, report


@pytest.fixture
def aws(simulated_aws: SimulatedAws) -> SimulatedAws:
    simulated_aws.reset()
    simulated_aws.create_estate()
    return simulated_aws


def metrics(aws: SimulatedAws) -> Metrics:
    made = connection_to(aws).metrics
    assert made is not None
    return made


def publication(aws: SimulatedAws, made: RecoveryReport | None = None) -> Publication:
    return metrics(aws).publication(made or report(entry("heal")), datetime.now(UTC), swept=True)


def total(aws: SimulatedAws, name: str, **dimensions: str) -> float:
    """The sum of a metric over the last hours."""
    now = aws.clock.now().timestamp()
    answer: Any = aws.client("cloudwatch").get_metric_statistics(
        Namespace="Reprise",
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=datetime.fromtimestamp(now - 7200, UTC),
        EndTime=datetime.fromtimestamp(now + 60, UTC),
        Period=14400,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in answer["Datapoints"]))


def test_a_run_is_one_request(aws: SimulatedAws) -> None:
    """All numbers of a run fit into one PutMetricData; the list of series costs a read and, for newcomers, a write."""
    aws.clear_requests()
    publication(aws).send()
    counts = aws.request_counts()
    assert {name.split(":")[1]: count for name, count in counts.items()} == {
        "PutMetricData": 1,
        "GetItem": 1,
        "PutItem": 1,
    }
    assert total(aws, "Healed", Path="dead_letters") == 1
    assert total(aws, "Healed", Path="dead_letters", Kind="TIMEOUT") == 1
    assert total(aws, "Healed", Path="dead_letters", Source="orders-dlq") == 1


def test_a_quiet_run_asks_no_ledger(aws: SimulatedAws) -> None:
    """A sweep that finds nothing costs one request."""
    aws.clear_requests()
    publication(aws, report()).send()
    assert [name.split(":")[1] for name in aws.request_counts()] == ["PutMetricData"]


def test_what_is_throttled_is_sent_again_and_counted_once(aws: SimulatedAws) -> None:
    """A request that was certainly not carried out may be repeated."""
    aws.fault("error", service="monitoring", operation="PutMetricData", code="Throttling", status=400, times=1)
    pending = publication(aws)
    with pytest.raises(Transient):
        pending.send()
    pending.send()
    pending.send()
    assert total(aws, "Healed", Path="dead_letters") == 1


def test_what_may_have_been_counted_is_not_sent_again(aws: SimulatedAws) -> None:
    """The answer was lost after the numbers were taken: a repetition adds nothing."""
    aws.fault("lose_ack", service="monitoring", operation="PutMetricData", times=1)
    pending = publication(aws)
    with pytest.raises(OutcomeUnknown):
        pending.send()
    pending.send()
    assert total(aws, "Healed", Path="dead_letters") == 1


def test_without_a_ledger_the_numbers_by_path_still_go_out(aws: SimulatedAws) -> None:
    """Kinds and sources are then counted as others."""
    aws.fault("error", service="dynamodb", code="AccessDeniedException", status=400)
    publication(aws).send()
    aws.lift_faults()
    assert total(aws, "Healed", Path="dead_letters") == 1
    assert total(aws, "Healed", Path="dead_letters", Kind="other") == 1


def test_a_refusal_is_reported(aws: SimulatedAws) -> None:
    """Missing permission is an error that the caller turns into a warning."""
    aws.fault("error", service="monitoring", operation="PutMetricData", code="AccessDenied", status=403)
    with pytest.raises(Refused, match="PutMetricData"):
        publication(aws).send()


def test_time_to_recover_weighs_each_recovered_item(aws: SimulatedAws) -> None:
    """The average over runs is the average over items."""
    publication(aws, report(recovered=3, seconds_to_recover=10.0)).send()
    publication(aws, report(recovered=1, seconds_to_recover=50.0)).send()
    now = aws.clock.now().timestamp()
    answer: Any = aws.client("cloudwatch").get_metric_statistics(
        Namespace="Reprise",
        MetricName="TimeToRecover",
        Dimensions=[{"Name": "Path", "Value": "dead_letters"}],
        StartTime=datetime.fromtimestamp(now - 7200, UTC),
        EndTime=datetime.fromtimestamp(now + 60, UTC),
        Period=14400,
        Statistics=["Average", "SampleCount"],
    )
    assert sum(point["SampleCount"] for point in answer["Datapoints"]) == 4
    points = answer["Datapoints"]
    assert sum(point["Average"] * point["SampleCount"] for point in points) / 4 == pytest.approx(20.0)


def test_nothing_is_published_without_a_namespace(aws: SimulatedAws) -> None:
    """An empty REPRISE_METRICS_NAMESPACE switches metrics off."""
    connection = connection_to(aws)
    connection.metrics_namespace = ""
    assert connection.metrics is None


class Recorder:
    """A CloudWatch client that keeps what it is given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def put_metric_data(self, Namespace: str, MetricData: list[Any]) -> None:  # noqa: N803 - boto3's spelling
        self.sizes.append(len(MetricData))


def test_batches_keep_to_the_limits() -> None:
    """At most 1,000 metrics and about 1 MB a request; nothing is dropped, and the order stays."""
    data = [Datum(f"m{n}", "p", float(n)) for n in range(2_500)]
    parts = list(batches(data))
    assert [len(part) for part in parts] == [MOST_METRICS, MOST_METRICS, 500]
    assert [datum for part in parts for datum in part] == data
    large = [Datum("m" * 255, "p" * 255, 1.0, dimension="Source", key="s" * 255) for _ in range(1_000)]
    assert len(list(batches(large))) == 2
    recorder: Any = Recorder()
    for part in parts:
        MetricsGateway(recorder, "Reprise").put(part, datetime.now(UTC))
    assert recorder.sizes == [MOST_METRICS, MOST_METRICS, 500]
    assert MOST_BYTES < 1024 * 1024
