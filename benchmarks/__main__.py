"""`make bench`: every benchmark, or those that are named, each printed with its baseline beside it.

    python -m benchmarks [NAME ...]

A benchmark is a module of this package with a function `run() -> Table`. Figures are ratios within one run on one
machine; seconds alone say little on a shared one.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import platform
from datetime import UTC, datetime

from rich.console import Console

import benchmarks

_NO_BENCHMARKS = frozenset({"__main__", "traffic"})


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(
        module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in _NO_BENCHMARKS
    )


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", choices=[*names(), []], help="benchmarks to run; all unless named")
    chosen = parser.parse_args().name or names()
    console = Console(width=140)
    console.print(
        f"{datetime.now(UTC):%Y-%m-%d}  Python {platform.python_version()}  {os.cpu_count()} processors  make bench"
    )
    for name in chosen:
        console.print()
        console.print(importlib.import_module(f"benchmarks.{name}").run())


if __name__ == "__main__":
    main()
