"""Paths that users write with ``~``."""

import os
from pathlib import Path


def expanded(path: Path | str) -> Path:
    """The path with the home folder for a leading ``~``.

    Unlike `Path.expanduser`, it keeps the name of a user that does not exist, because it may be a
    file's name, such as ``~backup``.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111
