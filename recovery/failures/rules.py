"""Rules of diagnosis as data: what a rule file may say, how it is checked, and the index that makes it quick.

A rule file is YAML or JSON: `version: 1` and `rules`, a list of mappings (docs/diagnosis.md describes every field).
Order matters where two rules of the same tier match the same error: the earlier wins.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from recovery.errors import BadInput
from recovery.failures.models import Kind
from recovery.failures.phrases import Phrase, PhraseError

TIERS = {"decisive": 100, "specific": 80, "status": 60, "general": 40, "loose": 25, "wrapper": 10}
"""How strongly a match speaks, before the place in the chain of causes is counted (a root cause gains 30)."""

ACTIONS = ("heal", "alert", "archive", "leave")
VERSION = 1
_FIELDS = {
    "id",
    "kind",
    "tier",
    "names",
    "codes",
    "phrases",
    "class_words",
    "fields",
    "and",
    "unless",
    "why",
    "example",
    "counter",
    "action",
}
_ID = re.compile(r"[a-z0-9][a-z0-9._\-]{0,79}")
_CODE = re.compile(r"[a-z0-9]+:[\w.\-]+")
_WORDS = re.compile(r"[^\W_]+")
CLASS_ENDS = ("exception", "error", "fault", "failure")
"""How the names of exception classes end, in lower case."""

_BY_LINE = ("phrases", "and", "unless")
_MAX_RULES = 2_000
_MAX_FILE = 2_000_000


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: words, names, codes or fields that tell the kind of a failure.

    Attributes:
        id: stable name, shown in reports and kept in the ledger.
        kind: what a match means.
        tier: one of `TIERS`.
        names: identifiers as whole words (exception classes, error codes), letter case ignored.
        codes: `family:value` as `recovery.failures.codes` finds them.
        phrases: see `recovery.failures.phrases`.
        class_words: parts of the names of exception classes that no rule names in full.
        fields: attribute or JSON field, by name, with the values that match (lower case).
        also: the match counts only if one of these phrases stands anywhere in the text, stack frames included.
        unless: the match does not count if one of these stands in the same error.
        why: what a match means and what helps, for a person.
        example: a text that must match.
        counter: a text that must not.
        action: what to do with what a user's own rule matches, else "".
        order: place in its file.
    """

    id: str
    kind: Kind
    tier: str
    why: str
    example: str
    counter: str
    order: int
    names: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    class_words: tuple[str, ...] = ()
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    also: tuple[Phrase, ...] = ()
    unless: tuple[Phrase, ...] = ()
    action: str = ""

    @property
    def strength(self) -> int:
        return TIERS[self.tier]


@dataclass(frozen=True)
class RuleSet:
    """Rules in order; those of a user's own file stand first and win whenever one of them matches.

    Attributes:
        own: the user's rules.
        rules: the defaults.
        source: where the user's rules came from, for people.
    """

    rules: tuple[Rule, ...]
    own: tuple[Rule, ...] = ()
    source: str = ""

    @cached_property
    def index(self) -> Index:
        return Index(self.rules)

    @cached_property
    def own_index(self) -> Index | None:
        return Index(self.own) if self.own else None

    def by_id(self, rule_id: str) -> Rule | None:
        """The rule with this id, the user's first."""
        return next((rule for rule in (*self.own, *self.rules) if rule.id == rule_id), None)


Looked = tuple[int, Rule, str | Phrase, frozenset[str], tuple[frozenset[str], ...]]
"""What a word of the text suggests to look for: rank of the rule (lower speaks more strongly), rule, a name (its exact
spelling, or "" for any) or a phrase, and the words that a phrase needs and chooses from."""


