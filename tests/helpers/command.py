"""The real training command in a process of its own, which tests stop, kill and start again."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from helpers.paths import ROOT
from helpers.processes import run_python

SMALL = (
    *("experiment=odc_digits", "data.subset={num_images: 300}", "algorithm.num_clusters=20"),
    *("algorithm.small_clusters.threshold=5", "data.batch_size=32", "data.num_workers=0"),
    *("model.backbone.width=4", "trainer.accelerator=cpu", "callbacks.label_scores.knn=false"),
)
TWO_RANKS = ("trainer.devices=2", "trainer.strategy=ddp")


def command(run: Path, *settings: str) -> list[str]:
    module = ("-m", "odc_lightning.train")
    return [sys.executable, *module, *SMALL, f"hydra.run.dir={run}", *settings]


def environment() -> dict[str, str]:
    paths = f"{ROOT / 'src'}:{ROOT / 'tests'}"
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def run_to_the_end(run: Path, *settings: str) -> str:
    """Train; returns what was printed."""
    words = command(run, *settings)[1:]
    done = run_python(*words, cwd=run.parent, environment=environment(), timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def start(
    run: Path, *settings: str, more: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Begin to train, in a process group of its own, with more in its environment."""
    return subprocess.Popen(
        command(run, *settings),
        env={**environment(), **(more or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until the condition holds; fails if the process ends before."""
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def end(process: subprocess.Popen[str], seconds: float) -> tuple[int, str]:
    """Exit code and output of a process that has so much time left; all of its group is dead then.

    Raises:
        TimeoutExpired: if it has not ended by then.
    """
    try:
        printed, _ = process.communicate(timeout=seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, printed
