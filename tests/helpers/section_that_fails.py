"""As `section_probe`, but it fails; importable by name."""

import os
from collections.abc import Iterator

from benchmarks.tables import Table


def measure(quick: bool) -> Iterator[Table]:
    yield Table("Before it fails", ("x",), [(1.0,)])
    if quick:
        raise ZeroDivisionError("as it should")
    os._exit(7)
