"""Groups: the same cause with other values is one group, and no value leaves the process."""

from __future__ import annotations

import pytest

from recovery.failures import Diagnosis, Evidence, Kind, diagnose, fingerprint, groups, mask, masks, normalise
from recovery.failures.groups import CAP
from recovery.failures.masks import mask_part
from tests.unit.failures.texts import SETS, read

ALIKE = {
    "ids, hosts, times and numbers": (
        "Order 123 at 10.0.0.1:80 failed at 2024-01-01T10:00:00Z id 9f1c2b3d-1111-2222-3333-444455556666 "
        "status code 503",
        "Order 9987 at 10.20.0.7:8080 failed at 2025-11-01T23:59:00.1+02:00 id "
        "aaaaaaaa-1111-2222-3333-444455556666 status code 503",
    ),
    "values of a key": (
        'duplicate key value violates unique constraint "orders_pkey" DETAIL: Key (id)=(17) already exists.',
        'duplicate key value violates unique constraint "orders_pkey" DETAIL: Key (id)=(99999) already exists.',
    ),
    "line numbers and frames": (
        'Traceback (most recent call last):\n  File "/var/task/app.py", line 12, in handler\n    x\nTypeError: bad',
        'Traceback (most recent call last):\n  File "/var/task/app.py", line 1199, in other\n    y\nTypeError: bad',
    ),
    "java frames": (
        "java.lang.NullPointerException: x\n\tat com.acme.A.b(A.java:5)",
        "java.lang.NullPointerException: x\n\tat com.acme.C.d(C.java:77)\n\tat com.acme.A.b(A.java:5)",
    ),
    "what a logger writes before": (
        "Task timed out after 3.00 seconds",
        "2024-04-14T23:52:45.715Z b47cde10-0000-4000-8000-1f01b70b94b2 Task timed out after 30.03 seconds",
    ),
    "queue names and accounts in ARNs": (
        "User: arn:aws:iam::111122223333:user/a is not authorized to perform: sqs:SendMessage",
        "User: arn:aws:iam::444422223333:user/b is not authorized to perform: sqs:SendMessage",
    ),
    "quoted values": ("no product 'red shoe 42' in stock", "no product 'a blue hat' in stock"),
    "pods": ("pod orders-7d9f8c6b5-x2x9k is gone", "pod orders-6c9f8c6b4-abcde is gone"),
    "addresses in memory": ("object at 0x7f2a1c lost", "object at 0xdeadbeef lost"),
    "request ids in JSON": (
        '{"errorMessage":"boom 12","requestId":"b47cde10-0000-4000-8000-1f01b70b94b2"}',
        '{"errorMessage":"boom 13","requestId":"b47cde10-0000-4000-8000-1f01b70b94bf"}',
    ),
}
DIFFERENT = {
    "the name of a key": ("KeyError: 'Records'", "KeyError: 'Item'"),
    "a status": ("HTTP 503 from https://a.example/c", "HTTP 404 from https://a.example/c"),
    "an operation": (
        "An error occurred (AccessDenied) when calling the PutObject operation",
        "An error occurred (AccessDenied) when calling the GetObject operation",
    ),
    "a constraint": (
        'violates unique constraint "orders_pkey"',
        'violates unique constraint "orders_number_key"',
    ),
    "an exception": ("java.lang.NullPointerException", "java.lang.ClassCastException"),
    "the root cause": (
        "com.acme.E: failed\nCaused by: java.net.ConnectException: refused",
        "com.acme.E: failed\nCaused by: java.net.UnknownHostException: unknown",
    ),
    "a SQLSTATE": ("SQLSTATE[23505]: failed", "SQLSTATE[40001]: failed"),
}


@pytest.mark.parametrize("pair", ALIKE.values(), ids=list(ALIKE))
def test_the_same_cause_with_other_values_is_one_group(pair: tuple[str, str]) -> None:
    """A report of ten thousand letters shows a handful of groups."""
    assert fingerprint(Kind.TIMEOUT, pair[0]) == fingerprint(Kind.TIMEOUT, pair[1])


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=list(DIFFERENT))
def test_different_causes_are_different_groups(pair: tuple[str, str]) -> None:
    """One alert for a group must not hide another cause."""
    assert fingerprint(Kind.TIMEOUT, pair[0]) != fingerprint(Kind.TIMEOUT, pair[1])


def test_the_kind_is_part_of_the_group() -> None:
    """The same words with another verdict (a user's rule changed) are another group."""
    assert fingerprint(Kind.TIMEOUT, "x") != fingerprint(Kind.THROTTLED, "x")


def test_a_diagnosis_and_its_kind_name_the_same_group() -> None:
    """Callers may hold either."""
    diagnosis = diagnose(Evidence(error="Read timed out"))
    assert isinstance(diagnosis, Diagnosis)
    assert fingerprint(diagnosis, "Read timed out") == fingerprint(diagnosis.kind, "Read timed out")


