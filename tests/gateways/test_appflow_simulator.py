"""The strict AppFlow does what AWS says AppFlow does, and refuses what AWS refuses."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from recovery.events.appflow import DEACTIVATIONS, END, EVENT_REPORT, START, read
from simulated_aws.appflow import SCRIPT_PATH, AppFlowSimulator, Outcome
from simulated_aws.appflow.inprocess import client_for
from simulated_aws.appflow.protocol import broken, model
from simulated_aws.requests import SimulatedRequest
from tests.appflow_world import START as BEGINNING
from tests.appflow_world import TASKS, TO, Estate, to_salesforce


class Account:
    """A simulator, a client of anyone's boto3, and the clock."""

    def __init__(self, **settings: Any) -> None:
        self.estate = Estate()
        self.simulator = AppFlowSimulator(self.estate, **settings)
        self.client = client_for(self.simulator)

    def create(self, name: str = "orders", trigger: dict[str, Any] | None = None, **other: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.create_flow(
            **{
                "flowName": name,
                "triggerConfig": trigger or {"triggerType": "OnDemand"},
                "sourceFlowConfig": {
                    "connectorType": "Salesforce",
                    "connectorProfileName": "crm",
                    "sourceConnectorProperties": {"Salesforce": {"object": "Order"}},
                },
                "destinationFlowConfigList": [TO["S3"]],
                "tasks": TASKS,
                **other,
            }
        )
        return answer

    def scheduled(self, name: str = "orders", expression: str = "rate(5minutes)", **properties: Any) -> None:
        """A scheduled flow that is on."""
        self.create(name, schedule(expression, **properties))
        self.client.start_flow(flowName=name)

    def records(self, name: str = "orders") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.describe_flow_execution_records(flowName=name)["flowExecutions"]
        return found

    def statuses(self, name: str = "orders") -> list[str]:
        return [record["executionStatus"] for record in self.records(name)]

    def advance(self, **duration: float) -> None:
        self.estate.time += timedelta(**duration)

    def sent(self) -> list[str]:
        self.simulator.advance()
        return [event["detail-type"] for event in self.estate.events]


def schedule(expression: str = "rate(5minutes)", **properties: Any) -> dict[str, Any]:
    scheduled = {"scheduleExpression": expression, **properties}
    return {"triggerType": "Scheduled", "triggerProperties": {"Scheduled": scheduled}}


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=f"\\({code}\\)")


@pytest.fixture
def account() -> Account:
    return Account()


# -- on demand ---------------------------------------------------------------------------------------------------------


def test_a_run_on_demand(account: Account) -> None:
    """StartFlow runs the flow at once and shows the run, whose record ends as the script says."""
    account.simulator.script(Outcome.failure("503 from the source", records=3, bytes_written=70), flow="orders")
    account.create()
    started = account.client.start_flow(flowName="orders")
    account.advance(seconds=1)
    assert account.statuses() == ["InProgress"]
    account.advance(seconds=2)
    (record,) = account.records()
    assert record["executionId"] == started["executionId"]
    assert record["executionStatus"] == "Error"
    result = record["executionResult"]
    assert result["errorInfo"]["executionMessage"] == "503 from the source"
    assert (result["recordsProcessed"], result["bytesWritten"]) == (3, 70)
    assert record["startedAt"] == BEGINNING
    assert record["lastUpdatedAt"] == BEGINNING + timedelta(seconds=2)


def test_records_lag_behind(account: Account) -> None:
    """A run that has just begun is not in the records yet."""
    account.create()
    account.client.start_flow(flowName="orders")
    assert account.records() == []
    assert "lastRunExecutionDetails" not in account.client.describe_flow(flowName="orders")


def test_one_run_at_a_time(account: Account) -> None:
    """A flow on demand that is running cannot be started."""
    account.create()
    account.client.start_flow(flowName="orders")
    with refused("ConflictException"):
        account.client.start_flow(flowName="orders")


def test_client_tokens(account: Account) -> None:
    """A repeated token starts nothing and gets the first answer, for eight hours; then it is a new call."""
    account.create()
    first = account.client.start_flow(flowName="orders", clientToken="t")["executionId"]
    account.advance(hours=7.9)
    assert account.client.start_flow(flowName="orders", clientToken="t")["executionId"] == first
    assert len(account.records()) == 1
    account.advance(hours=0.2)
    assert account.client.start_flow(flowName="orders", clientToken="t")["executionId"] != first


