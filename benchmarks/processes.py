"""Generators that run in their own process."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any, NamedTuple

# odc_lightning comes first: it configures how OpenMP's threads wait, before torch is imported.
PRELOADED = ["odc_lightning", "benchmarks.versions"]


class _Failure(NamedTuple):
    traceback: str


def processes() -> ForkServerContext:
    """A context for new processes, with torch imported once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


class Job:
    """A generator that runs in a new process.

    Attributes:
        connection: readable once an item has come, or the end; for `multiprocessing`'s ``wait``.
    """

    def __init__(self, generator: Callable[..., Iterator[Any]], *arguments: Any) -> None:
        """Start the process.

        Args:
            generator: importable by name.
            arguments: of the generator; they and its items must be picklable.
        """
        context = processes()
        self.connection, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_send, args=(theirs, generator, arguments))
        self._process.start()
        theirs.close()  # otherwise the pipe would stay open when the process ends

    def receive(self) -> Any:
        """Wait for the next item; None is the end.

        Raises:
            RuntimeError: the generator raised an exception, whose traceback is the message, or its
                process ended.
        """
        try:
            item = self.connection.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            raise RuntimeError(f"its process ended with exit code {code}") from None
        if isinstance(item, _Failure):
            raise RuntimeError(item.traceback.strip())
        return item

    def close(self) -> None:
        """Wait for the end of the process."""
        self.connection.close()
        self._process.join()

    def kill(self) -> None:
        """End the process, and those of its session if it has begun one."""
        pid = self._process.pid
        assert pid is not None  # it was started
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            if os.getpgid(pid) == pid:
                os.killpg(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)
        self.close()


def apart(generator: Callable[..., Iterator[Any]], *arguments: Any) -> Iterator[Any]:
    """Run a generator in a new process, and yield its items when they are ready.

    Args:
        generator, arguments: see `Job`.

    Raises:
        RuntimeError: see `Job.receive`.
    """
    job = Job(generator, *arguments)
    try:
        while (item := job.receive()) is not None:
            yield item
    finally:
        job.close()


def _send(
    connection: Connection, generator: Callable[..., Iterator[Any]], arguments: tuple[Any, ...]
) -> None:
    try:
        for item in generator(*arguments):
            connection.send(item)
        connection.send(None)
    except Exception:
        connection.send(_Failure(traceback.format_exc()))
