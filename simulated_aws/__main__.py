"""`reprise aws` (make aws): the simulated AWS with its estate, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import threading

from simulated_aws.server import SimulatedAws


def main(*, port: int = 4566, without_sample: bool = False) -> None:
    """Start the simulated AWS with its estate, and print the variables to export, one a line.

    Args:
        port: wanted port on 127.0.0.1; a free one where it is busy.
        without_sample: create only the estate of Reprise, without the sample workload.
    """
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's `reprise aws &` would ignore it
    with contextlib.suppress(KeyboardInterrupt), SimulatedAws.start(port) as aws:
        aws.create_estate()
        if not without_sample:
            aws.create_sample_workload()
        print(f"# Simulated AWS on {aws.endpoint}. Everything is in memory and ends with Ctrl-C. Export in a shell:")
        for name, value in sorted(aws.environment.items()):
            print(f"export {name}={value}")
        print("# Then for example: aws sqs list-queues", flush=True)
        ended.wait()
