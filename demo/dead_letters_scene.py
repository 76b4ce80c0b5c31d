"""The scene of the dead letters: a bad day of the sample shop, and how its orders come back.

In the evening a person finishes the work: a plan of all that failed with 401, whose first messages come back, since one
customer's key was not renewed; a second plan that changes this customer's orders; and a replay of the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final

from demo import messages_expected as expected
from demo.messages_compared import differences
from demo.messages_in_aws import InQueue, MessagesInAws
from demo.scenes import DemoFailed, Row, Wiring, World
from demo.workload import function
from demo.workload.dependency import AFTERNOON, BAD_DAY
from demo.workload.recorded import messages, put
from demo.workload.shop import QUEUES, Shop

DEAD_LETTER_QUEUES: Final = tuple(dict.fromkeys(QUEUES.values()))
FROM_OTHERS: Final = "back-office-dlq"
"""Queues in which Lambda, EventBridge, Scheduler, SNS and S3 leave theirs."""
ORDERS: Final = {"orders": (60, 7), "orders.fifo": (8, 39), "invoices": (10, 11), "shipments": (10, 12)}
"""Number of orders for each queue, and their seed."""

SETTLE_SECONDS: Final = 12
"""Longer than a healed order takes to fail three times more, so that only what stays away counts as recovered."""
# No log group: the function that consumes the queues is found, and its log.
POLICY: Final[dict[str, Any]] = {
    # Seconds in the place of minutes and hours, so that a person can watch.
    "backoff": {"base_seconds": 2, "factor": 2, "cap_seconds": 4},
    "max_attempts": 2,
    "settle_seconds": SETTLE_SECONDS,
    "sweep_seconds": 30,
}
PERSON: Final[dict[str, Any]] = {"operator": "ann", "dry_run": False}
CANARY: Final = (3,)
CHANGE: Final = {
    "body": [
        {"op": "test", "path": "/account", "value": expected.SOLD},
        {"op": "replace", "path": "/account", "value": expected.BUYER},
    ]
}
MOST_SWEEPS: Final = 20
ON_EVENT: Final = "dead-letters/on-event"
SWEEP: Final = "dead-letters/sweep"

DEAD: Final = "dead letters"
WITH_CONSUMER: Final = "with the consumer"
SENT_BACK: Final = "sent back, kept from the consumer by their delay"
WAITING: Final = "in the hands of a run, or hidden until they are due"
ON_THEIR_WAY: Final = "on their way"
UNSETTLED: Final = (WITH_CONSUMER, DEAD, WAITING, SENT_BACK, ON_THEIR_WAY)
LEFT: Final = "left: nothing says why they failed"
SHELVES: Final = {
    "parked": "archived, and a person notified what to fix",
    "replayed": "archived, and a person notified what to fix",
    "exhausted": "archived, and a person notified: attempts used up",
    "waiting": "archived, and a person notified: waits for its own target",
    "archived": "archived: the same message cannot succeed",
}

_Asked = tuple[str, dict[str, Any]]
"""A deployment and its request."""


class DeadLettersScene:
    """See the module docstring."""

    title = "Dead letters"

    def __init__(self) -> None:
        self._expected: dict[str, expected.Destiny] = {}
        self._looked_at = False

    def prepare(self, world: World) -> None:
        """Open the shop on a bad day; its orders begin to fail."""
        self._messages = MessagesInAws(world.aws, tuple(QUEUES), DEAD_LETTER_QUEUES)
        self._messages.subscribe("demo-alerts")
        function.create(world.aws, QUEUES, timeout_seconds=10)
        self._shop = world.children.enter_context(
            Shop.open(
                world.aws,
                world.environment,
                queues=tuple(QUEUES),
                logs=world.folder,
                # Patient enough for a busy machine; what is slow today takes five seconds.
                consumer_options=("--timeout", "1"),
            )
        )
        self._shop.change(**asdict(BAD_DAY))
        # The expected ends are known before the first message can be inspected.
        for queue, (count, seed) in ORDERS.items():
            sent = self._shop.produce(count, queue=queue, seed=seed)
            self._expected |= {text: expected.of_order(text, queue) for text in sent.values()}
        recorded = [message for message in messages(world.aws.clock.now()) if message.name in expected.RECORDED]
        self._messages.recognise({change: text for text in self._expected if (change := expected.changed(text))})
        ids = put(world.aws.client("sqs"), world.aws.queue_url(FROM_OTHERS), recorded)
        self._messages.distinguish_by_id(ids)
        self._expected |= {key: expected.of_recorded(message.name) for key, message in zip(ids, recorded, strict=True)}
        orders = sum(count for count, _ in ORDERS.values())
        world.say(f"{orders} orders, and a service that times out and answers 401, 429 and 503")
        world.say(f"{len(recorded)} messages more, as Lambda, EventBridge, Scheduler, SNS and S3 leave them")

    def wiring(self, world: World) -> Wiring:
        """The consumer has given up and most of the service is back: from here on the queues' depth starts runs."""
        world.wait("the consumer to give up", lambda: not self._messages.with_consumer(), seconds=240)
        world.say(f"{len(self._messages.dead())} messages now lie in {len(DEAD_LETTER_QUEUES)} dead-letter queues")
        self._shop.change(**asdict(AFTERNOON))
        world.say("the service recovers, but for one warehouse and two customers' revoked keys")
        request = {"queues": list(DEAD_LETTER_QUEUES), "policy": POLICY, "dry_run": False}
        return Wiring({ON_EVENT: request, SWEEP: request}, queues=DEAD_LETTER_QUEUES)

    def drive(self, world: World) -> None:
        """The queues start runs, and messages are healed until nothing comes back; then a person sends back what can
        succeed now."""
        self._wait_until_settled(world)
        self._shop.change(**asdict(expected.EVENING))
        world.say("one of the keys is renewed: what failed with 401 can go back, but for one customer")
        failed = {"queues": expected.REPLAYED, "kinds": ["AUTH_FAILURE"], "settle_seconds": SETTLE_SECONDS}
        first = self._carry_out(world, {**failed, "steps": CANARY, "share": 1, "reason": "the key is renewed"})
        self._sweep_until(world, first, "stopped")
        cancel = {"plan_id": first, "control": "cancel", "reason": f"{expected.SOLD} was sold", **PERSON}
        # Orders that fail for another reason behind the payment come back: they are fewer than half.
        change = {"patch": CHANGE, "steps": [], "share": 0.5, "reason": f"{expected.BUYER} pays for {expected.SOLD}"}
        second = self._carry_out(world, {**failed, **change}, ("dead-letters/control", cancel))
        self._run(world, ("dead-letters-replay/replay", {**failed, "dry_run": False}))
        self._sweep_until(world, second, "done")
        world.wait("the replayed orders to be tried", lambda: not self._messages.with_consumer(), seconds=240)
        self._wait_until_settled(world)

    def _carry_out(self, world: World, request: dict[str, Any], *meanwhile: _Asked) -> str:
        """Make a plan, review it and begin it; return its id."""
        self._run(world, ("dead-letters/plan", {**request, "operator": PERSON["operator"]}), *meanwhile)
        plan = self._messages.plans()[-1]
        review = {"plan_id": plan["id"], "digest": plan["digest"], "reason": "reviewed", **PERSON}
        self._run(world, ("dead-letters/carry-out", review))
        return str(plan["id"])

    def _sweep_until(self, world: World, plan_id: str, state: str) -> None:
        """Start sweeps early until a plan is in a state, as far as its messages are proven back or came back."""
        for _ in range(MOST_SWEEPS):
            plan = next(plan for plan in self._messages.plans() if plan["id"] == plan_id)
            if plan["state"] == state:
                world.say(f"plan {plan_id} is {state}: {plan['why']}")
                return
            world.wait("the planned orders to be tried", lambda: not self._messages.with_consumer(), seconds=240)
            world.pause(SETTLE_SECONDS / 4)
            self._run(world, (SWEEP, {"queues": list(DEAD_LETTER_QUEUES), "policy": POLICY, "dry_run": False}))
        raise DemoFailed(f"plan {plan_id} is {plan['state']} after {MOST_SWEEPS} sweeps, and should be {state}")

    def _run(self, world: World, *asked: _Asked) -> None:
        """Run deployments side by side, to the end of all."""
        with ThreadPoolExecutor(len(asked)) as threads:
            ended = list(threads.map(lambda one: world.run(*one), asked))
        for run in ended:
            if not run.completed:
                raise DemoFailed(f"{run.deployment} ended as {run.state}: {run.message} ({run.url})")
            world.say(f"{run.deployment}: {run.name}")

    def settled(self, _world: World) -> Sequence[Row]:
        """Return the place of each message now."""
        # A message is sent before it is removed: asked in this order, it is found in one place or the other.
        places = dict.fromkeys(self._expected, ON_THEIR_WAY)
        places |= {copy.message: self._shelf(copy.message) for copy in self._messages.archived()}
        places |= {message.key: self._grave(message) for message in self._messages.dead()}
        for message in self._messages.with_consumer():
            places[message.key] = SENT_BACK if message.untouched and message.hidden else WITH_CONSUMER
        done = set(self._shop.fulfilled())
        for key, destiny in self._expected.items():
            if destiny.name in done:
                places[key] = f"carried out {destiny.how}"
        counts = Counter(places[key] for key in self._expected)
        return [Row(state, counts[state], state not in UNSETTLED) for state in sorted(counts, key=_rank)]

    def check(self, _world: World) -> list[str]:
        """Queues, orders carried out, archive, ledger and alerts."""
        plans = [f"{plan['state']} as {plan['carried_by']} began it" for plan in self._messages.plans()]
        wanted = [f"{state} as {PERSON['operator']} began it" for state in ("cancelled", "done")]
        wrong = [] if plans == wanted else [f"the plans are {plans}, and should be {wanted}"]
        return wrong + differences(self._expected, self._messages, set(self._shop.fulfilled()))

    def _wait_until_settled(self, world: World) -> None:
        """Wait until events have started what it takes: every message rests where it should."""
        world.wait("a queue's depth to start a run", lambda: world.ended(ON_EVENT), seconds=240)
        world.wait("the messages to come to rest", lambda: self._rests(world), seconds=240, every=1)

    def _rests(self, world: World) -> bool:
        """Nothing is on its way, and what lies in a dead-letter queue stays there."""
        self._looked_at = True
        return all(row.settled for row in self.settled(world) if row.count)

    def _grave(self, message: InQueue) -> str:
        if message.hidden:
            return WAITING
        return LEFT if self._looked_at and self._expected[message.key].place == expected.LEFT else DEAD

    def _shelf(self, key: str) -> str:
        destiny = self._expected.get(key)
        return SHELVES[destiny.kept[-1][0]] if destiny and destiny.kept else "archived, and nobody knows why"


def _rank(state: str) -> tuple[int, str]:
    return (UNSETTLED.index(state) if state in UNSETTLED else len(UNSETTLED), state)
