"""As `gpu_section`, but it fails; importable by name."""

from collections.abc import Iterator

from benchmarks.gpu.rows import Row


def measure(dry_run: bool) -> Iterator[Row]:
    yield Row("A table", "before it fails", {"x": 1.0})
    raise ZeroDivisionError("as it should")
