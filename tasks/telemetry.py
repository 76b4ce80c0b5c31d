"""A run's numbers and its trace on their way to an OpenTelemetry collector. They never fail the run."""

from __future__ import annotations

import time

from prefect import get_run_logger, runtime

from recovery import telemetry
from recovery.errors import BadInput
from recovery.metrics.series import series
from recovery.report import RecoveryReport
from recovery.telemetry import Signal, Span
from tasks.metrics import SCHEDULED
from tasks.policies import ONCE
from tasks.steps import inform, spans, step


def watch_steps() -> frozenset[Signal]:
    """Begin to note the steps of a run where a trace is asked for; return the signals that are.

    A wrong variable is one warning in the run's log, and then nothing is sent.
    """
    try:
        signals = telemetry.wanted()
    except BadInput as error:
        get_run_logger().warning("no numbers and no trace go to the collector: %s", error)
        signals = frozenset()
    spans.set([] if Signal.TRACES in signals else None)
    return signals


def publish_telemetry(signals: frozenset[Signal], report: RecoveryReport) -> None:
    """Send the numbers of a run, unless it was a dry run or had nothing to look at, and its trace."""
    if Signal.METRICS in signals and not report.dry_run and report.requests:
        inform("the collector misses the metrics of this run", _send_metrics, report)
    if Signal.TRACES in signals:
        inform("the collector misses the trace of this run", _send_trace, report)


def _metrics(report: RecoveryReport) -> None:
    swept = SCHEDULED in runtime.flow_run.tags and not report.failed
    telemetry.send_metrics(series(report, swept=swept))


def _trace(report: RecoveryReport) -> None:
    noted = spans.get() or []
    began = min((span.start for span in noted), default=time.time_ns())
    error = "the run did not go through" if report.failed else ""
    about = {"reprise.path": report.path, "reprise.run": report.run, "prefect.flow_run.id": str(runtime.flow_run.id)}
    telemetry.send_trace(Span(f"recover {report.path}", began, time.time_ns(), error), noted, about)


_send_metrics = step(_metrics, "send metrics to the collector", "sent the metrics to the collector", ONCE)
_send_trace = step(_trace, "send the trace to the collector", "sent the trace to the collector", ONCE)
