"""Measure and check on a GPU what only a GPU can tell: ``python -m benchmarks.gpu [SECTION ...]``.

Each section runs in its own process with a time limit, nine minutes in all. After each of them
``gpu.json`` and ``tables.md`` are written anew. If a section fails, the others continue and the
exit code is 1. Without a GPU it is a dry run: all sections at tiny sizes on the CPU, which says
nothing about a GPU, but shows that the sections work.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import odc_lightning  # noqa: F401  # before torch, because it configures how OpenMP's threads wait
from benchmarks.command import parse_sections
from benchmarks.gpu.drive import Outcome, drive
from benchmarks.gpu.rows import tables
from benchmarks.gpu.sections import SECTIONS
from odc_lightning.utils.json_file import write_json

DRY_RUN_NOTE = (
    "**Dry run on the CPU**, at tiny sizes. It shows that the sections work. It says nothing about "
    "a GPU."
)


def report(outcomes: Sequence[Outcome], dry_run: bool) -> dict[str, Any]:
    """The content of ``gpu.json``."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "dry_run": dry_run,
        "sections": [asdict(outcome) for outcome in outcomes],
        "failures": {each.name: each.failures for each in outcomes if each.failures},
    }


def markdown(outcomes: Sequence[Outcome], dry_run: bool) -> str:
    """All tables as Markdown."""
    blocks = ["# Measured on a GPU", *([DRY_RUN_NOTE] if dry_run else [])]
    for outcome in outcomes:
        blocks.append(f"## {outcome.name}")
        blocks += [table.markdown() for table in tables(outcome.rows, dry_run)]
        if outcome.failure:
            *_, last = outcome.failure.splitlines()
            blocks.append(f"Section {outcome.name} failed: {last}")
    return "\n\n".join(blocks)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    about = (__doc__ or "").partition(":")[0]
    tiny = ("--dry-run", "tiny sizes on the CPU")
    return parse_sections(argv, "benchmarks.gpu", about, SECTIONS, tiny, "outputs/gpu")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit code."""
    import torch

    options = parse(argv)
    dry_run = options.dry_run or not torch.cuda.is_available()
    if dry_run:
        why = "" if options.dry_run else "There is no GPU here. "
        print(f"{why}Dry run on the CPU: it says nothing about a GPU.", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    for outcome in drive(options.sections, dry_run, options.out):
        outcomes.append(outcome)
        outcomes.sort(key=lambda each: options.sections.index(each.name))
        write_json(options.out / "gpu.json", report(outcomes, dry_run))
        text = markdown(outcomes, dry_run)
        (options.out / "tables.md").write_text(f"{text}\n", encoding="utf-8")
        print(f"{outcome.name}: {outcome.seconds:.0f} s, {len(outcome.rows)} rows", flush=True)
        for failure in outcome.failures:
            print(f"  failed: {failure}", flush=True)
    print(f"{options.out}/tables.md")
    return 1 if any(outcome.failures for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
