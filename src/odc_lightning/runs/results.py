"""``results.json``: what an evaluation measured, to be read again beside later ones."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.runs.summary import package_versions
from odc_lightning.utils.json_file import write_json

KEYS = ("name", "checkpoint", "backbone", "data", "scores", "skipped", "published")


def write_results(path: Path | str, evaluation: Evaluation, **facts: Any) -> None:
    """Write the evaluation as JSON: the whole file or none of it, with null for NaN.

    Args:
        path: of ``results.json``.
        evaluation: of one network.
        facts: what else the file should say, of plain dicts, lists, strings and numbers, such as
            ``seconds`` and ``settings``. ``versions`` are those of the packages unless given.

    Raises:
        ValueError: a fact has the name of a part of the evaluation.
    """
    taken = sorted(set(facts) & set(KEYS))
    if taken:
        raise ValueError(
            f"Got the facts {sorted(facts)}, but {taken} are written from the evaluation itself; "
            "give them other names"
        )
    write_json(path, {**asdict(evaluation), "versions": package_versions(), **facts})


def read_results(path: Path | str) -> Evaluation:
    """Read what `write_results` wrote; a null value becomes NaN, and facts are left out.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        missing = [key for key in KEYS if key not in found]
        if missing:
            raise ValueError(f"it has no {', '.join(missing)}")
        scores = [_score(**score) for score in found["scores"]]
        return Evaluation(**{**{key: found[key] for key in KEYS}, "scores": scores})
    except (ValueError, TypeError) as error:  # no JSON, no object, or one with other keys
        raise ValueError(
            f"{path} is not the result of an evaluation: {error}; expected a results.json with "
            f"{', '.join(KEYS)}, as an evaluation leaves it in its folder"
        ) from error


def _score(value: float | None, **others: Any) -> Score:
    return Score(value=math.nan if value is None else value, **others)
