"""Files and folders that are written under another name first, so that they are always complete.

Checkpoints have a writer of their own, which also keeps the previous one:
`odc_lightning.checkpoints.durable`.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the same folder, and rename it to the file after the body.

    If the body raises, nothing is left behind and an existing file is not changed.

    Args:
        path: the file; its folder must exist.
        sync: wait until the file is on disk, so that it survives a power failure.
    """
    # Two processes may write the same file.
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield unfinished
        if sync:
            sync_file(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """Like `whole_file`, for a folder: the body fills an empty one.

    Args:
        folder: the folder; its parent must exist.
        replace: delete an existing folder first. Otherwise the folder must not exist.
    """
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)  # mkdtemp creates a private folder
        if replace and folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def sync_file(path: Path) -> None:
    """Wait until the file is on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
