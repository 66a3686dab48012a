"""The axes of the parallel coordinates: the settings that differ, then the scores."""

from collections.abc import Sequence
from typing import Any

from odc_lightning.reporting.report_page.measures import Measure, Values
from odc_lightning.reporting.report_page.settings import Difference, short_keys, value_text

MAX_SETTINGS, MAX_SCORES = 7, 5
MAX_CATEGORIES = 12
# What depends on the machine more than on the settings.
NO_SCORES = ("images_per_second", "wall_seconds")


def axes(
    found: Sequence[Difference], measures: Sequence[Measure], values: Sequence[Values]
) -> list[dict[str, Any]]:
    """One entry per axis, with a value per run; empty if there is nothing to compare.

    Args:
        found: settings in which R runs differ.
        measures: columns of scores.
        values: of R runs.
    """
    settings = [each for each in found if each.is_choice and not each.is_seed and _fits(each)]
    settings = sorted(settings, key=_rank)[:MAX_SETTINGS]
    names = short_keys([each.key for each in settings])
    scores = [each for each in measures if each.key not in NO_SCORES][:MAX_SCORES]
    if not settings or not scores or len(values) < 2:
        return []
    return [_setting(name, each) for name, each in zip(names, settings, strict=True)] + [
        {
            "title": measure.title,
            "score": True,
            "values": [
                None if measure.key not in run else round(run[measure.key] * measure.scale, 6)
                for run in values
            ],
        }
        for measure in scores
    ]


def _rank(difference: Difference) -> int:
    """Order in which settings are shown if there are too many: the name, numbers, words."""
    return 0 if "name" in difference.keys else 1 if _are_numbers(difference.values) else 2


def _fits(difference: Difference) -> bool:
    return (
        _are_numbers(difference.values)
        or len({repr(value) for value in difference.values}) <= MAX_CATEGORIES
    )


def _are_numbers(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in known
    )


def _setting(name: str, difference: Difference) -> dict[str, Any]:
    if _are_numbers(difference.values):
        return {"title": name, "score": False, "values": list(difference.values)}
    texts = [value_text(value) for value in difference.values]
    order = sorted(set(texts), key=texts.index)
    return {"title": name, "score": False, "names": order, "values": list(map(order.index, texts))}
