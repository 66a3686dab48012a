"""The search for image files in a folder, with an account of everything that is passed over."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from pytorch_lightning.utilities import rank_zero_only

from odc_lightning.data.files.formats import ADVICE, image_extensions
from odc_lightning.data.files.outputs import PICTURES, is_output
from odc_lightning.data.files.patterns import HIDDEN, Patterns
from odc_lightning.utils.text import printable, quantity

log = logging.getLogger(__name__)

# Files and folders of operating systems; they are passed over and not reported.
_OF_SYSTEMS = {".ds_store", "desktop.ini", "ehthumbs.db", "thumbs.db", "__macosx", "icon\r"}
_APPLE_DOUBLE = "._"
_EXTENSION = re.compile(r"\.\w{1,12}")
_SHOWN = 8  # kinds of files, and patterns, in a message
# Folders that are read to count excluded images. A NAS may have one per image, each slow to read.
_MAX_COUNTED = 1000


@dataclass
class PassedOver:
    """Files that a search passed over.

    Attributes:
        kinds: extension, or an empty string without one -> number of files.
        excluded: pattern of ``data.exclude`` -> number of images.
        at_least: whether there may be more excluded images, in folders that were not read.
        outputs: number of folders that this program wrote.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)
    at_least: bool = False
    outputs: int = 0

    def __str__(self) -> str:
        """One line, empty if nothing was passed over."""
        parts = []
        if self.kinds:
            ranked = sorted(self.kinds.items(), key=lambda item: (item[0] not in ADVICE, -item[1]))
            parts.append(
                f"{quantity(self.kinds.total(), 'file')} passed over: "
                + _listed([(_kind(kind), number) for kind, number in ranked])
            )
        if self.excluded:
            parts.append(
                f"{'at least ' * self.at_least}{quantity(self.excluded.total(), 'image')} "
                "left out by data.exclude: "
                + _listed(
                    [(f"by {printable(each)}", n) for each, n in self.excluded.most_common()],
                    "by other patterns",
                )
            )
        if self.outputs:
            parts.append(
                f"{quantity(self.outputs, 'folder')} with output of odc_lightning left out"
            )
        return "; ".join(parts)


def report_passed_over(split: str, passed: PassedOver | None) -> None:
    """Log what a search passed over: as a warning if some files are photographs."""
    if passed is not None and (text := str(passed)):
        level = logging.WARNING if any(kind in ADVICE for kind in passed.kinds) else logging.INFO
        rank_zero_only(log.log)(level, "data.%s: %s", split, text)


def find_images(
    root: Path, exclude: Sequence[object] | None = HIDDEN
) -> tuple[list[str], PassedOver]:
    """Find the image files at any depth below a folder.

    Links to folders are followed; each folder is read once. Folders that this program wrote are
    passed over wherever they lie below `root`, but `root` itself may be such a folder or lie in it.

    Args:
        root: the folder.
        exclude: patterns of files and folders to leave out, see `Patterns`.

    Returns:
        Names relative to `root`, sorted, and the account of all other files.

    Raises:
        ValueError: `exclude` is not a list of patterns.
        OSError: a folder cannot be read.
    """
    patterns = Patterns(exclude, root)
    extensions = image_extensions()
    names: list[str] = []
    passed = PassedOver()
    budget = iter(range(_MAX_COUNTED))
    for folder, subfolders, files in _folders(root):
        ours = is_output(folder, {*subfolders, *files})
        if ours and folder != root:
            passed.outputs += 1
            subfolders.clear()
            continue
        parents = folder.absolute().parts
        kept = []
        for name in sorted(subfolders):
            if _of_system(name) or (ours and name in PICTURES):
                continue
            if pattern := patterns.of_folder(parents, name):
                passed.excluded[pattern] += _count_images(folder / name, extensions, budget)
            else:
                kept.append(name)
        subfolders[:] = kept
        prefix = folder.relative_to(root).as_posix() + "/" if folder != root else ""
        for name in files:
            extension = os.path.splitext(name)[1].lower()  # noqa: PTH122, for millions of names
            if _of_system(name) or (ours and name in PICTURES):
                continue
            if pattern := patterns.of_file(parents, name):
                passed.excluded[pattern] += extension in extensions
            elif extension in extensions:
                names.append(prefix + name)
            else:
                passed.kinds[extension if _EXTENSION.fullmatch(extension) else ""] += 1
    passed.at_least = next(budget, None) is None
    if not passed.at_least:
        passed.excluded = +passed.excluded  # without patterns that left out no images
    return sorted(names), passed


def _folders(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """`os.walk` along links; a folder that is reached by several paths is read once."""

    def fail(error: OSError) -> NoReturn:
        raise error  # os.walk would silently skip an unreadable folder

    seen: set[tuple[int, int]] = set()
    for path, subfolders, files in os.walk(root, onerror=fail, followlinks=True):
        folder = Path(path)
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        yield folder, subfolders, files


def _count_images(folder: Path, extensions: frozenset[str], budget: Iterator[int]) -> int:
    """The number of images in an excluded folder; parts of it that cannot be read do not count.

    Each folder that is read takes one item from the budget; the count ends when there is none.
    """
    return sum(
        os.path.splitext(name)[1].lower() in extensions and not _of_system(name)  # noqa: PTH122
        for _, (_, _, files) in zip(budget, os.walk(folder), strict=False)
        for name in files
    )


def _of_system(name: str) -> bool:
    return name.startswith(_APPLE_DOUBLE) or name.lower() in _OF_SYSTEMS


def _kind(extension: str) -> str:
    advice = f" ({ADVICE[extension]})" if extension in ADVICE else ""
    return f"{extension}{advice}" if extension else "without an extension"


def _listed(items: Sequence[tuple[str, int]], others: str = "of other kinds") -> str:
    shown = [f"{number:,} {what}" for what, number in items[:_SHOWN]]
    rest = sum(number for _, number in items[_SHOWN:])
    return ", ".join(shown) + (f", {rest:,} {others}" if rest else "")
