"""Sources of a relay: a YAML file, checked."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recovery.errors import BadInput
from recovery.outbox_records.policy import OutboxRequest


class RelayConfiguration(BaseModel):
    """Sources beside the events queue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    queues: tuple[str, ...] = Field((), description="Dead-letter queues whose depth is watched: names, URLs or globs.")
    look_seconds: float = Field(
        2.0, ge=1, le=300, description="Seconds between two looks at the depth of each of these queues."
    )
    due_seconds: float = Field(
        5.0,
        ge=1,
        le=300,
        description="Seconds between two looks for attempts at DMS tasks and AppFlow flows that have fallen due.",
    )
    outboxes: tuple[OutboxRequest, ...] = Field((), description="Outbox tables, named as in the deployments' requests.")


def load(path: str | None) -> RelayConfiguration:
    """Read a configuration; nothing beside the events queue where no file is named.

    Raises:
        BadInput: there is no such file, or a field of it is wrong; the message names it.
    """
    if path is None:
        return RelayConfiguration()
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"configuration {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"configuration {path}: expected UTF-8 text") from None
    except yaml.YAMLError as error:
        raise BadInput(f"configuration {path}: expected YAML: {str(error).splitlines()[0]}") from None
    try:
        return RelayConfiguration.model_validate(raw or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BadInput(f"configuration {path}: {where}: {first['msg']}") from None
