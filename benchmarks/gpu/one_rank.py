"""One rank that takes every path of several, so that one GPU runs all collectives."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

PACKAGE = "odc_lightning"


class SeveralAlone(int):
    """The number 1, which compares as a larger one: `world` then skips no collective."""

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    def __gt__(self, other: int) -> bool:
        return int(self) >= other

    __hash__ = int.__hash__


@contextmanager
def all_collectives() -> Iterator[None]:
    """Within it the package's `world` is that of a rank that others seem to wait for."""
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith(PACKAGE) and hasattr(module, "world")
    ]
    patches = [patch.object(module, "world", lambda: (0, SeveralAlone(1))) for module in modules]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
