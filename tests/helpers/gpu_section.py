"""A section of ``python -m benchmarks.gpu``; importable by name."""

from collections.abc import Iterator

from benchmarks.gpu.rows import Row


def measure(dry_run: bool) -> Iterator[Row]:
    print("said by the section", flush=True)
    yield Row("A table", "a row", {"x": 1.0})
