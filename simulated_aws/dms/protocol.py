"""The wire: JSON 1.1 in and out, checked against botocore's model of DMS in both directions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from simulated_aws.requests import SimulatedRequest, SimulatedResponse

TARGET = "AmazonDMSv20160101."


class DmsError(Exception):
    """An error that DMS answers with."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@cache
def service() -> ServiceModel:
    """botocore's model of DMS."""
    return botocore.session.get_session().get_service_model("dms")


def operation_of(request: SimulatedRequest) -> str:
    """The operation's name, from the target header.

    Raises:
        DmsError: there is no such operation.
    """
    name = request.headers.get("x-amz-target", "").removeprefix(TARGET)
    if name not in service().operation_names:
        raise DmsError("UnknownOperationException", f"There is no operation {name!r}")
    return name


def parameters_of(operation: str, request: SimulatedRequest) -> dict[str, Any]:
    """The request's parameters, valid by the model.

    Raises:
        DmsError: not JSON, or not what the model says.
    """
    try:
        given = json.loads(request.body or b"{}")
    except ValueError:
        raise DmsError("SerializationException", "The request body is not JSON") from None
    if not isinstance(given, dict):
        raise DmsError("SerializationException", "The request body is not a JSON object")
    problems = _problems(given, service().operation_model(operation).input_shape)
    if problems:
        raise DmsError("InvalidParameterValueException", problems)
    return given


def answer(operation: str, payload: Mapping[str, Any]) -> SimulatedResponse:
    """Answer with success. A payload that the model does not know is a defect of the simulator, and raised as one.

    Raises:
        AssertionError: the payload does not fit botocore's model of the operation.
    """
    problems = _problems(payload, service().operation_model(operation).output_shape)
    if problems:
        raise AssertionError(f"{operation} answers what botocore does not know: {problems}")
    return SimulatedResponse.json(_plain(payload))


def refusal(error: DmsError) -> SimulatedResponse:
    """An error answer; DMS faults have no status of their own in the model and come as 400."""
    return SimulatedResponse.error(error.code, str(error))


def _problems(values: Any, shape: Any) -> str:
    report = ParamValidator().validate(values, shape)
    return str(report.generate_report()) if report.has_errors() else ""


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