def test_a_group_is_a_short_hexadecimal_name() -> None:
    """It stands in keys and tables."""
    group = fingerprint(Kind.TIMEOUT, "Read timed out")
    assert len(group) == 16
    assert set(group) <= set("0123456789abcdef")


def test_groups_do_not_change_between_releases() -> None:
    """Cases in the ledger live for months: a changed fingerprint splits their groups."""
    assert fingerprint(Kind.TIMEOUT, "Read timed out") == "a8a71bbb53ee7275"


SECRETS = {
    "credentials in a URL": ("postgres://app:s3cr3t@db/shop refused", "s3cr3t"),
    "a bearer token": ("Authorization: Bearer abcdefghijklmnopqrstuv failed", "abcdefghijklmnopqrstuv"),
    "a JSON web token": ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln rejected", "eyJzdWIiOiIxIn0"),
    "an access key": ("key AKIAIOSFODNN7EXAMPLE is unknown", "AKIAIOSFODNN7EXAMPLE"),
    "a secret key": (
        "used wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1 to sign",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1",
    ),
    "a vendor's key": ("Invalid API Key provided: sk_live_51Habcdefgh", "sk_live_51Habcdefgh"),
    "a password parameter": ("connect host=db password=hunter22 failed", "hunter22"),
    "a JSON password": ('{"password": "hunter22"} refused', "hunter22"),
    "a storage account's key": ("Endpoint=x;AccountKey=kwyjibo; refused", "kwyjibo"),
    "a passphrase": ("cannot unlock key.pem, passphrase: kwyjibo", "kwyjibo"),
    "a password behind the name of another secret": ('Token:"password": "kwyjibo"', "kwyjibo"),
    "credentials without a digit": ("request had Authorization: Basic kwyjibokwyjibo and failed", "kwyjibo"),
    "a password behind the word of a scheme": ('{"error":"bearer  password=kwyjibo x"}', "kwyjibo"),
    "a credential behind the name of a secret": ("password=token abc123def4567 refused", "abc123def4567"),
    "an e-mail address": ("no mailbox jane.doe+x@example.co.uk here", "jane.doe"),
    "a card number": ("card 4242 4242 4242 4242 declined", "4242 4242"),
    "a phone number": ("number +4915112345678 blocked", "15112345678"),
    "a private key": ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----", "MIIEabc"),
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=list(SECRETS))
def test_secrets_and_persons_are_masked(secret: tuple[str, str]) -> None:
    """In what is quoted, and in what leaves the process."""
    text, hidden = secret
    assert hidden not in mask(text)
    assert "***" in mask(text)
    assert hidden not in normalise(text)


@pytest.mark.parametrize(
    "text",
    ["token verification failed", "password authentication failed", "the secret does not exist", "order 4711 failed"],
)
def test_words_about_secrets_stay(text: str) -> None:
    """Text that a person needs is not hidden."""
    assert mask(text) == text


def test_a_quote_is_masked_and_short() -> None:
    """The quote of a diagnosis goes to the caller and the archive, without what it must not hold."""
    said = diagnose(Evidence(error="mail to jane.doe@example.com: 550 5.1.1 User unknown"))
    assert said.quote
    assert len(said.quote) <= 160
    assert "jane" not in said.quote


def test_what_leaves_the_process_is_short_and_without_values() -> None:
    """Numbers, hosts, paths and ids are gone, words stay, at most 300 characters."""
    text = normalise(
        "Order 12345678 of /home/app/orders/x.csv on db-1.prod.internal:5432 failed after 31.5 s: " + "long " * 200
    )
    assert len(text) <= CAP
    assert "1" not in text
    assert "home" not in text
    assert text.startswith("Order <id> of <path>")


def test_the_package_of_a_class_is_no_host() -> None:
    """A person reads which exception it was, and hosts beside it are still removed."""
    assert normalise("java.net.ConnectException: refused by db.prod.internal:5432") == (
        "java.net.ConnectException: refused by <host>"
    )
    assert normalise("lookup of stock.example.co.uk failed") == "lookup of <host> failed"


def test_normalising_twice_changes_nothing_more() -> None:
    """A text that was stored can be grouped again."""
    for first, second in (*ALIKE.values(), *DIFFERENT.values()):
        for text in (first, second):
            assert normalise(normalise(text)) == normalise(text)


