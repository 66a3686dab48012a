"""JSON files that are whole and that every reader accepts."""

import json
import math
from pathlib import Path
from typing import Any

from odc_lightning.utils.whole_files import whole_file


def write_json(path: Path | str, value: Any) -> None:
    """Write the whole file or none of it, with null for NaN and infinity.

    Args:
        path: of the file; one that is there is replaced once the new one is complete.
        value: of dicts, lists, tuples, strings, numbers, booleans and None.
    """
    text = json.dumps(_without_nan(value), indent=2, allow_nan=False)
    with whole_file(Path(path)) as unfinished:
        unfinished.write_text(f"{text}\n", encoding="utf-8")


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN, and many readers refuse a file that has one."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
