"""Numbers and spans of a run for an OpenTelemetry collector, when the standard environment variables ask for them.

Nothing of OpenTelemetry is imported unless a variable names a collector. Each run sends what it has at its end, in one
request for each signal, and waits for an answer as long as OTEL_EXPORTER_OTLP_TIMEOUT says, five seconds unless set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from recovery.errors import BadInput
from recovery.metrics.series import BY_KIND, BY_SOURCE, Datum

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExporter

SECONDS = 5.0
LEVELS = frozenset({"VisibleDeadLetters", "OutboxCircuitOpen", "OutboxOldestUnfinished"})
"""Metrics of a state that a run found: gauges. All others count, or measure a time."""
_PROTOCOL = "http/protobuf"
_SUFFIX = {"": "", BY_KIND: ".by_kind", BY_SOURCE: ".by_source"}


class Signal(StrEnum):
    """Signals that a collector may be sent."""

    METRICS = "METRICS"
    TRACES = "TRACES"


@dataclass(frozen=True, slots=True)
class Span:
    """A step of a run, or the run itself.

    Attributes:
        name: the step's.
        start, end: nanoseconds since 1970.
        error: class of the error that ended it, "" where it went well.
    """

    name: str
    start: int
    end: int
    error: str = ""


def wanted(environment: Mapping[str, str] | None = None) -> frozenset[Signal]:
    """Return the signals that the environment asks for.

    Raises:
        BadInput: it asks for some in a way that is not supported, or the packages are not installed.
    """
    given = os.environ if environment is None else environment
    if given.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return frozenset()
    found = frozenset(signal for signal in Signal if _is_wanted(signal, given))
    for signal in found:
        name = f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"
        name = name if given.get(name) else "OTEL_EXPORTER_OTLP_PROTOCOL"
        if (protocol := given.get(name) or _PROTOCOL) != _PROTOCOL:
            raise BadInput(f"{name} is {protocol!r}: expected {_PROTOCOL}, the only one that is supported")
    if found and not is_installed():
        raise BadInput("OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: install reprise[otel]")
    return found


def is_installed() -> bool:
    """True when the packages of the extra `otel` are there."""
    try:
        return bool(find_spec("opentelemetry.sdk") and find_spec("opentelemetry.exporter.otlp.proto.http"))
    except ModuleNotFoundError:
        return False


def metric_name(datum: Datum) -> str:
    """Return a metric's name, as "reprise.healed.by_kind".

    Each split has a name of its own, so that no sum over a metric counts an item twice.
    """
    return "reprise." + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", datum.name).lower() + _SUFFIX[datum.dimension]


def send_metrics(data: Iterable[Datum], exporter: MetricExporter | None = None) -> None:
    """Send a run's numbers.

    Args:
        data: of the run.
        exporter: in place of the collector's, for tests.

    Raises:
        BadInput: the collector did not take them.
    """
    from opentelemetry.metrics import Counter, Histogram
    from opentelemetry.metrics import _Gauge as Gauge
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult

    out = exporter or _metric_exporter()
    # Of a run that ends, sums since its beginning are no running totals: each run states what it adds.
    reader = InMemoryMetricReader(preferred_temporality=out._preferred_temporality)
    provider = MeterProvider([reader], resource=_resource(), shutdown_on_exit=False)
    meter = provider.get_meter("reprise")
    made: dict[str, Any] = {}
    for datum in data:
        name = metric_name(datum)
        unit = "s" if datum.unit == "Seconds" else "1"
        if datum.name in LEVELS:
            instrument = made.get(name) or meter.create_gauge(name, unit)
        elif datum.unit == "Seconds":
            instrument = made.get(name) or meter.create_histogram(name, unit)
        else:
            instrument = made.get(name) or meter.create_counter(name, unit)
        made[name] = instrument
        attributes = {dimension.lower(): value for dimension, value in datum.dimensions()}
        match instrument:
            case Counter():
                instrument.add(datum.value, attributes)
            case Histogram():
                instrument.record(datum.value, attributes)
            case Gauge():
                instrument.set(datum.value, attributes)
    measured = reader.get_metrics_data()
    try:
        if measured is not None and out.export(measured) is not MetricExportResult.SUCCESS:
            raise BadInput("OTEL_EXPORTER_OTLP_ENDPOINT: the collector did not take the metrics of this run")
    finally:
        provider.shutdown()
        out.shutdown()


def send_trace(
    run: Span, steps: Sequence[Span], attributes: Mapping[str, str], exporter: SpanExporter | None = None
) -> None:
    """Send the trace of a run: one span for the run, one below it for each step.

    Args:
        run: the whole.
        steps: of it.
        attributes: of the run's span: path, name and id of the run.
        exporter: in place of the collector's, for tests.

    Raises:
        BadInput: the collector did not take it.
    """
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.trace import Status, StatusCode, set_span_in_context

    out = exporter or _span_exporter()
    tracer = TracerProvider(resource=_resource(), shutdown_on_exit=False).get_tracer("reprise")
    root = tracer.start_span(run.name, start_time=run.start, attributes=dict(attributes))
    ended = []
    for step in steps:
        span = tracer.start_span(step.name, context=set_span_in_context(root), start_time=step.start)
        if step.error:
            span.set_status(Status(StatusCode.ERROR, step.error))
        span.end(step.end)
        ended.append(span)
    if run.error:
        root.set_status(Status(StatusCode.ERROR, run.error))
    root.end(run.end)
    finished = [span for span in (*ended, root) if isinstance(span, ReadableSpan)]
    try:
        if finished and out.export(finished) is not SpanExportResult.SUCCESS:
            raise BadInput("OTEL_EXPORTER_OTLP_ENDPOINT: the collector did not take the trace of this run")
    finally:
        out.shutdown()


def _is_wanted(signal: Signal, given: Mapping[str, str]) -> bool:
    if given.get(f"OTEL_{signal}_EXPORTER", "otlp").strip() != "otlp":
        return False
    return bool(given.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or given.get("OTEL_EXPORTER_OTLP_ENDPOINT"))


def _timeout(signal: Signal) -> float | None:
    """None where the environment says how long."""
    names = (f"OTEL_EXPORTER_OTLP_{signal}_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
    return None if any(map(os.environ.get, names)) else SECONDS


def _metric_exporter() -> MetricExporter:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import Counter, Histogram
    from opentelemetry.sdk.metrics.export import AggregationTemporality

    chosen = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")
    delta: dict[type, AggregationTemporality] = {
        Counter: AggregationTemporality.DELTA,
        Histogram: AggregationTemporality.DELTA,
    }
    return OTLPMetricExporter(timeout=_timeout(Signal.METRICS), preferred_temporality=None if chosen else delta)


def _span_exporter() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(timeout=_timeout(Signal.TRACES))


def _resource() -> Resource:
    from opentelemetry.sdk.resources import Resource

    named = "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "") or os.environ.get("OTEL_SERVICE_NAME")
    return Resource.create({} if named else {"service.name": "reprise"})