def test_without_a_token_each_call_is_a_run(account: Account) -> None:
    """The SDK fills in a token of its own for each call."""
    account.create()
    ids = []
    for _ in range(3):
        ids.append(account.client.start_flow(flowName="orders")["executionId"])
        account.advance(seconds=5)
    assert len(set(ids)) == 3


def test_paging(account: Account) -> None:
    """Records come 20 to a page, the newest first, and runs that begin meanwhile do not disturb the pages."""
    account.create()
    ids = []
    for _ in range(45):
        ids.append(account.client.start_flow(flowName="orders")["executionId"])
        account.advance(seconds=5)
    first = account.client.describe_flow_execution_records(flowName="orders")
    account.client.start_flow(flowName="orders")
    account.advance(seconds=5)
    found = [record["executionId"] for record in first["flowExecutions"]]
    token = first["nextToken"]
    while token:
        page = account.client.describe_flow_execution_records(flowName="orders", nextToken=token, maxResults=10)
        found += [record["executionId"] for record in page["flowExecutions"]]
        token = page.get("nextToken")
    assert found == ids[::-1]
    with refused("ValidationException"):
        account.client.describe_flow_execution_records(flowName="orders", nextToken="nonsense")


def test_lists_are_paged(account: Account) -> None:
    """So are flows, with their newest run, trigger and tags."""
    for number in range(25):
        account.create(f"flow-{number:02}", tags={"n": str(number)})
    pages = [account.client.list_flows()]
    while "nextToken" in pages[-1]:
        pages.append(account.client.list_flows(nextToken=pages[-1]["nextToken"]))
    flows = [flow for page in pages for flow in page["flows"]]
    assert [len(page["flows"]) for page in pages] == [20, 5]
    assert [flow["flowName"] for flow in flows] == [f"flow-{number:02}" for number in range(25)]
    assert flows[7]["tags"] == {"n": "7"}
    assert flows[7]["triggerType"] == "OnDemand"


def test_cancelling(account: Account) -> None:
    """A run is being cancelled for a while, then it is cancelled; what has ended cannot be."""
    account.simulator.script(Outcome(seconds=60), flow="orders")
    account.create()
    run = account.client.start_flow(flowName="orders")["executionId"]
    account.advance(seconds=5)
    assert account.client.cancel_flow_executions(flowName="orders")["invalidExecutions"] == []
    assert account.statuses() == ["CancelStarted"]
    account.advance(minutes=5)
    assert account.statuses() == ["Canceled"]
    again = account.client.cancel_flow_executions(flowName="orders", executionIds=[run])
    assert again["invalidExecutions"] == [run]


def test_a_flow_on_demand_cannot_be_stopped(account: Account) -> None:
    """StopFlow is for flows that can be switched off."""
    account.create()
    with refused("UnsupportedOperationException"):
        account.client.stop_flow(flowName="orders")


# -- scheduled ---------------------------------------------------------------------------------------------------------


def test_starting_a_scheduled_flow_only_activates_it(account: Account) -> None:
    """It has no run to show; starting it once more runs nothing."""
    account.create("orders", schedule("rate(1hours)", scheduleStartTime=BEGINNING + timedelta(minutes=30)))
    assert account.client.describe_flow(flowName="orders")["flowStatus"] == "Draft"
    for _ in range(3):
        answer = account.client.start_flow(flowName="orders")
        assert answer["flowStatus"] == "Active"
        assert "executionId" not in answer
        account.advance(minutes=5)
    assert account.records() == []
    account.advance(minutes=20)
    assert account.statuses() == ["Successful"]


def test_a_rate_runs_at_activation(account: Account) -> None:
    """A rate without a start time fires when it is activated, and then in its steps."""
    account.scheduled(expression="rate(5minutes)")
    account.advance(minutes=11)
    assert [record["startedAt"] for record in account.records()] == [
        BEGINNING + timedelta(minutes=minutes) for minutes in (10, 5, 0)
    ]


def test_incremental_windows(account: Account) -> None:
    """Each window begins at the end of the last success, a failed one is pulled again; the first goes back 30 days."""
    account.simulator.script(Outcome(), Outcome.failure("503"), Outcome(), flow="orders")
    account.scheduled(expression="rate(1hours)", dataPullMode="Incremental")
    account.advance(hours=2, minutes=1)
    windows = [(record["dataPullStartTime"], record["dataPullEndTime"]) for record in account.records()[::-1]]
    hour = timedelta(hours=1)
    assert windows == [
        (BEGINNING - timedelta(days=30), BEGINNING),
        (BEGINNING, BEGINNING + hour),
        (BEGINNING, BEGINNING + 2 * hour),
    ]


