"""AppFlow's wire format, read from botocore's service model: which operation a request is, and whether it keeps to it.

Requests that break the model are refused as AWS refuses them; a response that breaks it is a defect of the simulator
and raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StringShape, StructureShape

from simulated_aws.requests import SimulatedRequest, SimulatedResponse

JSON = "application/json"

# AppFlow itself puts texts of connectors in these, whatever pattern the model states.
_FREE_TEXT = frozenset({"ExecutionMessage", "MostRecentExecutionMessage", "FlowStatusMessage", "ErrorMessage"})
_NUMBERS = ("integer", "long", "float", "double", "timestamp")


class Fault(Exception):
    """An error answer: its code as AWS spells it and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status, from the service model."""
        shape = model().shape_for(self.code) if self.code in model().shape_names else None
        return int(shape.metadata["error"]["httpStatusCode"]) if shape is not None else 404


@cache
def model() -> ServiceModel:
    """The service model of AppFlow that the installed botocore holds."""
    return botocore.session.get_session().get_service_model("appflow")


def operation_of(request: SimulatedRequest) -> tuple[OperationModel, dict[str, str]]:
    """The operation of a request and the parameters in its path.

    Raises:
        Fault: there is no such operation.
    """
    for operation in _operations():
        if operation.http["method"] != request.method:
            continue
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(operation.http["requestUri"]))
        found = re.fullmatch(pattern, request.path)
        if found:
            return operation, {name: unquote(value) for name, value in found.groupdict().items()}
    raise Fault("UnknownOperationException", f"no operation answers {request.method} {request.path}")


def read(request: SimulatedRequest) -> tuple[str, dict[str, Any]]:
    """Name and parameters of the operation that a request asks for.

    Raises:
        Fault: no such operation, or parameters that break the model.
    """
    operation, in_path = operation_of(request)
    try:
        body = json.loads(request.body) if request.body else {}
    except ValueError as error:
        raise Fault("ValidationException", "the body is not JSON") from error
    if not isinstance(body, dict):
        raise Fault("ValidationException", "the body is not a JSON object")
    parameters = {**body, **in_path}
    shape = operation.input_shape
    if shape is not None:
        for name, member in shape.members.items():
            if member.serialization.get("location") == "querystring":
                values = request.query.get(str(member.serialization.get("name", name)), [])
                if values:
                    parameters[name] = values
        wrong = next(broken(shape, parameters, ""), None)
        if wrong:
            raise Fault("ValidationException", wrong)
    return operation.name, parameters


def answer(operation: str, result: Mapping[str, Any]) -> SimulatedResponse:
    """A response, checked against the model; members that are None are left out, as AWS does.

    Raises:
        AssertionError: the result breaks the model.
    """
    payload = without_none(result)
    shape = model().operation_model(operation).output_shape
    if shape is None:
        assert not payload, f"{operation} answers nothing"
    else:
        wrong = next(broken(shape, payload, ""), None)
        assert wrong is None, f"{operation}: {wrong}"
    return SimulatedResponse.json(payload, content_type=JSON)


def refusal(fault: Fault) -> SimulatedResponse:
    """An error response as the REST-JSON protocol spells it."""
    body = json.dumps({"message": fault.message}).encode()
    return SimulatedResponse(fault.status, {"Content-Type": JSON, "x-amzn-ErrorType": fault.code}, body)


def without_none(value: Any) -> Any:
    """The value without the members that are None, at any depth."""
    if isinstance(value, Mapping):
        return {name: without_none(member) for name, member in value.items() if member is not None}
    if isinstance(value, list | tuple):
        return [without_none(member) for member in value]
    return value


def broken(shape: Shape, value: Any, where: str) -> Iterator[str]:
    """Find what in a JSON value breaks a shape of the model: types, required and unknown members, enums, bounds."""
    if isinstance(shape, StructureShape):
        yield from _broken_structure(shape, value, where)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield f"{where}: expected a list"
            return
        yield from _out_of_bounds(shape, len(value), where)
        for index, member in enumerate(value):
            yield from broken(shape.member, member, f"{where}[{index}]")
    elif isinstance(shape, MapShape):
        if not isinstance(value, dict):
            yield f"{where}: expected a map"
            return
        yield from _out_of_bounds(shape, len(value), where)
        for name, member in value.items():
            yield from broken(shape.key, name, f"{where} key")
            yield from broken(shape.value, member, f"{where}.{name}")
    elif isinstance(shape, StringShape):
        if not isinstance(value, str):
            yield f"{where}: expected a string"
            return
        if shape.enum and value not in shape.enum:
            yield f"{where}: {value!r} is none of {', '.join(shape.enum)}"
        yield from _out_of_bounds(shape, len(value), where)
        pattern = shape.metadata.get("pattern")
        if pattern and shape.name not in _FREE_TEXT and not re.fullmatch(pattern, value):
            yield f"{where}: {value!r} does not match {pattern}"
    elif shape.type_name == "boolean":
        if not isinstance(value, bool):
            yield f"{where}: expected a boolean"
    elif shape.type_name in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{where}: expected a number"
            return
        yield from _out_of_bounds(shape, value, where)


def _broken_structure(shape: StructureShape, value: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where or shape.name}: expected a structure"
        return
    dot = f"{where}." if where else ""
    for name in shape.required_members:
        if name not in value:
            yield f"{dot}{name}: is required"
    for name, member in value.items():
        if name not in shape.members:
            yield f"{dot}{name}: is not a member of {shape.name}"
        else:
            yield from broken(shape.members[name], member, f"{dot}{name}")


def _out_of_bounds(shape: Shape, size: float, where: str) -> Iterator[str]:
    if size < shape.metadata.get("min", size):
        yield f"{where}: below the minimum of {shape.metadata['min']}"
    if size > shape.metadata.get("max", size):
        yield f"{where}: above the maximum of {shape.metadata['max']}"


@cache
def _operations() -> tuple[OperationModel, ...]:
    # Fixed paths first: a path with a parameter would match more than its own.
    found = [model().operation_model(name) for name in model().operation_names]
    return tuple(sorted(found, key=lambda operation: "{" in operation.http["requestUri"]))
