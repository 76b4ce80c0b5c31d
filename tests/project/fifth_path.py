"""A fifth path, as small as one can be: jobs whose failed marker in the archive bucket becomes a marker to run again.

`NEW` are its files, `EDITS` what it changes in files that are there: the recipe of the README, carried out.
"""

from __future__ import annotations

from textwrap import dedent

PATH = "parked_jobs"


def _text(source: str) -> str:
    return dedent(source).lstrip()


NEW = {
    f"recovery/{PATH}/__init__.py": '"""Jobs that failed and were parked."""\n',
    f"recovery/{PATH}/models.py": _text('''
        """Facts about jobs. Pure."""

        from __future__ import annotations

        from dataclasses import dataclass


        @dataclass(frozen=True, slots=True)
        class Job:
            """One parked job."""

            name: str
            error: str
    '''),
    f"recovery/{PATH}/policy.py": _text('''
        """The request of a run. Pure."""

        from __future__ import annotations

        from pydantic import BaseModel, ConfigDict, Field


        class JobRequest(BaseModel):
            """Jobs in scope. Nothing named, nothing touched."""

            model_config = ConfigDict(frozen=True, extra="forbid")

            jobs: tuple[str, ...] = Field((), description="Names of jobs.")
            limit: int = Field(100, ge=1, description="Most jobs that a run takes up.")
            time_limit_seconds: int = Field(240, ge=10, description="Nothing new is begun after this.")
            dry_run: bool = Field(True, description="Only report what would be done.")
            estate: str | None = Field(None, description="Name of a saved Recovery Estate block.")

            @property
            def subject(self) -> str:
                """Jobs in scope, for the run's name."""
                return ", ".join(self.jobs[:3]) or "no job named"

            @property
            def run_name(self) -> str:
                """The name of a run that has just begun."""
                return f"recover {self.subject}"
    '''),
    f"recovery/{PATH}/verdicts.py": _text('''
        """Verdicts on jobs. Pure."""

        from __future__ import annotations

        from dataclasses import dataclass


        @dataclass(frozen=True, slots=True)
        class Verdict:
            """A decision about one job: its action, the rule that made it, its reason."""

            action: str
            rule: str
            reason: str
    '''),
    f"recovery/{PATH}/rules.py": _text(f'''
        """Rules for jobs. Pure."""

        from __future__ import annotations

        from recovery.failures import Diagnosis
        from recovery.{PATH}.verdicts import Verdict


        def decide(diagnosis: Diagnosis) -> Verdict:
            """Return the verdict on a job, by its diagnosis."""
            if diagnosis.transient:
                return Verdict("again", "transient", "its failure passes by itself")
            return Verdict("escalate", "not-transient", "running it again cannot help")
    '''),
    f"recovery/{PATH}/gateway.py": _text(f'''
        """Markers of jobs in S3."""

        from __future__ import annotations

        from typing import Any

        from recovery.aws import calling
        from recovery.{PATH}.models import Job

        ACTIONS = {{"failed": ("s3:GetObject",), "run_again": ("s3:PutObject",)}}


        class Jobs:
            """The markers, in one bucket."""

            def __init__(self, client: Any, bucket: str) -> None:
                self._client, self._bucket = client, bucket

            def failed(self, name: str) -> Job:
                """Return a parked job.

                Raises:
                    Transient, Refused: it could not be read.
                """
                with calling("s3:GetObject"):
                    body = self._client.get_object(Bucket=self._bucket, Key=f"jobs/failed/{{name}}")["Body"].read()
                return Job(name, body.decode())

            def run_again(self, name: str) -> None:
                """Mark a job to run again.

                Raises:
                    Transient, Refused: it is not marked.
                """
                with calling("s3:PutObject"):
                    self._client.put_object(Bucket=self._bucket, Key=f"jobs/again/{{name}}", Body=b"")
    '''),
    f"recovery/{PATH}/work.py": _text(f'''
        """One run of the path, and its step."""

        from __future__ import annotations

        from typing import Unpack

        from recovery.failures import Evidence, diagnose, normalise
        from recovery.{PATH}.gateway import Jobs
        from recovery.{PATH}.policy import JobRequest
        from recovery.{PATH}.rules import decide
        from recovery.paths import Path
        from recovery.report import Entry
        from recovery.run import RecoveryRun, Tools


        class JobRecovery(RecoveryRun):
            """One run of the path."""

            path = Path.PARKED_JOBS

            def __init__(self, jobs: Jobs, request: JobRequest, **tools: Unpack[Tools]) -> None:
                super().__init__(request, **tools)
                self.jobs, self.request = jobs, request


        def recover_job(work: JobRecovery, name: str) -> None:
            """Decide on one job, and act."""
            job = work.jobs.failed(name)
            diagnosis = diagnose(Evidence(job.error))
            verdict = decide(diagnosis)
            if verdict.action == "again" and not work.dry_run:
                work.jobs.run_again(name)
            entry = Entry(
                name, "jobs", verdict.action, verdict.reason, diagnosis.kind.value, diagnosis.rule, verdict.rule,
                error=normalise(job.error),
            )
            work.note([entry])
    '''),
    f"recovery/{PATH}/story.py": _text('''
        """The story of a job."""

        from __future__ import annotations

        from recovery.cases import Case
        from recovery.story import Story, end_of, story_of


        def check(case: Case) -> None:
            """Every case is as this path writes it."""


        def story(key: str, case: Case) -> Story:
            """Return the story of a job by its case."""
            return story_of(key, case, [end_of(case, None)])
    '''),
    f"tasks/{PATH}.py": _text(f'''
        """The verbs of the path."""

        from __future__ import annotations

        from blocks.connection import Connection
        from recovery.{PATH} import work
        from recovery.{PATH}.gateway import Jobs
        from recovery.{PATH}.policy import JobRequest
        from tasks.steps import step


        def open_run(connection: Connection, request: JobRequest) -> work.JobRecovery:
            """Return a run's tools, on a connection."""
            return work.JobRecovery(
                Jobs(connection.client("s3"), connection.archive_bucket), request, **connection.tools()
            )


        recover_job = step(work.recover_job, "recover job", "recover {{name}}")
    '''),
    f"flows/{PATH}.py": _text(f'''
        """Parked jobs run again."""

        from __future__ import annotations

        from typing import Any

        from prefect import flow
        from prefect.client.schemas.objects import State

        from recovery.{PATH}.policy import JobRequest
        from recovery.{PATH}.work import JobRecovery
        from recovery.paths import PARKED_JOBS
        from recovery.report import RecoveryReport
        from tasks import {PATH} as do
        from tasks.frame import recover, run_name


        @flow(name="parked-jobs", flow_run_name=run_name(JobRequest), persist_result=False)
        def recover_parked_jobs(
            request: JobRequest = JobRequest(),  # noqa: B008 - frozen, and the form in the UI shows it
            event: dict[str, Any] | None = None,  # noqa: ARG001 - for the person who looks at the run
        ) -> RecoveryReport | State[RecoveryReport]:
            """Find parked jobs, and let them run again or notify a person."""
            return recover(PARKED_JOBS, do.open_run, request, recover_jobs)


        def recover_jobs(work: JobRecovery) -> None:
            """Decide on each job by itself."""
            for name in work.request.jobs:
                do.recover_job(work, name)
    '''),
    f"docs/paths/{PATH}.md": "# Parked jobs\n\n1. **transient** it runs again.\n2. **not-transient** a person acts.\n",
}

