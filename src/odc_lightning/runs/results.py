"""``results.json``: the scores of an evaluation, readable by later tables and figures."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.runs.summary import package_versions
from odc_lightning.utils.json_file import read_json, write_json
from odc_lightning.utils.seals import check_seal, sealing

KEYS = ("name", "checkpoint", "backbone", "data", "scores", "skipped", "published")


def write_results(path: Path | str, evaluation: Evaluation, **facts: Any) -> None:
    """Write the evaluation as JSON: the whole file or none of it, with null for NaN.

    Args:
        path: the ``results.json`` to write.
        evaluation: of one network.
        facts: further entries of plain dicts, lists, strings and numbers, such as ``seconds`` and
            ``settings``. ``versions`` are those of the packages unless given.

    Raises:
        ValueError: a fact has the name of a field of the evaluation.
    """
    taken = sorted(set(facts) & set(KEYS))
    if taken:
        raise ValueError(
            f"Got the facts {sorted(facts)}, but {taken} are written from the evaluation itself; "
            "give them other names"
        )
    with sealing(Path(path)):
        write_json(path, {**asdict(evaluation), "versions": package_versions(), **facts})


def read_results(path: Path | str) -> Evaluation:
    """Read what `write_results` wrote; a null value becomes NaN, and facts are left out.

    Raises:
        ValueError: the file is not the result of an evaluation, or changed after it was written.
    """
    check_seal(Path(path))
    try:
        content = read_json(path)
        missing = [key for key in KEYS if key not in content]
        if missing:
            raise ValueError(f"it has no {', '.join(missing)}")
        texts = [content[key] for key in ("name", "checkpoint", "backbone", "data")]
        texts += [*content["skipped"].keys(), *content["skipped"].values()]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"it has numbers where texts belong: {texts}")
        scores = [_score(**score) for score in content["scores"]]
        return Evaluation(**{**{key: content[key] for key in KEYS}, "scores": scores})
    # Not JSON, not an object, or one with other keys.
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not the result of an evaluation: {error}; expected a results.json with "
            f"{', '.join(KEYS)}, as evaluations write it to their folder"
        ) from error


def _score(value: float | None, **others: Any) -> Score:
    numbers = (value, others.get("spread"))
    texts = [each for key, each in others.items() if key != "spread"]
    if not all(isinstance(each, int | float | None) for each in numbers) or not all(
        isinstance(each, str) for each in texts
    ):
        raise ValueError(f"a score has the value {value!r} and {others}")
    return Score(value=math.nan if value is None else value, **others)
