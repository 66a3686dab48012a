"""Paths that users write with ``~``."""

import os
from pathlib import Path


def expanded(path: Path | str | int) -> Path:
    """The path with the home folder for a leading ``~``.

    Unlike `Path.expanduser`, it keeps the name of a user that does not exist, because it may be a
    file's name, such as ``~backup``.

    Args:
        path: as a config has it; an integer is a name such as ``2024``.

    Raises:
        ValueError: the value is of another type.
    """
    if isinstance(path, bool) or not isinstance(path, Path | str | int):
        raise ValueError(f"{path} is not a path; expected the name of a file or a folder")
    return Path(os.path.expanduser(str(path)))  # noqa: PTH111
