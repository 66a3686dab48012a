"""The command line that the benchmarks for the CPU and for a GPU share."""

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path


def parse_sections(
    argv: Sequence[str] | None,
    module: str,
    about: str,
    sections: Collection[str],
    tiny: tuple[str, str],
    out: str,
) -> argparse.Namespace:
    """Parse ``[SECTION ...] [TINY] [--out FOLDER]``.

    Args:
        argv: the arguments; None takes those of the process.
        module: what ``python -m`` runs.
        about: one sentence for ``--help``.
        sections: all sections, in their order.
        tiny: the flag for tiny sizes, and what it says in ``--help``.
        out: the output folder by default.

    Returns:
        ``sections`` (all of them by default, in their order), the flag, and ``out``.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    names = ", ".join(sections)
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"of {names}; all by default"
    )
    flag, meaning = tiny
    parser.add_argument(flag, action="store_true", help=meaning)
    parser.add_argument("--out", type=Path, default=Path(out), help="output folder; %(default)s")
    options = parser.parse_args(argv)
    if unknown := set(options.sections) - set(sections):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {names}")
    options.sections = [
        name for name in sections if name in options.sections or not options.sections
    ]
    return options
