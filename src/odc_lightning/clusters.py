"""The clusters of a run: ``python -m odc_lightning.clusters run=RUN``, a page or sorted images.

Read `clusters` top to bottom: the run, its images, then a page or folders.
"""

from pathlib import Path

from omegaconf import DictConfig

from odc_lightning.cli.cluster_page import carry_out, say, served, shown_parts
from odc_lightning.cli.command import run_command
from odc_lightning.cli.hydra_command import hydra_command
from odc_lightning.config.resolve import resolve
from odc_lightning.reporting.cluster_page import (
    PageSettings,
    build_cluster_page,
    cluster_folders,
    plan_sorting,
)
from odc_lightning.reporting.cluster_page.server import LABELS
from odc_lightning.runs.clustered_images import ClusteredImages, read_clusters
from odc_lightning.runs.find import (
    find_run,
    groups_of_run,
    refuse_untrusted,
    required,
    with_run_config,
)
from odc_lightning.utils.home import expanded
from odc_lightning.utils.text import quantity
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
        show(clustered, run.folder, config)
    else:
        sort(clustered, config)


def show(clustered: ClusteredImages, run: Path, config: DictConfig) -> None:
    """Build the page of a run's clusters, print a summary, and serve the page or print its path.

    Raises:
        ValueError: the port cannot be used.
    """
    folder = Path(config.run_dir)
    if config.serve:
        served(clustered, folder, run / LABELS, config.port, lambda: build(clustered, run, config))
    else:
        say(*build(clustered, run, config), f"{folder / 'index.html'}")


def build(clustered: ClusteredImages, run: Path, config: DictConfig) -> list[str]:
    """Build the page, and return a summary of lines."""
    settings = PageSettings(
        title=config.title,
        map_images=config.map_images,
        duplicate_threshold=config.duplicate_threshold,
        link_originals=config.link_originals,
        seed=config.seed,
        run=run,
        served=config.serve,
    )
    with shown_parts(len(clustered.labels)) as (part, progress):
        built = build_cluster_page(clustered, Path(config.run_dir), settings, part, progress)
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
    return lines


def sort(clustered: ClusteredImages, config: DictConfig) -> None:
    """Print the plan, and carry it out unless it is a dry run."""
    folders = cluster_folders(clustered.labels)
    into = expanded(config.sort_into)
    carry_out(plan_sorting(clustered.source, folders, into, config.sort_by), config.dry_run)


@hydra_command("clusters")
def main(config: DictConfig) -> None:
    """Command-line entry point."""
    run_command(clusters, config)


if __name__ == "__main__":
    main()
