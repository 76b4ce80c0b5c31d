"""Reading rule files: what they may say, and what is wrong with one that cannot be used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from recovery.errors import BadInput
from recovery.failures.models import OWN_KIND, TRANSIENT_KINDS, Kind
from recovery.failures.phrases import Phrase, PhraseError
from recovery.failures.rules import ACTIONS, TIERS, Rule

VERSION = 1
"""Version of the format of rule files."""

_FIELDS = frozenset(
    "id kind tier names codes phrases class_words fields and unless why example counter action".split()  # noqa: SIM905
)
_ID = re.compile(r"[a-z0-9][a-z0-9._\-]{0,79}")
_CODE = re.compile(r"[a-z0-9]+:[\w.\-]+")
_WORD_CHARACTER = re.compile(r"[^\W_]")
_BY_LINE = ("phrases", "and", "unless")
_MAX_RULES = 2_000


def parse_rules(text: str, source: str, *, own: bool = False) -> tuple[Rule, ...]:
    """Check the text of a rule file and turn it into rules.

    Args:
        text: YAML or JSON.
        source: name of the file, for messages.
        own: true for a user's file: only there may a rule name an action, and the file add kinds.

    Raises:
        BadInput: with the rule's id and the field.
    """
    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (both are safe loaders)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"{source}: is neither YAML nor JSON ({_first_line(error)})") from error
    if not isinstance(document, dict):
        raise BadInput(f"{source}: expected a mapping with `version` and `rules`")
    if document.get("version") != VERSION:
        raise BadInput(f"{source}: version: expected {VERSION}, got {document.get('version')!r}")
    known = {"version", "rules", "about", "kinds"} if own else {"version", "rules", "about"}
    if extra := sorted(str(key) for key in set(document) - known):
        raise BadInput(f"{source}: {extra[0]}: unknown field")
    kinds = _kinds(document.get("kinds", {}), source)
    entries = document.get("rules")
    if not isinstance(entries, list) or not entries:
        raise BadInput(f"{source}: rules: expected a list of at least one rule")
    if len(entries) > _MAX_RULES:
        raise BadInput(f"{source}: rules: more than {_MAX_RULES}")
    rules: list[Rule] = []
    seen: set[str] = set()
    for order, entry in enumerate(entries):
        rule = _rule(entry, order, source, kinds if own else None)
        if rule.id in seen:
            raise BadInput(f"{source}: rule {rule.id}: id: stands twice")
        seen.add(rule.id)
        rules.append(rule)
    return tuple(rules)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


@dataclass(frozen=True, slots=True)
class _OwnKind:
    """A kind that a rule file adds: its default action, and whether its failures pass by themselves."""

    action: str
    transient: bool


def _kinds(value: Any, source: str) -> Mapping[str, _OwnKind]:
    if not isinstance(value, dict):
        raise BadInput(f"{source}: kinds: expected a mapping of names to their default action")
    kinds: dict[str, _OwnKind] = {}
    for name, entry in value.items():
        where = f"{source}: kinds: {name}"
        if not isinstance(name, str) or not OWN_KIND.fullmatch(name):
            raise BadInput(f"{where}: expected 3 to 40 upper-case characters, digits and _, A-Z first")
        if name in Kind.__members__:
            raise BadInput(f"{where}: is one of the eight kinds already")
        if not isinstance(entry, dict):
            raise BadInput(f"{where}: expected a mapping with `action`")
        if extra := sorted(str(key) for key in set(entry) - {"action", "transient", "why"}):
            raise BadInput(f"{where}: {extra[0]}: unknown field")
        action, transient = entry.get("action"), entry.get("transient", False)
        if action not in ACTIONS:
            raise BadInput(f"{where}: action: expected one of {', '.join(ACTIONS)}")
        if not isinstance(transient, bool):
            raise BadInput(f"{where}: transient: expected true or false")
        kinds[name] = _OwnKind(str(action), transient)
    return kinds


def _rule(entry: Any, order: int, source: str, kinds: Mapping[str, _OwnKind] | None) -> Rule:
    own = kinds is not None
    if not isinstance(entry, dict):
        raise BadInput(f"{source}: rule number {order + 1}: expected a mapping")
    rule_id = entry.get("id")
    if not isinstance(rule_id, str) or not _ID.fullmatch(rule_id):
        raise BadInput(
            f"{source}: rule number {order + 1}: id: expected lower-case letters, digits, '.', '-', '_', at most 80"
        )
    where = f"{source}: rule {rule_id}"
    if extra := sorted(str(key) for key in set(entry) - _FIELDS):
        raise BadInput(f"{where}: {extra[0]}: unknown field")
    kind = entry.get("kind")
    added = (kinds or {}).get(kind) if isinstance(kind, str) else None
    if not isinstance(kind, str) or kind == Kind.UNKNOWN or (added is None and kind not in Kind.__members__):
        may = ", ".join((*(k for k in Kind if k is not Kind.UNKNOWN), *(kinds or {})))
        raise BadInput(f"{where}: kind: expected one of {may}")
    tier = entry.get("tier", "decisive" if own else None)
    if not isinstance(tier, str) or tier not in TIERS:
        raise BadInput(f"{where}: tier: expected one of {', '.join(TIERS)}")
    for name in ("why", "example", "counter"):
        if not isinstance(entry.get(name), str) or not entry[name].strip():
            raise BadInput(f"{where}: {name}: expected a text")
    action = entry.get("action", "")
    if action not in ("", *ACTIONS):
        raise BadInput(f"{where}: action: expected one of {', '.join(ACTIONS)}")
    if action and not own:
        raise BadInput(f"{where}: action: only a user's own rule names an action")
    names = _texts(entry, "names", where)
    for name in names:
        if not _WORD_CHARACTER.search(name):
            raise BadInput(f"{where}: names: {name!r} has no character of a word")
    codes = _texts(entry, "codes", where)
    for code in codes:
        if not _CODE.fullmatch(code):
            raise BadInput(f"{where}: codes: {code!r} is not family:value in lower case, as http:503")
    rule = Rule(
        id=rule_id,
        kind=Kind(kind),
        tier=tier,
        why=" ".join(entry["why"].split()),
        example=entry["example"],
        counter=entry["counter"],
        order=order,
        names=names,
        codes=codes,
        phrases=_phrases(entry, "phrases", where),
        class_words=tuple(word.lower() for word in _texts(entry, "class_words", where)),
        fields=_named_fields(entry, where),
        also=_phrases(entry, "and", where),
        unless=_phrases(entry, "unless", where),
        action=action,
        kind_action=added.action if added else "",
        transient=added.transient if added else kind in TRANSIENT_KINDS,
    )
    if not (rule.names or rule.codes or rule.phrases or rule.class_words or rule.fields):
        raise BadInput(f"{where}: phrases: a rule needs names, codes, phrases, class_words or fields")
    return rule


def _texts(entry: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    value = entry.get(name, [])
    if isinstance(value, str):
        # A text lists phrases by line and everything else by word: rule files stay free of quotation marks.
        value = [line.strip() for line in value.splitlines() if line.strip()] if name in _BY_LINE else value.split()
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise BadInput(f"{where}: {name}: expected a list of texts")
    return tuple(value)


def _phrases(entry: Mapping[str, Any], name: str, where: str) -> tuple[Phrase, ...]:
    out: list[Phrase] = []
    for text in _texts(entry, name, where):
        try:
            out.append(Phrase(text))
        except PhraseError as error:
            raise BadInput(f"{where}: {name}: {text!r} {error}") from error
    return tuple(out)


def _named_fields(entry: Mapping[str, Any], where: str) -> Mapping[str, frozenset[str]]:
    value = entry.get("fields", {})
    if not isinstance(value, dict):
        raise BadInput(f"{where}: fields: expected a mapping of names to lists of values")
    out: dict[str, frozenset[str]] = {}
    for name, values in value.items():
        listed = [values] if isinstance(values, str | int) else values
        if (
            not isinstance(name, str)
            or not isinstance(listed, list)
            or not all(isinstance(item, str | int) for item in listed)
        ):
            raise BadInput(f"{where}: fields: {name}: expected a list of values")
        out[name.lower()] = frozenset(str(item).lower() for item in listed)
    return out
