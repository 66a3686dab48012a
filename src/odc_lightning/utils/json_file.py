"""JSON files that are always complete and that every reader accepts; and their reader."""

import json
import math
from pathlib import Path
from typing import Any

from odc_lightning.utils.text import first_line
from odc_lightning.utils.whole_files import whole_file

# Files of this package have a few KiB, with the settings of an evaluation.
MAX_BYTES = 2**24


def write_json(path: Path | str, value: Any) -> None:
    """Write the whole file or none of it, with null for NaN and infinity.

    Args:
        path: the file; an existing one is replaced once the new one is complete.
        value: dicts, lists, tuples, strings, numbers, booleans and None, nested at will.
    """
    text = json.dumps(_without_nan(value), indent=2, allow_nan=False)
    with whole_file(Path(path)) as unfinished:
        unfinished.write_text(f"{text}\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: the file is too large, nested too deeply, or not JSON in UTF-8.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES // 2**20} MiB")
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {first_line(error)}") from error


def _without_nan(value: Any) -> Any:
    """The value with None for NaN and infinity, which JSON lacks and many readers refuse."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
