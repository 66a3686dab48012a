"""A bar for what takes long outside of Lightning's loops."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import get_console
from rich.progress import Progress


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is moved by calling what is given with the number of things done, and of all.

    It is drawn on a terminal only, and goes away at the end.
    """
    with Progress(disable=not get_console().is_interactive, transient=True) as progress:
        task = progress.add_task(description, total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield advance
