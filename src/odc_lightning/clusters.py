"""The clusters of a run: ``python -m odc_lightning.clusters run=RUN``, a page or sorted images.

Read `clusters` top to bottom: the run, its images, then a page or folders.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig
from rich import get_console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from odc_lightning.cli.command import run_command
from odc_lightning.cli.hydra_command import hydra_command
from odc_lightning.config.resolve import resolve
from odc_lightning.reporting.cluster_page import (
    THUMBNAILS,
    PageSettings,
    Timed,
    build_cluster_page,
    plan_sorting,
    sort_images,
)
from odc_lightning.runs.clustered_images import ClusteredImages, read_clusters
from odc_lightning.runs.find import (
    find_run,
    groups_of_run,
    refuse_untrusted,
    required,
    with_run_config,
)
from odc_lightning.utils.home import expanded
from odc_lightning.utils.text import printable, quantity
from odc_lightning.utils.timing import timed


def clusters(config: DictConfig) -> None:
    """Write a page and tables to ``config.run_dir``, or sort the images into folders.

    Raises:
        ValueError: a setting is invalid, the run has no clusters, or its images differ.
    """
    run = find_run(required(config, "run", "the folder of a training run"))
    from_run = groups_of_run(config, "data")
    config = config.copy()
    config.title = str(run.config.name) if config.title is None else config.title
    config = resolve(with_run_config(config, run, *from_run))
    if not config.run_trusted:
        refuse_untrusted(config, str(config.run), from_run, "run_trusted")
    with timed("run and images"):
        clustered = read_clusters(run, config.data)
    if config.sort_into is None:
        show(clustered, config)
    else:
        sort(clustered, config)


def show(clustered: ClusteredImages, config: DictConfig) -> None:
    """Build the page, print a summary and the page's path."""
    folder = Path(config.run_dir)
    settings = PageSettings(
        title=config.title,
        map_images=config.map_images,
        duplicate_threshold=config.duplicate_threshold,
        link_originals=config.link_originals,
        seed=config.seed,
    )
    with shown_parts(len(clustered.labels)) as (part, progress):
        built = build_cluster_page(clustered, folder, settings, part, progress)
    sizes = built.facts.sizes[built.facts.sizes > 0]
    lines = [
        f"{quantity(len(clustered.labels), 'image')} in {quantity(len(sizes), 'cluster')} of "
        f"{sizes.min():,} to {quantity(int(sizes.max()), 'image')}",
    ]
    if built.facts.overall_purity is not None:
        lines.append(f"purity {built.facts.overall_purity:.1%}")
    if built.duplicates:
        lines.append(
            f"{sum(len(group) for group in built.duplicates):,} images in "
            f"{quantity(len(built.duplicates), 'group')} of near-duplicates"
        )
    if built.pictures.problems:
        lines.append(
            f"{quantity(len(built.pictures.problems), 'image')} cannot be shown, for example: "
            f"{built.pictures.problems[0].reason}"
        )
    for line in (*lines, f"{folder / 'index.html'}"):
        get_console().print(printable(line), highlight=False, soft_wrap=True, markup=False)


def sort(clustered: ClusteredImages, config: DictConfig) -> None:
    """Print the plan, and carry it out unless it is a dry run."""
    plan = plan_sorting(
        clustered.source, clustered.labels, expanded(config.sort_into), config.sort_by
    )
    for line in plan.lines():
        get_console().print(line, highlight=False, soft_wrap=True, markup=False)
    if config.dry_run:
        print("Dry run: no file was changed. Add dry_run=false to sort the images.")
        return
    with timed("sorting"):
        sort_images(plan)
    get_console().print(f"{printable(plan.folder)}/", highlight=False, soft_wrap=True, markup=False)


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


@hydra_command("clusters")
def main(config: DictConfig) -> None:
    """Command-line entry point."""
    run_command(clusters, config)


if __name__ == "__main__":
    main()
