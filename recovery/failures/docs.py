"""docs/diagnosis.md from the rule file: `python -m recovery.failures.docs > docs/diagnosis.md`."""

from __future__ import annotations

import sys

from recovery.failures.models import TRANSIENT_KINDS, Kind
from recovery.failures.rules import ACTIONS, TIERS, Rule
from recovery.failures.rulesets import DEFAULT_RULES

_SHOWN = 12
"""Names, codes and phrases of a rule that are shown; the rest is counted, and stands in the rule file."""

# Prose on one line a paragraph, as in the other pages.
# ruff: noqa: E501
_HEAD = """\
# Diagnosis

*This page is made from `recovery/failures/rules.yaml` and the phrases in other languages in `languages.yaml` beside it by `python -m recovery.failures.docs`; a test fails when it is stale.*

`recovery.failures` says why something failed, as one of eight kinds, and from which words. The first three pass by themselves.

{kinds}

## Reading a text

1. **A log is read as records.** A text of two records or more, of any known logger, is reduced to its last failure: trouble that was overcome, settings, dumps, health checks and telemetry decide nothing. The next section has the rules.
2. **Bounded.** Of a long text the head, the tail and the `Caused by` lines between them are read.
3. **Unfolded.** JSON becomes `key: value` lines, JSON inside its strings too; keys that describe the request (`config`, `headers`, `input` and the like) are left out. Escapes of a JSON that was cut off are undone.
4. **Freed of frames.** Stack frames and the statement that was being run say where, not why.
5. **Cut into a chain.** `Caused by`, `--->`, `nested exception is`, Python's and PHP's chained exceptions: each error of the chain is read by itself, and the root cause gains {root} points.
6. **Compared.** The words of each error are looked up; only rules whose words are all there are tried. A number is a code only in the position of a code: `HTTP 503` and `503 Service Unavailable`, never `503 rows`. Words that are quoted as somebody's value (`'timeout' is not a valid choice`) and settings (`timeout: 30`) are no evidence.

Two more things keep the words of one error apart: a refusal in the position of a status (`failed to fetch the token: 401`) outranks words about the network, and words in a value or a path (`Duplicate entry 'Too Many Requests'`) do not outrank what the error states.

The strongest match decides; between rules of one tier, the earlier in the file.

{tiers}

The payload is weak evidence: it decides only when the error does not show the cause, and then only whether it can be read at all. Without a matching rule the kind is `UNKNOWN`: a wrong "transient" replays what cannot succeed, and is worse.

## Reading a log

1. **Records.** Lambda's text and JSON format with the platform's own records, containers with one event a line, and some sixty writers: Java, Python, Node, .NET, Go, Ruby, PHP, Rust, Elixir, Perl, Swift and their JSON forms. Lines of a stack trace belong to the record before them, whichever events they come in. A log driver's wrapping is taken off.
2. **Level.** What is written at INFO or below decides nothing, whatever its words: it is a dump, a setting or a note. Without levels, only what reads as a failure counts. JSON that speaks of no error is a payload.
3. **Overcome.** Trouble after which the log says that another try worked, a connection is back, a token was refreshed, a breaker closed or a fallback was used, is no failure. Neither is what its own record calls ignored, skipped or optional.
4. **Last.** The last failure decides. When it only says that the work failed (`giving up after 3 attempts`), the one before it does.
5. **Owner.** A record belongs to the message that it names by id or receipt handle, or that shares an id with such a record, or stands at the place in the batch that the record names; else to the message named before it in the same invocation or thread. An invocation that worked on one message only is that message's, and the platform's time-out is everybody's in it. The batch's own answer (`batchItemFailures`) spares those that it does not name. Messages that were begun at once and failures without a name are nobody's.
6. **Trace, time.** A message that no record names can be found by its X-Ray trace, or by the time of its receives: that counts only when all invocations at those times end in the same failure, and says so in its reason.

How much of a log is read, what is remembered, and what it costs: [the consumer's log](paths/dead_letters.md#the-consumers-log).

Not found: a failure that is written at INFO without a stack trace; two failures without names of messages that were worked on at once; a log that was cut before the last failure; a cause that only an earlier record of another process shows.

Read wrongly: prose that repeats a failure without quotation marks (`a guest says that the page timed out`) is read as that failure; a bare `unexpected EOF` may be a cut payload or a broken connection, and is called `BAD_PAYLOAD`, so that a person decides; the number of a national service's rejection without its words is `UNKNOWN`.

## Your own rules

A YAML or JSON file with `version: 1` and `rules`. Your rules are tried before those below; the first of yours that matches decides. Try a file on last month's archive before you use it:

```sh
python -m recovery.failures --rules my-rules.yaml --summary < archive.jsonl
python -m recovery.failures --rules my-rules.yaml --explain < archive.jsonl
```

```yaml
version: 1
rules:
- id: shop.voucher-used-up
  kind: VALIDATION_ERROR
  phrases: |
    voucher * used up
    voucher [was|is|] redeemed
  why: The voucher cannot be used again.
  example: voucher A1 is used up
  counter: voucher A1 was created
  action: archive
```

| field | meaning |
|---|---|
| `id` | stable name: lower-case A-Z, a-z, digits, `.`, `-`, `_` |
| `kind` | one of the eight kinds but `UNKNOWN`, or one that the file adds |
| `names` | identifiers as whole words: exception classes (any case), error codes (as written) |
| `codes` | `family:value`, as `http:503`, `grpc:unavailable`, `sqlstate:23505`, `mysql:1205`, `mssql:1205`, `ora:00060`, `db2:-911`, `smtp:550`, `curl:28`, `errno:111`, `hresult:800705b4`, `eventbridge:timeout`, `lambda:429` |
| `phrases` | one a line: words; `*` up to 60 characters of anything; `#` a number; `word~` a beginning; `[a\\|b c]` a choice, `[a\\|]` optional |
| `class_words` | parts of the names of exception classes that no rule names in full |
| `fields` | attributes or JSON fields by name, with the values that match |
| `and` | phrases of which one must stand anywhere in the text, stack frames included |
| `unless` | phrases of which none may stand in the same error |
| `why` | what a match means and what helps |
| `example`, `counter` | a text that must match and one that must not; both are tried when the file is read (`name: value` for a rule with `fields`) |
| `action` | {actions}: what to do with what matches, instead of the kind's action |
| `tier` | as above; `decisive` unless given, and of no weight among your own rules |

A file that is wrong is refused with the rule's id and the field.

### Kinds of your own

A file may add kinds, each with its default action. They show in reports, metrics, alerts and filters as the eight do; a policy's `actions` overrides the default.

```yaml
version: 1
kinds:
  CARRIER_STRIKE: {{action: leave, why: nobody drives}}
  NIGHT_CLOSED: {{action: heal, transient: true}}
rules:
- id: depot.strike
  kind: CARRIER_STRIKE
  phrases: |
    drivers [are|] on strike
  why: Nobody drives.
  example: drivers on strike
  counter: drivers on the road
```

The name has 3 to 40 upper-case characters, digits and `_`. `action` is one of {actions}; `transient` says that such a failure passes by itself.

## Accuracy

The labelled development texts are one check. The other is {count} texts of our own (`tests/unit/failures/cases`), written in eleven sets one after another, each **before** its first run, from what is known of each ecosystem; texts that were wrong led to rules, so all pass now. (One more file, `later`, holds 31 texts written together with the rules they check; it has no first run.) The first runs are the honest figures:

| set | texts | right on the first run | harmful |
|---|---|---|---|
| first: the usual failures of each ecosystem | 693 | 93.9 % | 1.6 % |
| second: brokers, warehouses, SaaS interfaces, languages, misleading words | 177 | 79.1 % | 1.7 % |
| third: log-like texts of the main ecosystems | 207 | 91.8 % | 0.5 % |
| fourth: what tempts a rule to call a lasting failure transient, and the rest | 164 | 89.6 % | 1.2 % |
| fifth: the main ecosystems again, in the mix of the development texts | 201 | 94.5 % | 0.5 % |
| sixth: cut off, nested and misleading texts, rarer libraries | 133 | 88.7 % | 0.8 % |
| seventh: fifteen languages of people, payments, user errors in a 200, national services, rarer languages and warehouses | 372 | 79.8 % | 0.5 % |
| eighth: the same again, in prose and harder: names and values that read as statements | 296 | 69.3 % | 1.4 % |
| ninth: the main ecosystems once more, statuses behind services, and texts without a cause | 160 | 96.9 % | 0.0 % |
| tenth: messages in people's languages, national services, listed refusals, SSH, Perl, Swift, Dart and dbt, in three rounds | 262 | 74.8 % | 0.0 % |
| eleventh: queues, mail, chats, languages in free prose, refusals in other languages | 276 | 79.3 % | 0.4 % |

*Harmful* is a lasting failure that is called transient. What was missed was nearly always called `UNKNOWN`. So expect a new, ordinary failure to be diagnosed in nine cases of ten, free prose in other languages than English in seven or eight of ten, and write a rule for those that are not.

## The rules

{summary}
"""


