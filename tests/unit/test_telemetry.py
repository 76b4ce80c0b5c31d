"""Numbers and spans for a collector, by the standard variables; nothing of it where none is set."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from recovery import telemetry
from recovery.errors import BadInput
from recovery.metrics.series import series
from recovery.telemetry import Signal, Span, send_metrics, send_trace, wanted
from tests.unit.test_report import entry, report

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
BOTH = frozenset(Signal)


class Collected(MetricExporter):
    """Takes metrics, or refuses them."""

    def __init__(self, result: MetricExportResult = MetricExportResult.SUCCESS) -> None:
        super().__init__()
        self.result = result
        self.points: list[tuple[str, Mapping[str, Any], Any]] = []
        self.service = ""

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        for resource in metrics_data.resource_metrics:
            self.service = str(resource.resource.attributes["service.name"])
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        value = getattr(point, "value", None)
                        attributes = dict(point.attributes or {})
                        self.points.append((metric.name, attributes, getattr(point, "sum", None) or value))
        return self.result

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None: ...

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "signals"),
    [
        ({}, frozenset()),
        ({ENDPOINT: ""}, frozenset()),
        ({ENDPOINT: "http://collector:4318"}, BOTH),
        ({ENDPOINT: "http://collector:4318", "OTEL_SDK_DISABLED": "True"}, frozenset()),
        ({ENDPOINT: "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, {Signal.METRICS}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, {Signal.TRACES}),
    ],
)
def test_the_standard_variables_decide(environment: Mapping[str, str], signals: frozenset[Signal]) -> None:
    """An endpoint asks for both; each signal can be switched off, or have an endpoint of its own."""
    assert wanted(environment) == signals


def test_another_protocol_is_one_clear_line() -> None:
    """The variable and the value that it may have."""
    with pytest.raises(BadInput, match="OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc': expected http/protobuf"):
        wanted({ENDPOINT: "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the extra to install; nothing at all where no collector is named."""
    monkeypatch.setattr(telemetry, "is_installed", lambda: False)
    assert wanted({}) == frozenset()
    with pytest.raises(BadInput, match=r"install reprise\[otel\]"):
        wanted({ENDPOINT: "http://collector:4318"})


def test_off_imports_nothing() -> None:
    """The SDK is not loaded by a process that sends nothing."""
    ask = "import sys, tasks.telemetry; print('opentelemetry.sdk.metrics' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"


def test_each_split_has_a_name_of_its_own() -> None:
    """A sum over any metric is the number of items: no item is in it twice."""
    found = Collected()
    made = report(*(entry(f"m-{n}", kind="TIMEOUT") for n in range(3)), entry("m-9", kind="THROTTLED"))
    send_metrics(series(made, swept=True), found)
    healed = [(name, of, value) for name, of, value in found.points if name.startswith("reprise.healed")]
    assert ("reprise.healed", {"path": "dead_letters"}, 4) in healed
    assert ("reprise.healed.by_kind", {"path": "dead_letters", "kind": "TIMEOUT"}, 3) in healed
    for name in ("reprise.healed", "reprise.healed.by_kind", "reprise.healed.by_source"):
        assert sum(value for called, _, value in healed if called == name) == 4
    assert found.service == "reprise"
    [seconds] = [value for name, _, value in found.points if name == "reprise.run_seconds"]
    assert seconds == made.seconds


def test_a_collector_that_refuses_is_an_error_of_one_line() -> None:
    """The step that informs makes a warning of it."""
    with pytest.raises(BadInput, match="did not take the metrics"):
        send_metrics(series(report(entry()), swept=False), Collected(MetricExportResult.FAILURE))


def test_a_trace_has_the_run_and_its_steps() -> None:
    """One trace; a step that failed is marked, with no text of its error."""
    out = InMemorySpanExporter()
    steps = [Span("receive messages", 1_000, 2_000), Span("publish report", 2_000, 3_000, "Failed")]
    send_trace(Span("recover dead_letters", 500, 4_000), steps, {"reprise.path": "dead_letters"}, out)
    first, second, run = out.get_finished_spans()
    assert [span.name for span in (first, second, run)] == [
        "receive messages",
        "publish report",
        "recover dead_letters",
    ]
    assert first.parent == second.parent == run.context
    assert (first.start_time, first.end_time) == (1_000, 2_000)
    assert second.status.status_code is StatusCode.ERROR
    assert run.attributes == {"reprise.path": "dead_letters"}