def test_switching_off(account: Account) -> None:
    """After the threshold of failures in a row the flow is off, and says why; an activation starts counting anew."""
    account.simulator.script(
        *[Outcome.failure("503")] * 2, Outcome(), *[Outcome.failure("503")] * 3, flow="orders", then=Outcome()
    )
    account.scheduled(expression="rate(5minutes)", flowErrorDeactivationThreshold=3)
    account.advance(minutes=24)
    assert account.client.describe_flow(flowName="orders")["flowStatus"] == "Active"
    account.advance(minutes=2)
    flow = account.client.describe_flow(flowName="orders")
    assert flow["flowStatus"] == "Suspended"
    assert "deactivated" in flow["flowStatusMessage"]
    assert account.sent()[-1] == "AppFlow Scheduled Flow Deactivated"
    account.advance(hours=5)
    assert len(account.records()) == 6
    account.client.start_flow(flowName="orders")
    account.advance(minutes=1)
    assert account.statuses()[0] == "Successful"


def test_a_person_stops_a_flow(account: Account) -> None:
    """A stopped flow leaves no message and runs no more."""
    account.scheduled(expression="rate(5minutes)")
    account.client.stop_flow(flowName="orders")
    flow = account.client.describe_flow(flowName="orders")
    assert flow["flowStatus"] == "Suspended"
    assert "flowStatusMessage" not in flow
    account.advance(hours=1)
    assert len(account.records()) == 1


def test_a_slow_run_skips_its_ticks(account: Account) -> None:
    """While a run is under way the schedule starts no other."""
    account.simulator.script(Outcome(seconds=12 * 60), flow="orders")
    account.scheduled(expression="rate(5minutes)")
    account.advance(minutes=16)
    assert [record["startedAt"] for record in account.records()] == [BEGINNING + timedelta(minutes=15), BEGINNING]


def test_a_schedule_ends(account: Account) -> None:
    """After its end time nothing fires."""
    account.scheduled(expression="rate(5minutes)", scheduleEndTime=BEGINNING + timedelta(minutes=7))
    account.advance(hours=1)
    assert len(account.records()) == 2


def test_a_token_with_other_parameters(account: Account) -> None:
    """For flows that are activated, a token cannot be used for another flow."""
    account.create("first", schedule())
    account.create("second", schedule())
    account.client.start_flow(flowName="first", clientToken="t")
    with refused("ConflictException"):
        account.client.start_flow(flowName="second", clientToken="t")


# -- event-triggered ---------------------------------------------------------------------------------------------------


def test_an_event_triggered_flow(account: Account) -> None:
    """It reports every five minutes while it is on, and is switched off when it keeps failing."""
    account.simulator.script(Outcome(), *[Outcome.failure("503")] * 3, flow="orders")
    account.create("orders", {"triggerType": "Event"})
    account.client.start_flow(flowName="orders")
    account.advance(minutes=21)
    assert account.statuses() == ["Error", "Error", "Error", "Successful"]
    assert account.sent() == [*["AppFlow Event Flow Report"] * 4, "AppFlow Event Flow Deactivated"]
    assert account.client.describe_flow(flowName="orders")["flowStatus"] == "Suspended"


# -- flows -------------------------------------------------------------------------------------------------------------


