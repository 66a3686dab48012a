"""Names for all images of a run: ``python -m odc_lightning.label run=RUN labels=labels.json``.

Read `label` top to bottom: what a person said, what a classifier adds, and the files.
"""

from collections import Counter
from pathlib import Path

from omegaconf import DictConfig

from odc_lightning.cli.cluster_page import carry_out, say, served, shown_parts
from odc_lightning.cli.command import ALWAYS_IRRELEVANT, ignore_warnings, run_command
from odc_lightning.cli.hydra_command import hydra_command
from odc_lightning.config.resolve import resolve
from odc_lightning.config.validation import IntegerRule, NumberRule
from odc_lightning.data import ImageSource
from odc_lightning.data.decoding.copies import Size
from odc_lightning.inference import load
from odc_lightning.naming import GivenNames, read_names
from odc_lightning.naming.completed import Completed, complete
from odc_lightning.naming.named_images import RUBBISH, Source
from odc_lightning.naming.tables import write_coco, write_tables
from odc_lightning.reporting.cluster_page import (
    PageSettings,
    ToName,
    build_cluster_page,
    named_folders,
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
from odc_lightning.utils.threads import in_threads

FILES_AT_ONCE = 64


def label(config: DictConfig) -> None:
    """Write tables and a page to ``config.run_dir``, or sort the images into folders by name.

    Raises:
        ValueError: a setting is invalid, or the names are not those of the run.
    """
    ignore_warnings(ALWAYS_IRRELEVANT)
    run = find_run(required(config, "run", "the folder of a training run"))
    labels = labels_of(config, run.folder)
    from_run = groups_of_run(config, "data")
    config = resolve(with_run_config(config, run, *from_run))
    if not config.run_trusted:
        refuse_untrusted(config, str(config.run), from_run, "run_trusted")
    if not NumberRule(0.0, 1.0).accepts(config.sure):
        raise ValueError(f"sure={config.sure}; expected {NumberRule(0.0, 1.0)}")
    if not IntegerRule(0).accepts(config.next):
        raise ValueError(f"next={config.next}; expected {IntegerRule(0)}")
    clustered = read_clusters(run, config.data)
    names = clustered.names()
    given, named = read_names(labels, names, clustered.labels)
    model = load(
        config.run,
        device=config.device,
        images=config.images,
        checkpoint_trusted=config.run_trusted,
    )
    reference = model.reference
    rows = reference.rows_among(names)
    completed = complete(named, reference.features.numpy(), rows, config.sure, config.seed)
    say(*summary(completed))
    if config.sort_into is not None:
        folders = named_folders([named.name_of(label) for label in completed.named.labels.tolist()])
        into = expanded(config.sort_into)
        carry_out(plan_sorting(clustered.source, folders, into, config.sort_by), config.dry_run)
        return
    config.title = str(run.config.name) if config.title is None else config.title
    write(clustered, completed, given, run.folder, config)


def summary(completed: Completed) -> list[str]:
    """What has a name, and from whom."""
    named = completed.named
    by = Counter(Source(source) for source in named.sources.tolist())
    words = {
        Source.PERSON: "by hand",
        Source.CLUSTER: "by their cluster",
        Source.CLASSIFIER: "by the classifier",
    }
    parts = [f"{by[source]:,} {word}" for source, word in words.items() if by[source]]
    total, unnamed = len(named.labels), by[Source.NOBODY]
    lines = [
        f"{total - unnamed:,} of {quantity(total, 'image')} named ({', '.join(parts)}), "
        f"{quantity(len(named.names), 'name')}"
    ]
    if rubbish := int((named.labels == RUBBISH).sum()):
        lines.append(f"{quantity(rubbish, 'image')} of them rubbish")
    if completed.classifier is None:
        lines.append("no classifier: it needs images of two names, or of one name and of rubbish")
    elif completed.classifier.agreement is not None:
        lines.append(
            f"in cross-validation the classifier gives {completed.classifier.agreement:.1%} of the "
            "named images their own name"
        )
    if named.unknown:
        lines.append(
            f"{quantity(len(named.unknown), 'image')} of the labels not in this run, for example "
            f"{named.unknown[0]}"
        )
    return lines


def write(
    clustered: ClusteredImages,
    completed: Completed,
    given: GivenNames,
    run: Path,
    config: DictConfig,
) -> None:
    """Write the tables, and the page with the images that a person should name next."""
    folder = Path(config.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    names = clustered.names()
    write_tables(folder, names, completed)
    write_coco(folder / "labels.coco.json", names, completed, sizes_of(clustered.source))
    say(f"{folder}/labels.csv, labels.parquet and labels.coco.json")
    to_name = first_to_name(completed, config.next)
    if len(to_name.indices) == 0:
        return
    settings = PageSettings(
        title=str(config.title),
        link_originals=config.link_originals,
        run=run,
        given=given,
        to_name=to_name,
        seed=config.seed,
        served=config.serve,
    )

    def build() -> list[str]:
        with shown_parts(len(names)) as (part, progress):
            build_cluster_page(clustered, folder, settings, part, progress)
        return [
            f"{quantity(len(completed.to_name), 'image')} without a name, the least sure first:"
        ]

    if config.serve:
        labels = labels_of(config, run)
        served(clustered, folder, labels, config.port, build, route="#/next")
    else:
        say(*build(), f"{folder / 'index.html'}#/next")


def labels_of(config: DictConfig, run: Path) -> Path:
    """The ``labels.json`` of the command."""
    return run / LABELS if config.labels is None else expanded(config.labels)


def first_to_name(completed: Completed, number: int) -> ToName:
    """The images of which the classifier is least certain.

    Args:
        completed: names of N images.
        number: of images, at most.
    """
    rows = completed.to_name[:number]
    guesses = [completed.named.name_of(label) or None for label in completed.guesses[rows]]
    return ToName(rows, guesses, completed.probabilities[rows])


def sizes_of(source: ImageSource) -> list[Size | None]:
    """Width and height of each image; None for one that cannot be read."""

    def size(index: int) -> Size | None:
        try:
            return source.size(index)
        except Exception:  # Pillow raises errors of many types
            return None

    return in_threads(size, range(len(source)), FILES_AT_ONCE)


@hydra_command("label")
def main(config: DictConfig) -> None:
    """Command-line entry point."""
    run_command(label, config)


if __name__ == "__main__":
    main()
