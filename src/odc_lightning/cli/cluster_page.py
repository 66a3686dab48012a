"""Shared parts of the commands about clusters: lines, a bar, folders of links."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from odc_lightning.config.validation import IntegerRule
from odc_lightning.naming import read_given_names
from odc_lightning.naming.named_images import check_run
from odc_lightning.reporting.cluster_page import (
    THUMBNAILS,
    ClusteredImages,
    Sorting,
    Timed,
    sort_images,
)
from odc_lightning.reporting.cluster_page.server import PageServer
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


def served(
    clustered: ClusteredImages,
    folder: Path,
    labels: Path,
    port: int,
    build: Callable[[], list[str]],
    route: str = "",
) -> None:
    """Build a page and serve it until Ctrl-C.

    Args:
        clustered: the images of the page.
        folder: of the page.
        labels: the ``labels.json`` in which the page saves names.
        port: of the server; it is taken before the page is made, which may take minutes.
        build: makes the page and returns lines to print.
        route: of the view that the printed address opens, such as ``#/next``.

    Raises:
        ValueError: the port cannot be used, or ``labels`` is there and is of other clusters: it
            would be replaced.
    """
    if not IntegerRule(0).accepts(port):
        raise ValueError(f"port={port}; expected {IntegerRule(0)}")
    names = clustered.names()
    rows = {name: row for row, name in enumerate(names)}
    if labels.exists():
        try:
            check_run(read_given_names(labels), names, clustered.labels, rows)
        except ValueError as error:
            raise ValueError(
                f"{error}. The page would replace {labels}; rename it to keep it, and start again"
            ) from error

    def find(name: str) -> Path | None:
        return clustered.source.path(rows[name]) if name in rows else None

    with PageServer(folder, labels, find, port) as server:
        say(*build())
        say(f"{server.address}{route} saves names in {labels}. Stop with Ctrl-C")
        with suppress(KeyboardInterrupt):
            server.serve_forever()


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
