"""A workload that anyone can deploy and let fail: `deployments/cloudformation/sample-workload.yaml`.

    producer.py  Lambda behind an HTTP API: puts orders into the queue
    consumer.py  Lambda on the queue: carries orders out, and fails one by one
    command.py   `reprise sample send` and `reprise sample verify`

The template holds the two functions' very text.
"""

from __future__ import annotations

HELP = "Let the sample workload fail, and see it healed."
COMMANDS = {
    "send": ("deployments.sample.command:send", "Send orders while their price service is away."),
    "verify": ("deployments.sample.command:verify", "Say what became of each order; 0 when all are healed."),
}
