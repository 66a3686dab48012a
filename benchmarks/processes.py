"""Generators that run in their own process."""

from __future__ import annotations

import multiprocessing
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


def apart(generator: Callable[..., Iterator[Any]], *arguments: Any) -> Iterator[Any]:
    """Run a generator in a new process, and yield its items when they are ready.

    Args:
        generator: importable by name.
        arguments: of the generator; they and its items must be picklable.

    Raises:
        RuntimeError: the generator raised an exception, whose traceback is the message, or its
            process ended.
    """
    context = processes()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, generator, arguments))
    process.start()
    theirs.close()  # otherwise the pipe would stay open when the process ends
    try:
        yield from _received(ours)
    except EOFError:
        process.join()
        raise RuntimeError(f"its process ended with exit code {process.exitcode}") from None
    finally:
        ours.close()
        process.join()


def _send(
    connection: Connection, generator: Callable[..., Iterator[Any]], arguments: tuple[Any, ...]
) -> None:
    try:
        for item in generator(*arguments):
            connection.send(item)
        connection.send(None)
    except Exception:
        connection.send(_Failure(traceback.format_exc()))


def _received(connection: Connection) -> Iterator[Any]:
    while (item := connection.recv()) is not None:
        if isinstance(item, _Failure):
            raise RuntimeError(item.traceback.strip())
        yield item