EDITS = {
    "recovery/paths.py": (
        (
            '    APPFLOW_RUNS = "appflow_runs"\n',
            '    APPFLOW_RUNS = "appflow_runs"\n    PARKED_JOBS = "parked_jobs"\n',
        ),
        (
            "PATHS: Mapping[str, PathInfo] = {",
            'PARKED_JOBS = PathInfo(Path.PARKED_JOBS, "parked jobs", frozenset({"again", "escalate"}),'
            ' Counts({"JobsAgain": frozenset({"again"})}), named=True)\n\nPATHS: Mapping[str, PathInfo] = {',
        ),
        ("REPLICATION_TASKS, APPFLOW_RUNS)", "REPLICATION_TASKS, APPFLOW_RUNS, PARKED_JOBS)"),
    ),
    "recovery/histories/search.py": (
        (
            "from recovery.paths import Path\n",
            "from recovery.parked_jobs import story as jobs\nfrom recovery.paths import Path\n",
        ),
        (
            "    Path.APPFLOW_RUNS: Ledgered(",
            "    Path.PARKED_JOBS: Ledgered(jobs.check, jobs.story),\n    Path.APPFLOW_RUNS: Ledgered(",
        ),
    ),
    "pyproject.toml": (('"recovery.outbox_records", ', '"recovery.outbox_records", "recovery.parked_jobs", '),),
    "prefect.yaml": (
        (
            "deployments:\n",
            "deployments:\n"
            "  - name: by-hand\n"
            "    description: For a person, who names jobs, looks first, and then lets them run again.\n"
            "    entrypoint: flows.parked_jobs.recover_parked_jobs\n"
            "    tags: [parked-jobs, by-hand]\n"
            "    work_pool: *pool\n"
            "    concurrency_limit: *in_turn\n"
            "    parameters:\n"
            "      request:\n"
            "        dry_run: true\n\n",
        ),
    ),
    "docs/operations.md": (
        (
            "| `replication-tasks/by-hand` |",
            "| `parked-jobs/by-hand` | by a person | true | it waits for its turn |\n| `replication-tasks/by-hand` |",
        ),
    ),
    "README.md": (
        (
            "| [replication_tasks](docs/paths/replication_tasks.md) |",
            "| [parked_jobs](docs/paths/parked_jobs.md) | jobs | they run again |\n"
            "| [replication_tasks](docs/paths/replication_tasks.md) |",
        ),
    ),
}

