"""An optional JSON Schema of a queue's payloads: used only when the error shows nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from recovery.errors import BadInput
from recovery.failures.models import Diagnosis, Kind

if TYPE_CHECKING:
    from referencing import Registry, Resource

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def check_schema(schema: Mapping[str, Any]) -> None:
    """Refuse a schema that is none, or that refers to what is not part of it: nothing is fetched.

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
    for reference in _unresolved(schema):
        raise BadInput(
            f"schema: {reference!r} is not part of the schema, and nothing is fetched: put what it means under $defs"
        )


def _unresolved(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the references that lead out of a schema, or to nothing."""
    from referencing import Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    root = Resource.from_contents(dict(schema), default_specification=DRAFT202012)
    waiting = [(root, _known().resolver_with_root(root))]
    followed: set[int] = set()
    while waiting:
        part, resolver = waiting.pop()
        if not isinstance(part.contents, Mapping) or id(part.contents) in followed:
            continue
        followed.add(id(part.contents))
        for reference in (part.contents[word] for word in _REFERENCES if isinstance(part.contents.get(word), str)):
            try:
                found = resolver.lookup(reference)
            except Unresolvable:
                yield reference
            else:  # it may lie where no schema is looked for
                waiting.append((DRAFT202012.create_resource(found.contents), found.resolver))
        below: Iterator[Resource[Any]] = iter(part.subresources())
        waiting += [(sub, resolver.in_subresource(sub)) for sub in below]


def _known() -> Registry[Any]:
    """Return the drafts of JSON Schema themselves: a registry that fetches nothing."""
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

    known: Registry[Any] = REGISTRY
    return known


def violates_schema(body: str | None, schema: Mapping[str, Any]) -> Diagnosis | None:
    """Show whether a payload breaks its schema.

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
    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)(
        schema, registry=_known()
    )
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
