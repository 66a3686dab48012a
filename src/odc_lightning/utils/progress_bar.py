"""A progress bar for long steps outside Lightning's loops."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import get_console
from rich.progress import Progress


@contextmanager
def progress_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar, drawn on terminals only and removed at the end.

    Args:
        description: the text before the bar.

    Yields:
        A function to call with the number of steps done and the total.
    """
    with Progress(disable=not get_console().is_interactive, transient=True) as progress:
        task = progress.add_task(description, total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield advance