VALUES = {
    "a failing row": ("ERROR: x. DETAIL: Failing row contains (17, Anna, Schmidt (b. 1990), kwyjibo).", "Anna"),
    "a failing row in German": ("DETAIL: Fehlgeschlagene Zeile enthält (17, Anna, Schmidt).", "Schmidt"),
    "the value of a key": ("Key (name)=(Anna Schmidt) already exists.", "Anna"),
    "Oracle's user and password": ("jdbc:oracle:thin:scott/tiger@dbhost:1521:orcl refused", "tiger"),
    "a short name for a password": ("pw: kwyjibo7 wrong", "kwyjibo"),
    "a password in a sentence": ("the passphrase is kwyjibo", "kwyjibo"),
    "a person's name in quotation marks": ("KeyError: 'Anna-Schmidt'", "Anna"),
    "a user in quotation marks": ('password authentication failed for user "anna"', "anna"),
    "a value in quotation marks": ("invalid literal for int() with base 10: 'Mueller'", "Mueller"),
    "an entry": ("Duplicate entry 'anna' for key 'users.name'", "anna"),
    "fields that name a person": ("invalid: name=Anna Schmidt, iban=DE89370400440532013000", "Schmidt"),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=list(VALUES))
def test_values_of_customers_do_not_leave_the_process(value: tuple[str, str]) -> None:
    """Rows, keys, names and passwords, in whatever form a driver writes them."""
    text, hidden = value
    assert hidden not in normalise(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Client error '401 Unauthorized' for url 'https://a.example/x'", "'401 Unauthorized' for url '<url>'"),
        ("503 Service Unavailable from stock", "503 Service Unavailable"),
        ("upstream answered: (502) Bad Gateway", "(502)"),
        ("Cannot read properties of undefined (reading 'creditCard')", "'creditCard'"),
        ('violates foreign key constraint "line_order_fk"', "line_order_fk"),
        ("Duplicate entry 'anna' for key 'users.name'", "'users.name'"),
    ],
)
def test_what_explains_a_failure_stays(text: str, kept: str) -> None:
    """Statuses, names of code and the kind of place."""
    assert kept in normalise(text)


def test_what_a_logger_or_a_consumer_writes_before_an_error_is_no_part_of_its_group() -> None:
    """The same failure from an attribute, a log line of any logger, and behind pairs."""
    groups = {
        fingerprint(Kind.DEPENDENCY_FAILURE, text)
        for text in (
            "HTTP 503 from stock",
            "queue=orders messageId=b47cde10-0000-4000-8000-1f01b70b94b2 HTTP 503 from stock",
            "2026-02-03 09:15:00,100 - depot - ERROR - HTTP 503 from stock",
            "2026-02-03 09:15:00.120 ERROR 1 --- [ntainer#0-0-C-1] c.d.Inbox       : HTTP 503 from stock",
            "[ERROR]\t2026-02-03T09:15:00.000Z\tb47cde10-0000-4000-8000-1f01b70b94b2\tHTTP 503 from stock",
        )
    }
    assert len(groups) == 1


_ODD = (
    "pa\u017f\u017fword: abcdef",
    "TO\u212aEN=abcdef",
    "MY_SECRET_NAME_THAT_IS_VERY_LONG=abc123",
    "session-id => 'abc'",
    "C:\\data\\a.txt missing",
    "at \u0663\u0664\u0665\u0666\u0667\u0668\u0669\u0660",
    "[::1]:80 refused",
    "0x7f status 503",
    "a-7d9f8c6b5-x2x9k",
    "LOCALHOST:80 refused",
    "\u0131p-10-0-0-1 refused",
    "GATEWAY.EXAMPLE.COM down",
    "db.\u0130O down",
    "BEARER abcdefghijkl",
    "\u212aEY abcd1234efgh5678",
    "order ORDERS_12345 at 10:11:12",
)


def _always(_: str) -> bool:
    return True


def test_what_is_looked_for_first_never_hides_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern that is skipped since a sign is missing from the text would have changed nothing."""
    texts = [text.error for name in SETS for text in read(name)]
    texts += [text for pair in (*ALIKE.values(), *DIFFERENT.values()) for text in pair]
    texts += [text for text, _ in (*SECRETS.values(), *VALUES.values())] + list(_ODD)
    quick = [(mask(text), normalise(text)) for text in texts]
    monkeypatch.setattr(masks, "_RULES", tuple((_always, *rule[1:]) for rule in masks._RULES))
    for name in ("_WHOLE", "_VALUES"):
        monkeypatch.setattr(groups, name, tuple((_always, *rule[1:]) for rule in getattr(groups, name)))
    assert [(mask(text), normalise(text)) for text in texts] == quick


def test_a_quote_shows_nothing_that_the_whole_text_hides() -> None:
    """The words that decided may begin behind the name of a secret, in the middle of what is hidden."""
    text = 'api_key=kwyjibo-failed, Error: Validation failed because "qty" is required'
    for start in range(len(text)):
        quote = mask_part(text, start, len(text))
        assert "kwyjibo" not in quote
        assert quote.endswith('"qty" is required'[-len(text) + start :])
    assert mask_part("HTTP 503 from stock", 5, 19) == "503 from stock"
