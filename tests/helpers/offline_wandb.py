"""What a W&B run wrote offline, read back from its file."""

import json
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

HEADER = 7  # bytes of the file, and of each chunk in it
BLOCK = 32768
FULL, FIRST, _, LAST = 1, 2, 3, 4


@dataclass
class OfflineRun:
    """One part of a run, which is one process of it.

    Attributes:
        history: a dict for each row that was logged.
        files: names of the files in each artifact.
        summaries: for each defined metric what its summary keeps.
    """

    run: Any
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, list[str]] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def names(self) -> set[str]:
        """Of all metrics, without W&B's own."""
        return {name for row in self.history for name in row if not name.startswith("_")}


def read_run(folder: Path) -> OfflineRun:
    """The run in an ``offline-run-*`` folder; W&B's own process may still be at its end."""
    (file,) = folder.glob("*.wandb")
    deadline = time.monotonic() + 60
    while True:
        run = _run_of(records(file))
        if run.exit_code is not None or time.monotonic() > deadline:
            return run
        time.sleep(0.1)


def records(file: Path) -> Iterator[Any]:
    """W&B's records in a file, which is a log as LevelDB has it.

    Blocks of 32 kB hold chunks, each with a checksum, a length and a kind; a record is one chunk
    or, where it crosses blocks, a first one, some and a last one.
    """
    content = file.read_bytes()
    assert content[:4] == b":W&B"
    place, parts = HEADER, b""
    while place + HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts = (b"" if kind in (FULL, FIRST) else parts) + content[place + HEADER :][:length]
        place += HEADER + length
        if kind in (FULL, LAST) and place <= len(content):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record


def _run_of(found: Iterator[Any]) -> OfflineRun:
    read = OfflineRun(None)
    for record in found:
        kind = record.WhichOneof("record_type")
        if kind == "run":
            read.run = record.run
        elif kind == "config":
            read.config.update(_values(record.config.update))
        elif kind == "history":
            read.history.append(_values(record.history.item))
        elif kind == "summary":
            read.summary.update(_values(record.summary.update))
        elif kind == "artifact":
            contents = record.artifact.manifest.contents
            read.artifacts[record.artifact.name] = [entry.path for entry in contents]
        elif kind == "exit":
            read.exit_code = record.exit.exit_code
    return read


def _values(items: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for item in items:
        *parents, name = item.nested_key or [item.key]
        node = values
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = json.loads(item.value_json)
    return values
