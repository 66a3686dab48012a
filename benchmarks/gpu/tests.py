"""Section ``tests``: ``pytest -m gpu``, the tests that need a GPU."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.rows import Row, Values, attempt

ROOT = Path(__file__).resolve().parents[2]
COUNTS = ("passed", "skipped", "failed", "error")


def measure(dry_run: bool) -> Iterator[Row]:
    """A row with the number of tests of each outcome."""
    # Other folders have none, and need packages that a machine with a GPU may lack.
    yield attempt("Tests", "pytest -m gpu tests/gpu", tested, must=["no test failed"])


def tested() -> Values:
    """Run the tests, which a machine without a GPU skips; what pytest says goes to the log."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/gpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    found = {name: number for number, name in re.findall(r"(\d+) ([a-z]+)", lines[-1])}
    return {
        **{name: int(found.get(name, found.get(f"{name}s", 0))) for name in COUNTS},
        "no test failed": done.returncode == 0,
        "failures": "; ".join(line[:100] for line in lines if line.startswith(("FAILED", "ERROR"))),
    }