def render() -> str:
    """The page as Markdown."""
    rules = DEFAULT_RULES.rules
    parts = [
        _HEAD.format(
            kinds="\n".join(
                ["| kind | passes by itself | it means |", "|---|---|---|", *(_kind_row(kind) for kind in Kind)]
            ),
            root=30,
            tiers="\n".join(
                [
                    "| tier | points | |",
                    "|---|---|---|",
                    *(f"| `{tier}` | {points} | {_TIERS[tier]} |" for tier, points in TIERS.items()),
                ]
            ),
            actions=", ".join(f"`{action}`" for action in ACTIONS),
            count="2,874",
            summary=_summary(rules),
        )
    ]
    for tier in TIERS:
        parts.append(f"### {tier}\n")
        parts.extend(_section(rule) for rule in rules if rule.tier == tier)
    return "\n".join(parts)


_TIERS = {
    "decisive": "words with one reading, whatever class or status surrounds them",
    "specific": "exception classes, vendor codes and phrases of one mechanism",
    "status": "codes of transports: they say how the answer ended, not why",
    "general": "phrases and class names that several mechanisms share",
    "loose": "words of a mechanism and of its failure near each other",
    "wrapper": "classes that code raises for anything",
}
_KINDS = {
    Kind.TIMEOUT: "nobody answered, or the work did not end, in time",
    Kind.DEPENDENCY_FAILURE: "something else was down, refused the connection, hung up, or lost a race",
    Kind.THROTTLED: "too many requests",
    Kind.AUTH_FAILURE: "credentials, rights or keys",
    Kind.VALIDATION_ERROR: "the content was read and refused, or names what is not there",
    Kind.BAD_PAYLOAD: "the content cannot be decoded",
    Kind.CODE_BUG: "the code itself",
    Kind.UNKNOWN: "the cause is not known",
}


