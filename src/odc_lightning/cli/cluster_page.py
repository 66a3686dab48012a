"""Shared parts of the commands about clusters: lines, a bar, folders of links."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from odc_lightning.reporting.cluster_page import THUMBNAILS, Sorting, Timed, sort_images
from odc_lightning.utils.text import printable
from odc_lightning.utils.timing import timed


def say(*lines: str) -> None:
    """Print lines as they are, whatever names they hold."""
    for line in lines:
        get_console().print(printable(line), highlight=False, soft_wrap=True, markup=False)


def carry_out(plan: Sorting, dry_run: bool) -> None:
    """Print a plan of sorting, and carry it out unless it is a dry run.

    Raises:
        ValueError: see `sort_images`.
    """
    say(*plan.lines())
    if dry_run:
        print("Dry run: no file was changed. Add dry_run=false to sort the images.")
        return
    with timed("sorting"):
        sort_images(plan)
    say(f"{plan.folder}/")


@contextmanager
def shown_parts(num_images: int) -> Iterator[tuple[Timed, Callable[[int], None]]]:
    """A bar on a terminal with the part of the page that is made, and how many thumbnails are.

    Args:
        num_images: N.

    Yields:
        Both arguments of `build_cluster_page`: what wraps each part, and what is called with the
        number of thumbnails made so far.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        transient=True,
        disable=not get_console().is_interactive,
    )

    @contextmanager
    def part(name: str) -> Iterator[None]:
        task = bar.add_task(name, total=num_images if name == THUMBNAILS else None)
        with timed(name):
            yield
        bar.remove_task(task)

    with bar:
        yield part, lambda done: bar.update(bar.task_ids[-1], completed=done)