TRIAL = _text('''
    """One run, without a server: the report, the digest, the metrics and the histories know the path."""

    import boto3
    from datetime import UTC, datetime, timedelta
    from moto import mock_aws

    from blocks.connection import Connection
    from flows.parked_jobs import recover_parked_jobs
    from proof.plain_prefect import play
    from recovery.cases import Case, State
    from recovery.digest.days import Day
    from recovery.histories.search import LEDGERED
    from recovery.metrics.series import series
    from recovery.parked_jobs.policy import JobRequest
    from recovery.report_page import markdown
    from recovery.paths import PARKED_JOBS
    from tasks.parked_jobs import open_run

    with mock_aws():
        session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
        dynamodb, s3 = session.client("dynamodb"), session.client("s3")
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
        types = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
        dynamodb.create_table(
            TableName="ledger", KeySchema=keys, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST"
        )
        s3.create_bucket(Bucket="archive")
        s3.put_object(Bucket="archive", Key="jobs/failed/nightly", Body=b"HTTP 503 Service Unavailable")
        connection = Connection(session, "ledger", "archive", "arn:aws:sns:us-east-1:123456789012:alerts")
        request = JobRequest(jobs=("nightly",), dry_run=False)
        report = play(recover_parked_jobs, request, open_run(connection, request))
        assert s3.get_object(Bucket="archive", Key="jobs/again/nightly")
    assert (report.path, report.by_action, report.failed) == ("parked_jobs", {"again": 1}, False), report
    assert (report.groups[0].rule, report.groups[0].kind) == ("transient", "DEPENDENCY_FAILURE")
    assert "# Parked jobs" in markdown(report, PARKED_JOBS.title)
    assert Day(path=report.path, day=datetime.now(UTC).date()).with_run(report, "a").failed == 1
    assert {datum.name: datum.value for datum in series(report, swept=False)}["JobsAgain"] == 1
    now = datetime.now(UTC)
    case = Case(
        path="parked_jobs", key="nightly", source="jobs", state=State.RECOVERED, kind="", rule="", group="",
        first_seen=now, changed=now, expires=now + timedelta(days=1),
    )
    assert LEDGERED[report.path].story("nightly", case).path == "parked_jobs"
''')
