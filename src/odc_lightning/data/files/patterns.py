"""Patterns of names that are passed over, as in `data.exclude`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from pathlib import Path

HIDDEN = (".*",)


class Patterns:
    """Patterns of files and folders, in the simpler part of the rules of a .gitignore.

    - ``*``, ``?`` and ``[abc]`` stand for characters of a name. Case does not matter.
    - A pattern is compared with a name, or with the last names of a path if it has several:
      ``2019/drafts`` is every file or folder ``drafts`` in a folder ``2019``.
    - ``drafts/`` is a folder, not a file; ``/drafts`` lies directly in the root.

    Raises:
        ValueError: it is not a list of patterns.
    """

    def __init__(self, patterns: Sequence[object] | None, root: Path) -> None:
        if isinstance(patterns, str) or not all(str(each).strip("/* ") for each in patterns or ()):
            raise ValueError(
                f"data.exclude={patterns}; expected a list of names or patterns, such as "
                "[drafts/,'*_small.jpg']"
            )
        every = [_Pattern(str(each), root) for each in patterns or ()]
        self._of_folders = every
        self._of_files = [pattern for pattern in every if not pattern.folders_only]

    def of_folder(self, parents: Sequence[str], name: str) -> str | None:
        """The first pattern that a folder matches, or None.

        Args:
            parents: names of the folders above it, from the root of the file system.
            name: of the folder.
        """
        return _first(self._of_folders, parents, name)

    def of_file(self, parents: Sequence[str], name: str) -> str | None:
        """The first pattern that a file matches, or None."""
        return _first(self._of_files, parents, name)


class _Pattern:
    def __init__(self, text: str, root: Path) -> None:
        self.text = text
        self.folders_only = text.endswith("/")
        names = text.removeprefix("**/").removesuffix("/**").strip("/").split("/")
        self.parts = [re.compile(translate(name), re.IGNORECASE) for name in names]
        # Of a pattern that starts at the root, the number of names from the file system's root.
        self.depth = len(root.absolute().parts) + len(names) if text.startswith("/") else None

    def matches(self, parents: Sequence[str], name: str) -> bool:
        if self.depth is not None and len(parents) + 1 != self.depth:
            return False
        if not self.parts[-1].match(name):
            return False
        count = len(self.parts) - 1
        above = parents[-count:] if count else ()
        return len(above) == count and all(
            part.match(each) for part, each in zip(self.parts, above, strict=False)
        )


def _first(patterns: Iterable[_Pattern], parents: Sequence[str], name: str) -> str | None:
    return next((each.text for each in patterns if each.matches(parents, name)), None)
