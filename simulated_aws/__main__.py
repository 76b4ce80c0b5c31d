"""`python -m simulated_aws` (make aws): the simulated AWS with its estate, until Ctrl-C.

Prints the variables to export, one a line, so that `eval "$(...)"` is not needed to read them. Options: `--port 4566`
(another one is taken where it is busy), `--without-sample` (only Reprise's own estate, no sample workload).
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import threading

from simulated_aws.server import SimulatedAws


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m simulated_aws", description="A simulated AWS on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=4566, help="wanted port; a free one where it is busy (%(default)s)")
    parser.add_argument("--without-sample", action="store_true", help="only Reprise's own estate, no sample workload")
    options = parser.parse_args()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with contextlib.suppress(KeyboardInterrupt), SimulatedAws.start(options.port) as aws:
        aws.create_estate()
        if not options.without_sample:
            aws.create_sample_workload()
        print(f"# Simulated AWS on {aws.endpoint}. Everything is in memory and ends with Ctrl-C. Export in a shell:")
        for name, value in sorted(aws.environment.items()):
            print(f"export {name}={value}")
        print("# Then for example: aws sqs list-queues", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
