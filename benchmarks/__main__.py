"""Run all benchmarks: ``python -m benchmarks [SECTION ...]``, or ``make bench``.

Each section runs in its own process, so that sections share neither threads nor memory. Tables go
to the screen and to ``tables.md``, all figures to ``bench.json``, the growth of the step to
``growth.png``. If a section fails, the others continue and the exit code is 1.
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
from benchmarks.growth_figure import draw_growth
from benchmarks.machine import machine
from benchmarks.sections import SECTIONS, Section, run
from benchmarks.tables import targets_table
from odc_lightning.utils.json_file import write_json

QUICK_NOTE = "Quick run at tiny sizes, as a smoke test. The figures have no meaning."


def report(sections: Sequence[Section], about: dict[str, Any], quick: bool) -> dict[str, Any]:
    """The content of ``bench.json``."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": about,
        "settings": {"sections": [section.name for section in sections], "quick": quick},
        "seconds": {section.name: section.seconds for section in sections},
        "failures": {section.name: section.failure for section in sections if section.failure},
        "tables": [
            {"section": section.name, **asdict(table)}
            for section in sections
            for table in section.tables
        ],
        "targets": [
            {"section": section.name, **target._asdict(), "verdict": target.verdict}
            for section in sections
            for target in section.targets
        ],
    }


def markdown(sections: Sequence[Section], about: dict[str, Any], quick: bool) -> str:
    """All tables as Markdown, that of the targets last."""
    blocks = [", ".join(f"{name}: {value}" for name, value in about.items())]
    blocks += [QUICK_NOTE] if quick else []
    for section in sections:
        blocks.append(f"## {section.name}")
        blocks += [table.markdown() for table in section.tables]
        if section.failure:
            *_, last = section.failure.splitlines()
            blocks.append(f"Section {section.name} failed: {last}")
    targets = [target for section in sections for target in section.targets]
    return "\n\n".join([*blocks, targets_table(targets).markdown()])


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    about = (__doc__ or "").splitlines()[0]
    tiny = ("--quick", "tiny sizes, as a smoke test")
    return parse_sections(argv, "benchmarks", about, SECTIONS, tiny, "outputs/bench")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit code."""
    options = parse(argv)
    about = machine()
    sections = [run(name, options.quick) for name in options.sections]
    content = report(sections, about, options.quick)
    text = markdown(sections, about, options.quick)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "tables.md").write_text(f"{text}\n", encoding="utf-8")
    write_json(options.out / "bench.json", content)
    draw_growth(content, "CPU", options.out / "growth.png")
    draw_growth(content, "GPU", options.out / "growth_gpu.png")
    print(text)
    return 1 if content["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
