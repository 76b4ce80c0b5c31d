"""`make bench`: every benchmark, or those that are named, each printed with its baseline beside it.

    python -m benchmarks [--markdown] [NAME ...]

A benchmark is a module of this package with a function `run()` that returns a table, or several. Figures are ratios
within one run on one machine; seconds alone say little on a shared one.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import platform
from collections.abc import Iterable
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

import benchmarks

_NO_BENCHMARKS = frozenset({"__main__", "far_aws", "traffic", "ways"})


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(
        module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in _NO_BENCHMARKS
    )


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", choices=[*names(), []], help="benchmarks to run; all unless named")
    parser.add_argument("--markdown", action="store_true", help="print tables as docs/benchmarks.md has them")
    arguments = parser.parse_args()
    console = Console(width=180, soft_wrap=arguments.markdown)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    console.print(
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} processors,"
        f" {memory:.0f} GiB, load {os.getloadavg()[0]:.1f} before; make bench"
    )
    for name in arguments.name or names():
        measured: Table | Iterable[Table] = importlib.import_module(f"benchmarks.{name}").run()
        for table in [measured] if isinstance(measured, Table) else measured:
            console.print()
            console.print(markdown(table) if arguments.markdown else table, markup=not arguments.markdown)


def markdown(table: Table) -> str:
    """A table as markdown."""
    lines = [f"**{table.title}**", "", "| " + " | ".join(str(column.header) for column in table.columns) + " |"]
    lines.append("|" + "|".join("---:" if column.justify == "right" else "---" for column in table.columns) + "|")
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in zip(*(c.cells for c in table.columns), strict=True)]
    return "\n".join([*lines, "", str(table.caption)] if table.caption else lines)


if __name__ == "__main__":
    main()
