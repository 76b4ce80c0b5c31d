"""An optional JSON Schema of a queue's payloads: used only when the error tells nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from recovery.errors import BadInput
from recovery.failures.models import Diagnosis, Kind


def check_schema(schema: Mapping[str, Any]) -> None:
    """Refuse a schema that is none.

    Raises:
        BadInput: with the place of the mistake.
    """
    import jsonschema

    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        validator.check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        place = "/".join(str(part) for part in error.absolute_path) or "(root)"
        raise BadInput(f"schema: {place}: {error.message}") from error


def violates_schema(body: str | None, schema: Mapping[str, Any]) -> Diagnosis | None:
    """Tell whether a payload breaks its schema.

    Args:
        body: the payload.
        schema: a JSON Schema, checked before with `check_schema`.

    Returns:
        VALIDATION_ERROR with the path of the first violation (in document order), BAD_PAYLOAD for what is no JSON,
        None for a payload that keeps to the schema. Values of the payload do not stand in the reason.
    """
    import jsonschema

    if body is None:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return Diagnosis(
            Kind.BAD_PAYLOAD,
            False,
            "schema.unreadable",
            "The payload is no JSON, and its queue expects JSON by a schema.",
        )
    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)(schema)
    try:
        first = min(
            validator.iter_errors(document), key=lambda e: [str(part) for part in e.absolute_path], default=None
        )
    except RecursionError:
        return None
    if first is None:
        return None
    path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first.absolute_path)
    reason = f"The payload breaks its schema at {path}: {first.validator}."
    return Diagnosis(Kind.VALIDATION_ERROR, False, "schema.violation", reason, quote=path)
