"""Diagnose JSON lines: `python -m recovery.failures [--rules FILE] [--explain] [--summary] < in.jsonl > out.jsonl`.

In, a line each: {"id", "error", "body", "attributes"}, all but the error optional.
Out, a line each: {"id", "kind", "rule", "reason"}.
Lines that cannot be read are reported on standard error with their numbers; the rest goes on, and the exit code is 1.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from recovery.errors import BadInput
from recovery.failures.diagnosis import diagnose, explain
from recovery.failures.groups import fingerprint, normalise
from recovery.failures.models import Evidence
from recovery.failures.own_rules import load_rules
from recovery.failures.rulesets import DEFAULT_RULES, RuleSet


def main(*, rules: str = "", explain: bool = False, summary: bool = False) -> int:
    """Say why each failure of a JSON-lines file on standard input happened.

    Args:
        rules: rule file that is tried before the defaults.
        explain: add every rule that matched, the deciding one first.
        summary: print a table of kinds and groups instead of lines.

    Returns:
        0 when every line was read, 1 when some were not, 2 for a wrong rule file.
    """
    return run(sys.stdin, sys.stdout, rules_file=rules, explained=explain, summary=summary)


def run(
    lines: Iterable[str], out: TextIO, *, rules_file: str = "", explained: bool = False, summary: bool = False
) -> int:
    """Diagnose lines; see `main`."""
    try:
        rules = load_rules(rules_file) if rules_file else DEFAULT_RULES
    except BadInput as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    kinds: Counter[str] = Counter()
    groups: dict[str, tuple[str, str, str]] = {}
    sizes: Counter[str] = Counter()
    bad = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            asked = _asked(line)
        except ValueError as error:
            bad += 1
            print(f"line {number}: {error}", file=sys.stderr)  # noqa: T201
            continue
        answer, evidence = _answer(asked, rules, explained=explained)
        if summary:
            group = fingerprint(answer["kind"], evidence.error)
            kinds[answer["kind"]] += 1
            sizes[group] += 1
            groups.setdefault(group, (answer["kind"], answer["rule"], normalise(evidence.error)))
        else:
            out.write(json.dumps(answer, ensure_ascii=False) + "\n")
    if summary:
        _print_summary(out, kinds, groups, sizes)
    return 1 if bad else 0


def _asked(line: str) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object with `error`")
    for name in ("error", "body"):
        if not isinstance(value.get(name), str | None):
            raise ValueError(f"{name}: expected a text or null")
    if not isinstance(value.get("attributes"), dict | None):
        raise ValueError("attributes: expected an object")
    return value


def _answer(asked: Mapping[str, Any], rules: RuleSet, *, explained: bool) -> tuple[dict[str, Any], Evidence]:
    attributes = asked.get("attributes") or {}
    evidence = Evidence(
        error=asked.get("error") or "",
        body=asked.get("body"),
        attributes={name: value if isinstance(value, str) else json.dumps(value) for name, value in attributes.items()},
        source="file",
    )
    diagnosis = diagnose(evidence, rules)
    answer: dict[str, Any] = {
        "id": asked.get("id"),
        "kind": str(diagnosis.kind),
        "rule": diagnosis.rule,
        "reason": diagnosis.reason,
    }
    if diagnosis.action:
        answer["action"] = diagnosis.action
    if explained:
        answer["quote"] = diagnosis.quote
        answer["matched"] = [
            {
                "rule": match.rule.id,
                "kind": str(match.rule.kind),
                "tier": match.rule.tier,
                "score": match.score,
                "quote": match.quote,
            }
            for match in explain(evidence, rules)
        ]
    return answer, evidence


def _print_summary(
    out: TextIO, kinds: Mapping[str, int], groups: Mapping[str, tuple[str, str, str]], sizes: Mapping[str, int]
) -> None:
    total = sum(kinds.values())
    out.write(f"{total} failures, {len(kinds)} kinds, {len(groups)} groups\n\n")
    for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0])):
        out.write(f"{count:8d}  {100 * count / max(1, total):5.1f} %  {kind}\n")
    out.write("\n   count  group             kind                rule                          text\n")
    for group, count in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        kind, rule, text = groups[group]
        out.write(f"{count:8d}  {group}  {kind:18s}  {rule:28s}  {text[:120]}\n")


if __name__ == "__main__":
    from cyclopts import run as command_line

    command_line(main)
