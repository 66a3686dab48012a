"""Commands in processes of their own, without the seconds that the imports of each take.

Most of the time of a short command is the import of libraries. `run_python` forks the command
from a server that has imported them once (`helpers.fork_server`). It is a process with its own
arguments, environment, folder, output and exit code all the same. Processes that the command
starts itself, such as further ranks, start as ever. Tests of the start itself, such as tests of
what is imported, use `subprocess`.
"""

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

SERVER = Path(__file__).with_name("fork_server.py")


def run_python(
    *words: str, cwd: Path, environment: Mapping[str, str] | None = None, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run ``python *words`` to its end.

    Args:
        words: ``-m`` and a module, or the path of a script; then arguments.
        cwd: the folder where it runs.
        environment: variables over those of this process.
        timeout: in seconds.

    Raises:
        TimeoutExpired: if it has not ended by then; it is dead, with all processes of its group.
    """
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        request = {
            "words": words,
            "folder": str(cwd),
            "environment": {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
            "out": str(out),
            "err": str(err),
        }
        server.stdin.write(json.dumps(request).encode() + b"\n")
        process = int(server.stdout.readline())
        try:
            if not select.select([server.stdout], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(words, timeout)
        except BaseException:
            os.killpg(process, signal.SIGKILL)
            server.stdout.readline()
            raise
        returncode = int(server.stdout.readline())
        printed = [file.read_text(encoding="utf-8") for file in (out, err)]
    return subprocess.CompletedProcess(words, returncode, *printed)


@functools.cache
def _server() -> "subprocess.Popen[bytes]":
    """One for each process of pytest, from the first command on."""
    server = subprocess.Popen(
        [sys.executable, SERVER],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,  # a line that is read leaves the next one to `select`
    )
    atexit.register(_stop, server)
    return server


def _stop(server: "subprocess.Popen[bytes]") -> None:
    assert server.stdin is not None
    with contextlib.suppress(OSError):
        server.stdin.close()
    server.wait()