def _kind_row(kind: Kind) -> str:
    return f"| `{kind}` | {'yes' if kind in TRANSIENT_KINDS else 'no'} | {_KINDS[kind]} |"


def _summary(rules: tuple[Rule, ...]) -> str:
    names = sum(len(rule.names) for rule in rules)
    codes = sum(len(rule.codes) for rule in rules)
    phrases = sum(len(rule.phrases) for rule in rules)
    return f"{len(rules)} rules with {names:,} names, {codes:,} codes and {phrases:,} phrases, by tier and in order."


def _section(rule: Rule) -> str:
    lines = [f"#### `{rule.id}` → {rule.kind}", "", rule.why, ""]
    for title, values in (
        ("names", rule.names),
        ("codes", rule.codes),
        ("phrases", tuple(phrase.source for phrase in rule.phrases)),
        ("parts of class names", rule.class_words),
        ("fields", tuple(f"{name} = {' or '.join(sorted(values))}" for name, values in rule.fields.items())),
        ("only with one of", tuple(phrase.source for phrase in rule.also)),
        ("not with", tuple(phrase.source for phrase in rule.unless)),
    ):
        if values:
            shown = ", ".join(f"`{value}`" for value in values[:_SHOWN])
            more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
            lines.append(f"- {title}: {shown}{more}")
    lines += [f"- matches: `{_one_line(rule.example)}`", f"- does not match: `{_one_line(rule.counter)}`", ""]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.replace("`", "'").split())


if __name__ == "__main__":
    sys.stdout.write(render())
