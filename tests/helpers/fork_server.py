"""The server of `helpers.processes`: it imports the libraries once, and forks for each command.

Every line of its input is a request, the arguments of `become`. It answers with two lines: the
process id when the command has started, and the exit code when it has ended. It has a single
thread, so that a fork is as whole as a new process.
"""

import contextlib
import importlib
import json
import os
import runpy
import sys
from pathlib import Path

LIBRARIES = ("hydra", "matplotlib.pyplot", "pytorch_lightning", "sklearn.cluster", "torchvision")
COMMANDS = ("odc_lightning.train", "odc_lightning.evaluate")


def serve() -> None:
    """Answer requests until the input ends."""
    for name in (*LIBRARIES, *COMMANDS):
        importlib.import_module(name)
    for name in COMMANDS:
        del sys.modules[name]  # each runs as `__main__`
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            answers.close()
            become(**request)
            return
        with contextlib.suppress(OSError):
            os.setpgid(child, child)  # as the child does, whichever is first
        print(child, file=answers, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def become(words: list[str], folder: str, environment: dict[str, str], out: str, err: str) -> None:
    """Be the process ``python *words``, which reads nothing and prints to two files."""
    os.setpgid(0, 0)
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