def test_a_definition_comes_back_as_it_was_given(account: Account) -> None:
    """DescribeFlow shows what CreateFlow was given, UpdateFlow replaces it and keeps name, key and tags."""
    account.create(description="first", kmsArn="arn:aws:kms:us-east-1:000000000000:key/k", tags={"team": "data"})
    first = account.client.describe_flow(flowName="orders")
    assert first["tasks"] == TASKS
    assert first["tags"] == {"team": "data"}
    account.client.update_flow(
        flowName="orders",
        description="second",
        triggerConfig={"triggerType": "OnDemand"},
        sourceFlowConfig=first["sourceFlowConfig"],
        destinationFlowConfigList=[to_salesforce("UPSERT")],
        tasks=TASKS,
    )
    second = account.client.describe_flow(flowName="orders")
    assert second["description"] == "second"
    assert second["kmsArn"] == first["kmsArn"]
    assert second["schemaVersion"] == first["schemaVersion"] + 1
    assert second["destinationFlowConfigList"] == [to_salesforce("UPSERT")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"triggerConfig": {"triggerType": "Sometimes"}},
        {"triggerConfig": {"triggerType": "Scheduled"}},
        {"triggerConfig": schedule("every day")},
        {"triggerConfig": schedule("rate(0minutes)")},
        {"triggerConfig": schedule(flowErrorDeactivationThreshold=101)},
        {"triggerConfig": schedule(scheduleStartTime=BEGINNING, scheduleEndTime=BEGINNING)},
        {"destinationFlowConfigList": []},
        {"destinationFlowConfigList": [TO["S3"], TO["S3"]]},
        {"destinationFlowConfigList": [{**TO["S3"], "connectorType": "Redshift"}]},
        {
            "destinationFlowConfigList": [
                {
                    "connectorType": "Salesforce",
                    "destinationConnectorProperties": {
                        "Salesforce": {"object": "Order__c", "writeOperationType": "UPSERT"}
                    },
                }
            ]
        },
        {"tasks": []},
        {"flowName": "bad name"},
        {"kmsArn": "no-arn-at-all-but-long-enough"},
        {"clientToken": "tøken"},
    ],
)
def test_invalid_definitions(account: Account, wrong: dict[str, Any]) -> None:
    """A request that breaks the service model, or AppFlow's rules beyond it, is refused."""
    with refused("ValidationException"):
        account.create(**({"name": wrong["flowName"]} if "flowName" in wrong else wrong))


def test_names_are_taken_once(account: Account) -> None:
    """A second flow of the name is a conflict, unless it is the same call again, by its token."""
    first = account.create(clientToken="t")
    assert account.create(clientToken="t")["flowArn"] == first["flowArn"]
    with refused("ConflictException"):
        account.create()
    with refused("ConflictException"):
        account.create(clientToken="t", description="another")


def test_deleting(account: Account) -> None:
    """A flow that is running, or on by its schedule, is in use; force helps."""
    account.create()
    account.client.start_flow(flowName="orders")
    with refused("ConflictException"):
        account.client.delete_flow(flowName="orders")
    account.advance(seconds=5)
    account.client.delete_flow(flowName="orders")
    with refused("ResourceNotFoundException"):
        account.client.describe_flow(flowName="orders")
    account.scheduled("daily", "rate(1days)")
    with refused("ConflictException"):
        account.client.delete_flow(flowName="daily")
    account.client.delete_flow(flowName="daily", forceDelete=True)
    assert account.client.list_flows()["flows"] == []


def test_tags(account: Account) -> None:
    """Tags are set, read and removed by ARN."""
    arn = account.create(tags={"a": "1"})["flowArn"]
    account.client.tag_resource(resourceArn=arn, tags={"b": "2"})
    account.client.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert account.client.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}


@pytest.mark.parametrize(
    "call", ["describe_flow", "start_flow", "stop_flow", "delete_flow", "describe_flow_execution_records"]
)
def test_a_flow_that_does_not_exist(account: Account, call: str) -> None:
    """Every operation on it says so."""
    with refused("ResourceNotFoundException"):
        getattr(account.client, call)(flowName="nowhere")


def test_an_operation_that_the_simulator_lacks(account: Account) -> None:
    """It is refused, not pretended."""
    with refused("UnknownOperationException"):
        account.client.describe_connector_profiles()


# -- events ------------------------------------------------------------------------------------------------------------


def test_events_have_the_real_shapes(account: Account) -> None:
    """Kebab-case keys, strings for values, times with a zone in brackets, a hash for a resource."""
    account.simulator.script(Outcome.failure("503"), flow="orders")
    account.create()
    account.client.start_flow(flowName="orders")
    account.advance(seconds=5)
    assert account.sent() == [START, END]
    end = account.estate.events[-1]
    assert end["source"] == "aws.appflow"
    assert all("_" not in key and key == key.lower() for key in end["detail"])
    assert all(isinstance(value, str) for value in end["detail"].values())
    assert end["detail"]["end-time"] == "2026-03-10T12:00:02.000Z[UTC]"
    assert end["detail"]["trigger-type"] == "ONDEMAND"
    assert end["detail"]["source"] == "SALESFORCE/crm"
    assert end["detail"]["destination-object"] == "s3://lake"
    (resource,) = end["resources"]
    assert len(resource) == 32
    assert ":" not in resource
    event = read(end)
    assert event is not None
    assert event.is_failure
    assert event.run == account.records()[0]["executionId"]


