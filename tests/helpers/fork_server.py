"""The server of `helpers.processes`: it imports the libraries once, and forks for each command.

Every line of its input is a request, the arguments of `become`. It answers with a line, the exit
code, when the command has ended. It has a single thread, so that a fork is as whole as a new
process.
"""

import importlib
import json
import os
import runpy
import signal
import sys
import time
from pathlib import Path

LIBRARIES = ("hydra", "matplotlib.pyplot", "pytorch_lightning", "sklearn.cluster", "torchvision")
COMMANDS = ("odc_lightning.train", "odc_lightning.evaluate")


def serve() -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what an import prints is not an answer
    for name in (*LIBRARIES, *COMMANDS):
        importlib.import_module(name)
    for name in COMMANDS:
        del sys.modules[name]  # each runs as `__main__`
    for line in sys.stdin:
        request = json.loads(line)
        timeout = request.pop("timeout")
        child = os.fork()
        if child == 0:
            answers.close()
            os.setsid()
            become(**request)
            return
        print(exit_code(child, timeout), file=answers, flush=True)


def exit_code(child: int, timeout: float) -> int:
    """Wait for the end of a command; after the timeout kill it, with the processes it started."""
    deadline = time.monotonic() + timeout
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.01)


def become(words: list[str], folder: str, environment: dict[str, str], out: str, err: str) -> None:
    """Be the process ``python *words``, which reads nothing and prints to two files."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for target, path, mode in ((0, os.devnull, os.O_RDONLY), (1, out, flags), (2, err, flags)):
        file = os.open(path, mode)
        os.dup2(file, target)
        os.close(file)
    module = words[0] == "-m"
    first = folder if module else str(Path(words[0]).parent)
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [first, *filter(None, paths)]
    sys.argv = words[1:] if module else words
    if module:
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    serve()
