"""As `gpu_section`, but it does not end, nor does the process that it starts."""

import subprocess
import time
from collections.abc import Iterator

from benchmarks.gpu.rows import Row


def measure(dry_run: bool) -> Iterator[Row]:
    with subprocess.Popen(["sleep", "600"]) as started:
        yield Row("A table", "before it waits", {"pid": started.pid})
        time.sleep(600)
