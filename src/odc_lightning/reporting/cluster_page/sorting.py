"""Sort images into a folder for each cluster or name. Originals are never moved or changed."""

import errno
import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from odc_lightning.data import FileSource, ImageSource, SubsetSource
from odc_lightning.runs.images import RunImages
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.home import expanded
from odc_lightning.utils.tables import table_writer
from odc_lightning.utils.text import printable, quantity

How = Literal["copy", "hardlink", "symlink"]
_SHOWN = 8  # lines of a plan that are printed
LONGEST_FOLDER = 200  # bytes: file systems allow 255, and a number may follow
# Names of devices, which Windows takes for no file.
_RESERVED = {"CON", "PRN", "AUX", "NUL"} | {f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10)}


@dataclass
class Sorting:
    """Plan of the folders and files.

    Attributes:
        folder: parent of the folders.
        how: by copy, hard link or symbolic link.
        entries: originals and their new paths, relative to ``folder``.
        missing: names of images whose files do not exist.
        num_bytes: of all originals.
    """

    folder: Path
    how: How
    entries: list[tuple[Path, Path]]
    missing: list[str]
    num_bytes: int

    def lines(self) -> list[str]:
        """The plan as lines of text."""
        folders = Counter(target.parent for _, target in self.entries)
        sizes = sorted(folders.values())
        verbs = {"copy": "copied", "hardlink": "linked", "symlink": "linked by symbolic links"}
        lines = [
            f"{quantity(len(self.entries), 'image')} ({self.num_bytes / 1e6:,.1f} MB) would be "
            f"{verbs[self.how]} into {quantity(len(folders), 'folder')} of {sizes[0]:,} to "
            f"{quantity(sizes[-1], 'image')} in {self.folder}, for example"
        ]
        step = max(1, len(self.entries) // _SHOWN)
        for original, target in self.entries[::step][:_SHOWN]:
            lines.append(f"  {printable(original)} -> {printable(target)}")
        if self.missing:
            lines.append(
                f"not there any more and left out: {quantity(len(self.missing), 'image')}, for "
                f"example {printable(self.missing[0])}"
            )
        return lines


def cluster_folders(labels: IntArray) -> list[str | None]:
    """A folder for each cluster, such as ``cluster_07``.

    Args:
        labels: (N,) clusters of images.
    """
    width = len(str(int(labels.max())))
    return [f"cluster_{label:0{width}d}" for label in labels.tolist()]


def named_folders(names: Sequence[str]) -> list[str | None]:
    """A folder for each name: the name itself, without what some file system forbids.

    Args:
        names: of N images; an empty one has no folder.
    """
    taken: dict[str, int] = {}
    folders: dict[str, str | None] = {"": None}
    for name in sorted(set(names) - {""}):
        shortened = name.encode()[:LONGEST_FOLDER].decode("utf-8", "ignore")
        allowed = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", shortened).rstrip(". ")
        stem = allowed.partition(".")[0].rstrip(" ").upper()
        if not allowed or stem in _RESERVED:
            allowed = f"_{allowed}"
        folders[name] = str(_free(Path(allowed), taken))
    return [folders[name] for name in names]


def plan_sorting(
    source: ImageSource, folders: Sequence[str | None], folder: Path, how: How
) -> Sorting:
    """Check everything, and write nothing.

    Args:
        source: N images.
        folders: for each image the name of its folder; None to leave it out.
        folder: to create; it may exist if it is empty.
        how: by copy, hard link or symbolic link.

    Raises:
        ValueError: the images have no files, the folder is not empty or among the images, links
            cannot reach it, or the disk has no room for copies.
    """
    if how not in get_args(How):
        raise ValueError(f"sort_by={how!r}; expected one of {', '.join(get_args(How))}")
    folder = expanded(folder).absolute()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(f"sort_into={folder} is not an empty folder; name one that is not there")
    taken: dict[str, int] = {}  # and the last number given
    entries: list[tuple[Path, Path]] = []
    missing: list[str] = []
    parents: set[Path] = set(_roots(source))
    devices: set[int] = set()
    num_bytes = 0
    for index, name in enumerate(folders):
        if name is None:
            continue
        path = source.path(index)
        try:
            # A link to a link is a link to what that one may become.
            original = None if path is None else path.resolve(strict=True)
            status = None if original is None else original.stat()
        except OSError:
            original = status = None
        if original is None or status is None or path is None:
            missing.append(source.name(index))
            continue
        parents.add(path.absolute().parent)
        devices.add(status.st_dev)
        num_bytes += status.st_size
        target = _free(Path(name) / path.name, taken)
        entries.append((original, target))
    if not any(folders):
        raise ValueError("no image has a name, so there is nothing to sort; name a cluster first")
    if not entries:
        raise ValueError(
            f"none of the {len(folders)} images is a file, for example {source.name(0)}; only "
            "files can be sorted into folders"
        )
    _refuse_inside(folder, parents)
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if how == "hardlink" and devices - {existing.stat().st_dev}:
        raise ValueError(
            f"sort_into={folder} is on another disk than images are, and hard links cannot lead "
            "there; take sort_by=symlink or sort_by=copy, or a folder on their disk"
        )
    if how == "copy" and (free := shutil.disk_usage(existing).free) < num_bytes:
        raise ValueError(
            f"copies need {num_bytes / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB of room; "
            "take sort_by=hardlink or sort_by=symlink, or another disk"
        )
    return Sorting(folder, how, entries, missing, num_bytes)


def sort_images(plan: Sorting) -> None:
    """Make the folders, and ``sorted.csv`` with the original of each file.

    Raises:
        ValueError: a file cannot be made; files made before it stay.
    """
    makers: dict[How, Callable[[Path, Path], object]] = {
        "copy": shutil.copy2,
        "hardlink": os.link,
        "symlink": lambda original, target: target.symlink_to(original),
    }
    make = makers[plan.how]
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
        with table_writer(plan.folder / "sorted.csv", ("file", "original")) as write:
            for original, target in plan.entries:
                (plan.folder / target).parent.mkdir(exist_ok=True)
                if os.path.lexists(plan.folder / target):  # `copy2` would overwrite it
                    raise FileExistsError(errno.EEXIST, f"{plan.folder / target} exists already")
                make(original, plan.folder / target)
                write([(target.as_posix(), str(original))])
    except OSError as error:
        advice = " Take sort_by=symlink or sort_by=copy." if error.errno == errno.EXDEV else ""
        raise ValueError(
            f"sorting into {plan.folder} stopped: {error}.{advice} What was made so far is there; "
            "no original was touched"
        ) from error


def _free(target: Path, taken: dict[str, int]) -> Path:
    """The path, with a number if another image has it already."""
    candidate, number = target, taken.get(_folded(target), 1)
    while _folded(candidate) in taken:
        number += 1
        candidate = target.with_name(f"{target.stem}~{number}{target.suffix}")
    taken[_folded(target)] = number
    taken.setdefault(_folded(candidate), 1)
    return candidate


def _folded(target: Path) -> str:
    """The same text for all names that some file system takes for one.

    Windows and macOS ignore case, macOS does not tell composed from decomposed accents, and Windows
    drops dots and spaces at the end.
    """
    folded = unicodedata.normalize("NFD", str(target)).casefold()
    return unicodedata.normalize("NFD", folded).rstrip(". ")


def _roots(source: ImageSource) -> list[Path]:
    """The root folder of the images."""
    while isinstance(source, RunImages | SubsetSource):
        source = source.source
    return [source.root] if isinstance(source, FileSource) else []


def _refuse_inside(folder: Path, parents: set[Path]) -> None:
    """Refuse a folder among the images: the next training would find every image twice."""
    above = {parent.resolve() for parent in (folder, *folder.parents)}
    for parent in parents:
        if parent.resolve() in above:
            raise ValueError(
                f"sort_into={folder} lies in {parent}, among the images themselves; expected a "
                "folder outside"
            )