class Index:
    """Rules by the words that can make them match, so that a text is compared with few of them."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self.by_word: dict[str, list[Looked]] = {}
        self.unkeyed: list[Looked] = []
        self.unspaced: list[Looked] = []
        self.codes: dict[str, Rule] = {}
        self.class_words: list[tuple[str, Rule]] = []
        self.by_field: list[Rule] = []
        phrases: list[tuple[Phrase, Rule]] = []
        parts: list[tuple[frozenset[str], str, Rule]] = []
        for rule in self.rules:
            for name in rule.names:
                words = _WORDS.findall(name.lower())
                if len(words) == 1:
                    # The name of a class is a name in any spelling. Other names are also ordinary words or settings
                    # (`Throttling`, `connectTimeout`): they count only as they are written.
                    exact = "" if words[0].endswith(CLASS_ENDS) else name
                    self.by_word.setdefault(words[0], []).append((rank(rule), rule, exact, frozenset(), ()))
                else:
                    parts.append((frozenset(words), name, rule))
            for code in rule.codes:
                self.codes.setdefault(code, rule)
            self.class_words.extend((word, rule) for word in rule.class_words)
            phrases.extend((phrase, rule) for phrase in rule.phrases)
            if rule.fields:
                self.by_field.append(rule)
        self.first_class = min((rank(rule) for _, rule in self.class_words), default=0)
        common = Counter(word for phrase, _ in phrases for word in phrase.needs)
        common.update(word for needs, _, _ in parts for word in needs)
        for needs, name, rule in parts:
            rarest = min(needs, key=lambda word: (common[word], word))
            self.by_word.setdefault(rarest, []).append((rank(rule), rule, name, needs, ()))
        for phrase, rule in phrases:
            looked: Looked = (rank(rule), rule, phrase, phrase.needs, phrase.choices)
            if phrase.literal:
                self.unspaced.append(looked)
            elif phrase.needs:
                rarest = min(phrase.needs, key=lambda word: (common[word], word))
                self.by_word.setdefault(rarest, []).append(looked)
            elif phrase.choices:
                for word in min(phrase.choices, key=len):
                    self.by_word.setdefault(word, []).append(looked)
            else:
                self.unkeyed.append(looked)
        self.words = frozenset(self.by_word)
        self.first_code = min((rank(rule) for rule in self.codes.values()), default=0)


def rank(rule: Rule) -> int:
    """Place of a rule among the rules of its file: lower speaks more strongly."""
    return rule.order - rule.strength * _MAX_RULES


def load_rules(path: str | Path) -> RuleSet:
    """Read a user's rule file; its rules are tried before the defaults.

    Args:
        path: a YAML or JSON file.

    Raises:
        BadInput: the file cannot be read, or a rule is wrong; the message names the rule's id and the field.
    """
    file = Path(path)
    try:
        if file.stat().st_size > _MAX_FILE:
            raise BadInput(f"{file}: is larger than {_MAX_FILE} bytes")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file}: cannot be read ({error})") from error
    own = parse_rules(text, str(file), own=True)
    taken = {rule.id for rule in DEFAULT_RULES.rules}
    for rule in own:
        if rule.id in taken:
            raise BadInput(f"{file}: rule {rule.id}: id: is taken by a default rule; choose another")
    return RuleSet(rules=DEFAULT_RULES.rules, own=own, source=str(file))


def parse_rules(text: str, source: str, *, own: bool = False) -> tuple[Rule, ...]:
    """Check the text of a rule file and turn it into rules.

    Args:
        text: YAML or JSON.
        source: name of the file, for messages.
        own: whether it is a user's file: only there may a rule name an action.

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
    if extra := sorted(str(key) for key in set(document) - {"version", "rules", "about"}):
        raise BadInput(f"{source}: {extra[0]}: unknown field")
    entries = document.get("rules")
    if not isinstance(entries, list) or not entries:
        raise BadInput(f"{source}: rules: expected a list of at least one rule")
    if len(entries) > _MAX_RULES:
        raise BadInput(f"{source}: rules: more than {_MAX_RULES}")
    rules: list[Rule] = []
    seen: set[str] = set()
    for order, entry in enumerate(entries):
        rule = _rule(entry, order, source, own)
        if rule.id in seen:
            raise BadInput(f"{source}: rule {rule.id}: id: stands twice")
        seen.add(rule.id)
        rules.append(rule)
    return tuple(rules)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _rule(entry: Any, order: int, source: str, own: bool) -> Rule:
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
    if kind not in Kind.__members__ or kind == Kind.UNKNOWN:
        raise BadInput(f"{where}: kind: expected one of {', '.join(k for k in Kind if k is not Kind.UNKNOWN)}")
    tier = entry.get("tier", "decisive" if own else None)
    if tier not in TIERS:
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
        if not _WORDS.search(name):
            raise BadInput(f"{where}: names: {name!r} has no letter or digit")
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


class _Defaults(RuleSet):
    """The packaged rules, read when they are first needed: importing the package stays quick."""

    def __init__(self) -> None:
        object.__setattr__(self, "own", ())
        object.__setattr__(self, "source", "")

    @cached_property
    def rules(self) -> tuple[Rule, ...]:  # type: ignore[override]
        text = resources.files("recovery.failures").joinpath("rules.yaml").read_text(encoding="utf-8")
        return parse_rules(text, "rules.yaml")


DEFAULT_RULES: RuleSet = _Defaults()
