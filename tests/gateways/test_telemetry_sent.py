"""A collector on this machine takes the numbers and the trace of a run, by the standard variables alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA

from recovery.errors import BadInput
from recovery.metrics.series import series
from recovery.telemetry import Span, send_metrics, send_trace
from tests.unit.test_report import entry, report


class Collector(ThreadingHTTPServer):
    """Answers with `status`, or not at all while it is 0."""

    daemon_threads = True

    def __init__(self) -> None:
        self.taken: dict[str, bytes] = {}
        self.status = 200
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), Taking)


class Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.server.status:
            self.server.over.wait(60)
            return
        self.server.taken[self.path] = body
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{made.server_address[1]}")
        monkeypatch.setenv("NO_PROXY", "*")
        yield made
        made.over.set()
        made.shutdown()


def test_the_numbers_of_a_run_arrive(collector: Collector) -> None:
    """As what the run adds, since no process of Reprise lives long enough for running totals."""
    send_metrics(series(report(entry("m-1", kind="TIMEOUT")), swept=True))
    came = ExportMetricsServiceRequest.FromString(collector.taken["/v1/metrics"])
    [resource] = came.resource_metrics
    found = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    assert found["reprise.healed"].sum.data_points[0].as_double == 1
    assert found["reprise.healed"].sum.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA
    assert {each.key: each.value.string_value for each in resource.resource.attributes}["service.name"] == "reprise"


def test_the_trace_of_a_run_arrives(collector: Collector) -> None:
    """The run and its step."""
    send_trace(Span("recover dead_letters", 1, 9), [Span("receive", 2, 3)], {})
    came = ExportTraceServiceRequest.FromString(collector.taken["/v1/traces"])
    spans = came.resource_spans[0].scope_spans[0].spans
    assert {span.name for span in spans} == {"receive", "recover dead_letters"}
    assert len({span.trace_id for span in spans}) == 1


@pytest.mark.parametrize("status", [0, 400, 503])
def test_a_collector_in_trouble_costs_a_bounded_time(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """One that hangs, refuses or is overloaded is one line, after no more than the time that it may take."""
    collector.status = status
    monkeypatch.setattr("recovery.telemetry.SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(BadInput, match="the collector did not take the metrics of this run"):
        send_metrics(series(report(entry()), swept=False))
    assert time.monotonic() - began < 5