def test_events_come_by_themselves(account: Account) -> None:
    """The simulated AWS ticks, so that an end is reported although nobody asks; a script may keep it silent."""
    account.simulator.script(Outcome(), Outcome(announced=False), flow="orders")
    account.create()
    for _ in range(2):
        account.client.start_flow(flowName="orders")
        account.advance(seconds=5)
        account.simulator.tick()
    assert [event["detail-type"] for event in account.estate.events] == [START, END, START]


def test_all_kinds_of_events_are_known() -> None:
    """The path reads all that the simulator may send."""
    from simulated_aws.appflow import events

    assert {events.START, events.END, events.EVENT_REPORT} == {START, END, EVENT_REPORT}
    assert {events.EVENT_DEACTIVATED, events.SCHEDULED_DEACTIVATED} == DEACTIVATIONS


# -- scripts -----------------------------------------------------------------------------------------------------------


def post(simulator: AppFlowSimulator, body: Any) -> tuple[int, dict[str, Any]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = simulator.handle(SimulatedRequest("POST", SCRIPT_PATH, {}, {}, raw))
    return answer.status, json.loads(answer.body)


def test_a_script_over_http(account: Account) -> None:
    """Anyone can say what a flow's next runs will do: fail twice with this text, then work."""
    failing = {"error": "503", "records": 0}
    assert post(account.simulator, {"flow": "or*", "outcomes": [failing, failing], "then": {}}) == (200, {})
    account.create()
    for _ in range(3):
        account.client.start_flow(flowName="orders")
        account.advance(seconds=5)
    assert account.statuses() == ["Successful", "Error", "Error"]


@pytest.mark.parametrize(
    "script",
    [b"{", [], {}, {"flow": "a", "what": 1}, {"flow": "a", "outcomes": 3}, {"flow": "a", "outcomes": [{"x": 1}]}],
)
def test_a_script_that_is_wrong(account: Account, script: Any) -> None:
    """It is refused with the reason, and changes nothing."""
    status, answer = post(account.simulator, script)
    assert status == 400
    assert "script" in answer["message"]


def test_a_connector_that_is_down(account: Account) -> None:
    """A script for a connector profile counts for all flows that use it, those that come later included."""
    account.simulator.script(profile="crm", then=Outcome.failure("the connector is down"))
    for name in ("first", "second"):
        account.create(name)
        account.client.start_flow(flowName=name)
    account.advance(seconds=5)
    assert account.statuses("first") == account.statuses("second") == ["Error"]
    account.simulator.forget_scripts()
    account.client.start_flow(flowName="first")
    account.advance(seconds=5)
    assert account.statuses("first") == ["Successful", "Error"]


def test_throttling() -> None:
    """A limit on calls can be set, as AWS has one that it does not publish."""
    account = Account(calls_per_second=3)
    for _ in range(3):
        account.client.list_flows()
    with refused("ThrottlingException"):
        account.client.list_flows()
    account.advance(seconds=1)
    account.client.list_flows()


def test_quotas() -> None:
    """An account has a thousand flows."""
    account = Account()
    for number in range(1000):
        account.create(f"flow-{number}")
    with refused("ServiceQuotaExceededException"):
        account.create()


# -- the service model -------------------------------------------------------------------------------------------------


def test_the_checker_finds_what_botocore_finds() -> None:
    """Each way to break a shape is found."""
    shape = model().operation_model("CreateFlow").input_shape
    assert shape is not None

    def wrong(**changes: Any) -> list[str]:
        good = {
            "flowName": "orders",
            "triggerConfig": schedule("rate(5minutes)"),
            "sourceFlowConfig": {"connectorType": "S3", "sourceConnectorProperties": {}},
            "destinationFlowConfigList": [],
            "tasks": [],
        }
        return list(
            broken(shape, {name: value for name, value in {**good, **changes}.items() if value is not None}, "")
        )

    assert wrong() == []
    assert wrong(flowName=None) == ["flowName: is required"]
    assert len(wrong(flowName=3, tasks={}, tags=[], triggerConfig="x", sourceFlowConfig={"x": 1})) == 7
    assert wrong(tags={"a": 3})
    assert wrong(description="x" * 2049)
    assert wrong(triggerConfig=schedule(scheduleOffset=True))
    assert wrong(triggerConfig=schedule(scheduleOffset=-1))


def test_responses_are_checked(account: Account) -> None:
    """A response that breaks the model is a defect of the simulator, and does not leave it."""
    account.create()
    account.simulator.flow("orders").status = "Asleep"
    with pytest.raises(AssertionError, match="Asleep"):
        account.client.describe_flow(flowName="orders")
