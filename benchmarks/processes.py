"""Generators that run in a process of their own."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any, NamedTuple

# odc_lightning comes first: before torch is there, it tells OpenMP how to wait.
PRELOADED = ["odc_lightning", "benchmarks.versions"]


class _Failure(NamedTuple):
    traceback: str


def processes() -> ForkServerContext:
    """Processes that are new, with torch imported once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def apart(generator: Callable[..., Iterator[Any]], *arguments: Any) -> Iterator[Any]:
    """What a generator yields, each when it is ready, from a fresh process.

    Args:
        generator: importable by name.
        arguments: of it, as the items such that pickle takes them.

    Raises:
        RuntimeError: it raised an exception, whose traceback is the message, or its process ended.
    """
    context = processes()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, generator, arguments))
    process.start()
    theirs.close()  # else the pipe would never end if the process does
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
