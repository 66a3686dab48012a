"""A long table on disk, a part at a time: what is interrupted goes on after the last whole part."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from odc_lightning.utils.whole_files import sync_file, whole_file

UNFINISHED = "unfinished"
FACTS = "facts.json"

# Writes one of the final files into a folder, from all parts in their order.
Writer = Callable[[Path, "Parts"], None]


class Parts:
    """The rows of N images in parts of equal size, but for the last.

    While it is worked on, everything is in ``folder/unfinished``; at the end the final files are
    moved up, and ``folder/facts.json`` last: where that is, all is whole.

    Attributes:
        finished: whether there is nothing left to do.
        num_rows: N.
        size: rows of a part.
    """

    def __init__(
        self, folder: Path, facts: Mapping[str, Any], num_rows: int, size: int, option: str = "out"
    ) -> None:
        """Find what is done already, or begin.

        Args:
            folder: of the result.
            facts: what it depends on, plain values; other facts are another result.
            num_rows, size: see above.
            option: what the user calls the folder, for messages.

        Raises:
            ValueError: something else is in the folder, or it cannot be written.
        """
        self.folder = folder
        self.num_rows = num_rows
        self.size = size
        self._work = folder / UNFINISHED
        text = json.dumps({**facts, "rows": num_rows, "part_size": size}, indent=2, sort_keys=True)
        self._text = f"{text}\n"
        self.finished = (folder / FACTS).is_file()
        try:
            begun = _text_of(folder / FACTS) or _text_of(self._work / FACTS)
            if begun is None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise ValueError(
                    f"{option}={folder} is there and holds something else; choose another folder"
                )
            if begun is not None and begun != self._text:
                raise ValueError(
                    f"{folder} holds the result for {_differences(begun, self._text)}; choose "
                    f"another folder with {option}=..., or delete that one"
                )
            if self.finished:
                shutil.rmtree(self._work, ignore_errors=True)
            elif begun is None:
                self._work.mkdir(parents=True)
                with whole_file(self._work / FACTS, sync=True) as unfinished:
                    unfinished.write_bytes(self._text.encode())
        except OSError as error:
            raise ValueError(
                f"nothing can be written to {folder} ({error.strerror}); choose another folder "
                f"with {option}=..."
            ) from error

    def __len__(self) -> int:
        """How many parts there are in the end."""
        return -(-self.num_rows // self.size)

    @property
    def done(self) -> int:
        """How many parts are whole, from the first on."""
        return next((n for n in range(len(self)) if not self._path(n).is_file()), len(self))

    @property
    def missing(self) -> range:
        """The rows that are still to be made."""
        return range(min(self.done * self.size, self.num_rows), self.num_rows)

    def write(self, number: int, table: pa.Table) -> None:
        """Keep a part; from then on it is there, whatever happens."""
        expected = min(self.size, self.num_rows - number * self.size)
        if len(table) != expected:
            raise ValueError(f"part {number} has {len(table)} rows, expected {expected}")
        with whole_file(self._path(number), sync=True) as unfinished:
            pq.write_table(table, unfinished)

    def __iter__(self) -> Iterator[pa.Table]:
        """The parts in their order, one in memory at a time."""
        return (pq.read_table(self._path(number)) for number in range(len(self)))

    def finish(self, writers: Mapping[str, Writer]) -> None:
        """Put the parts together and clear them away.

        Args:
            writers: name of a final file -> what writes it.
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
    """Batches in groups that have ``size`` rows together, but for the last group.

    Args:
        batches: no batch may reach over the end of a group.
        size: rows of a group.
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
    old, new = json.loads(before), json.loads(now)
    keys = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    return f"other {' and '.join(keys)}"


def _text_of(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None
