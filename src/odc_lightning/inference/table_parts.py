"""A long table on disk, written in parts, so that it can resume after the last complete part."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import Timeout
from torch import Tensor

from odc_lightning.utils.folder_lock import lock_folder
from odc_lightning.utils.seals import is_intact, seal
from odc_lightning.utils.whole_files import sync_file, whole_file

UNFINISHED = "unfinished"
FACTS = "facts.json"

# Writes one final file to a path, from all parts in their order.
Writer = Callable[[Path, "Parts"], None]


class Parts:
    """The rows of N images in parts of equal size, except the last.

    Work in progress is in ``folder/unfinished``. At the end the final files are moved up,
    ``folder/facts.json`` last: a folder with that file is complete.

    Attributes:
        finished: whether the table is complete.
        num_rows: N.
        size: rows per part.
    """

    def __init__(
        self, folder: Path, facts: Mapping[str, Any], num_rows: int, size: int, option: str = "out"
    ) -> None:
        """Find the finished parts, or start a new table.

        Args:
            folder: the output folder.
            facts: plain values that the table depends on; a table with other facts is not resumed.
            num_rows, size: see above.
            option: the config key of the folder, for messages.

        Raises:
            ValueError: the folder holds something else, cannot be written, or another command is
                writing to it.
        """
        self.folder = folder
        self.num_rows = num_rows
        self.size = size
        self._work = folder / UNFINISHED
        text = json.dumps({**facts, "rows": num_rows, "part_size": size}, indent=2, sort_keys=True)
        self._text = f"{text}\n"
        self.finished = (folder / FACTS).is_file()
        try:
            former = _text_of(folder / FACTS) or _text_of(self._work / FACTS)
            is_used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
            if former is None and is_used:
                raise ValueError(
                    f"{option}={folder} exists and holds something else; choose another folder"
                )
            if former is not None and former != self._text:
                raise ValueError(
                    f"{folder} holds a result that differs in {_differences(former, self._text)}; "
                    f"choose another folder with {option}=..., or delete that one"
                )
            if self.finished:
                shutil.rmtree(self._work, ignore_errors=True)
                return
            self._work.mkdir(parents=True, exist_ok=True)
            # Held as long as this object: two commands would delete each other's parts.
            self._lock = lock_folder(self._work)
            if not (self._work / FACTS).is_file():
                with whole_file(self._work / FACTS, sync=True) as unfinished:
                    unfinished.write_bytes(self._text.encode())
        except Timeout:
            raise ValueError(
                f"another command is writing to {folder}; wait until it ends, or choose another "
                f"folder with {option}=..."
            ) from None
        except OSError as error:
            raise ValueError(
                f"cannot write to {folder} ({error.strerror}); choose another folder with "
                f"{option}=..."
            ) from error

    def __len__(self) -> int:
        """The number of parts of the complete table."""
        return -(-self.num_rows // self.size)

    @property
    def done(self) -> int:
        """The number of complete parts, counted from the first."""
        return next((n for n in range(len(self)) if not self._path(n).is_file()), len(self))

    @property
    def missing(self) -> range:
        """The rows that are still missing."""
        return range(min(self.done * self.size, self.num_rows), self.num_rows)

    def write(self, number: int, table: pa.Table) -> None:
        """Write a part, durably: once this returns, a crash does not lose it.

        Raises:
            ValueError: the part has the wrong number of rows.
        """
        expected = min(self.size, self.num_rows - number * self.size)
        if len(table) != expected:
            raise ValueError(f"part {number} has {len(table)} rows, expected {expected}")
        with whole_file(self._path(number), sync=True) as unfinished:
            pq.write_table(table, unfinished)
        seal(self._path(number))

    def __iter__(self) -> Iterator[pa.Table]:
        """The parts in their order, one in memory at a time.

        Raises:
            ValueError: a part is damaged; it is deleted, so that the same command makes it again.
        """
        return (self._read(number) for number in range(len(self)))

    def _read(self, number: int) -> pa.Table:
        path = self._path(number)
        try:
            if is_intact(path) is not False:
                return pq.read_table(path)
        except (OSError, pa.ArrowInvalid):  # without a seal: a part of an earlier version
            pass
        path.unlink(missing_ok=True)
        raise ValueError(
            f"{path} was damaged and has been deleted; run the same command again to make it, and "
            "the parts after it, anew"
        )

    def finish(self, writers: Mapping[str, Writer]) -> None:
        """Write the final files from all parts, then delete the parts.

        Args:
            writers: name of a final file -> function that writes it.
        """
        for name, write in writers.items():
            write(self._work / name, self)
            sync_file(self._work / name)
        for name in writers:
            (self._work / name).replace(self.folder / name)
        (self._work / FACTS).replace(self.folder / FACTS)
        self.finished = True
        shutil.rmtree(self._work)

    def _path(self, number: int) -> Path:
        return self._work / f"{number:06d}.parquet"


def collect(batches: Iterable[Tensor], size: int) -> Iterator[list[Tensor]]:
    """Group batches so that each group has ``size`` rows; the last group may have fewer.

    Args:
        batches: no batch may extend past the end of a group.
        size: rows per group.
    """
    group: list[Tensor] = []
    rows = 0
    for batch in batches:
        group.append(batch)
        rows += len(batch)
        if rows >= size:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _differences(before: str, now: str) -> str:
    """The keys whose values differ."""
    try:
        old, new = dict(json.loads(before)), dict(json.loads(now))
    except (ValueError, TypeError, RecursionError):
        return f"its {FACTS}, which is damaged"
    keys = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    return " and ".join(keys)


def _text_of(path: Path) -> str | None:
    return path.read_text("utf-8", errors="replace") if path.is_file() else None
