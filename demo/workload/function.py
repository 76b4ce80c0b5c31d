"""The consumer as the Lambda function that it stands for: configuration, log group and event source mappings.

AWS lists it as it lists any function, so that recovery finds the consumer of a queue and its log by itself. Its work is
done by the process of `demo.workload.consume`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable

from demo.workload.consume import FUNCTION, LOG_GROUP
from simulated_aws.hooks.functions import RUNS_ELSEWHERE
from simulated_aws.server import SimulatedAws


def create(aws: SimulatedAws, queues: Iterable[str], timeout_seconds: int) -> None:
    """Create the function and a mapping for each queue.

    Args:
        aws: with the sample workload in it.
        queues: names of the queues that it consumes.
        timeout_seconds: time that an invocation may take.
    """
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as zipped:
        zipped.writestr(
            "index.py", "def handler(event, context):\n    raise NotImplementedError('it runs elsewhere')\n"
        )
    functions = aws.client("lambda")
    functions.create_function(
        FunctionName=FUNCTION,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/orders-consumer",
        Handler="index.handler",
        Code={"ZipFile": code.getvalue()},
        Timeout=timeout_seconds,
        LoggingConfig={"LogGroup": LOG_GROUP, "LogFormat": "Text"},
        Environment={"Variables": {RUNS_ELSEWHERE: "yes"}},
    )
    for queue in queues:
        url = aws.queue_url(queue)
        arn = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        functions.create_event_source_mapping(EventSourceArn=arn, FunctionName=FUNCTION, BatchSize=10)
