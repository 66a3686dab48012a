"""Recognition of the folders that this program writes, which are never images to train on."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

# A file of an output folder -> the texts that it has if this program wrote it. Trainings,
# evaluations, cluster pages and sweeps have a config; features, tables and exports have facts.
_MARKERS: dict[str, tuple[bytes, ...]] = {
    ".hydra/hydra.yaml": (b"_target_: odc_lightning.",),
    "multirun.yaml": (b"_target_: odc_lightning.",),
    "config.yaml": (b"_target_: odc_lightning.", b"run_dir:"),
    "facts.json": (b'"odc_lightning"',),
    "config.json": (b'"odc_lightning"',),
    "sorted.csv": (b"file,original",),  # `sort_into`
    "page/data/overview.js": (b'page.take("overview",',),  # a cluster page without its config
}
_READ = 2**20  # bytes; a config has about 10,000

# Pictures and folders with pictures that a command writes into its own output folder.
PICTURES = frozenset(
    {"curves.png", "contact_sheet.png", "contact_sheets", "low_shot.png", "page", "wandb"}
)


def is_output(folder: Path, entries: Collection[str]) -> bool:
    """Whether this program wrote the folder.

    Args:
        folder: to check.
        entries: names of its files and sub-folders.
    """
    return any(
        marker.split("/")[0] in entries and _has(folder / marker, texts)
        for marker, texts in _MARKERS.items()
    )


def _has(file: Path, texts: tuple[bytes, ...]) -> bool:
    try:
        with file.open("rb") as content:
            start = content.read(_READ)
    except OSError:  # missing, a folder, or not readable
        return False
    return all(text in start for text in texts)
