import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# Starts a child that watches it, and waits as a collective does: for ever.
PARENT = """
import subprocess, sys, time
code = "import time; from odc_lightning.utils.parent_watch import watch_parent; " \
    "watch_parent(0.1); print('watching', flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code], stderr=open(sys.argv[1], "w"))
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_rank_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    said = tmp_path / "stderr"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(said)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert parent.stdout.readline() == "watching\n"
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    alive = _runs(child)
    if alive:
        os.kill(child, signal.SIGKILL)
    assert not alive
    assert said.read_text() == "rank 0 has died; see its message above\n"


def _runs(pid: int) -> bool:
    """Whether the process runs; a zombie, which nobody waits for, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
