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
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

SERVER = Path(__file__).with_name("fork_server.py")


def run_python(
    *words: str,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Run ``python *words`` to its end.

    Args:
        words: ``-m`` and a module, or the path of a script; then arguments.
        cwd: the folder where it runs.
        environment: variables over those of this process.
        timeout: seconds after which the command and its processes are killed; its exit code is
            then -9.
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
            "timeout": timeout,
        }
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        assert answer, f"the server of commands has ended with exit code {server.wait()}"
        returncode = int(answer)
        printed = [file.read_text(encoding="utf-8") for file in (out, err)]
    return subprocess.CompletedProcess(words, returncode, *printed)


@functools.cache
def _server() -> "subprocess.Popen[str]":
    """One for each process of pytest, from the first command on."""
    server = subprocess.Popen(
        [sys.executable, SERVER],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(_stop, server)
    return server


def _stop(server: "subprocess.Popen[str]") -> None:
    assert server.stdin is not None
    with contextlib.suppress(OSError):
        server.stdin.close()
    server.wait()
