"""HTTP endpoints of SNS subscriptions: posts what SNS would have posted. Thin: never raises for the endpoint's words.

Source: "Parsing Amazon SNS message formats" and "Amazon SNS message delivery retries", SNS developer guide.
"""

from __future__ import annotations

import json

import httpx

from recovery.dead_letters.outcomes import NotSent, Outcome, Sent
from recovery.dead_letters.routes import Routes
from recovery.errors import OutcomeUnknown, Refused, RepriseError, Transient

SECONDS = 15.0
"""SNS waits so long for an endpoint's answer."""
_OF_CONTENT = frozenset({400, 413, 415, 422})
"""Refusals of the notification itself; all other refusals speak of the endpoint or the caller."""
OPERATION = "POST to the subscription's endpoint"


class Endpoints:
    """Posts notifications. Redirections are not followed: SNS does not follow them, and they could lead anywhere.

    Args:
        routes: names the endpoint of a subscription.
    """

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._http = httpx.Client(timeout=SECONDS, follow_redirects=False)

    def post(self, subscription: str, envelope: str) -> Outcome:
        """Post an envelope to the endpoint of a subscription; the outcome has no id, since an endpoint gives none."""
        identity = str(json.loads(envelope).get("MessageId", ""))
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "User-Agent": "Amazon Simple Notification Service Agent",
            "x-amz-sns-message-type": "Notification",
            "x-amz-sns-message-id": identity,
            "x-amz-sns-topic-arn": subscription.rpartition(":")[0],
            "x-amz-sns-subscription-arn": subscription,
        }
        try:
            address = self._routes.endpoint(subscription).address
            answer = self._http.post(address, content=envelope.encode(), headers=headers)
        except RepriseError as error:
            return NotSent(error)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return NotSent(_failed(Transient, "could not be connected to", "no connection"))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return NotSent(_failed(OutcomeUnknown, "gave no answer", type(error).__name__))
        return _outcome(answer.status_code, identity)


def _outcome(status: int, identity: str) -> Outcome:
    if 200 <= status < 300:
        return Sent(identity)
    words, code = f"answered {status}", str(status)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return NotSent(_failed(Transient, words, code))
    if status >= 500:
        return NotSent(_failed(OutcomeUnknown, words, code))
    return NotSent(_failed(Refused, words, code), its_own_fault=status in _OF_CONTENT)


def _failed(kind: type[RepriseError], words: str, code: str) -> RepriseError:
    return kind(f"{OPERATION}: it {words}", code=code, operation=OPERATION)
