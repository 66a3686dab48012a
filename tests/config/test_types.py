"""Settings of another type than their argument are refused by name, before anything is built."""

from pathlib import Path
from typing import Any, Literal

import pytest

from conftest import Compose
from odc_lightning.config.prepare import prepare
from odc_lightning.config.types import accepts, described


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [1, -1], [None, True, 1.5, "a", [1]]),
        (float | None, [1, 0.5, None], [True, "a"]),
        (bool, [True], [1, None]),
        (str | Path, ["a"], [None, 1]),
        (Literal["cpu", "gpu"], ["cpu"], ["tpu", None]),
        (tuple[float, float], [[0.6, 1]], [0.6, None]),
        (list[int], [[], [1]], [["a"], 1]),
        (dict[str, int], [{"a": 1}], ["a"]),
        (int, [{"_target_": "torch.nn.ReLU"}], [{}]),
        (object, [1, None], []),
    ],
)
def test_types(hint: Any, good: list[Any], bad: list[Any]) -> None:
    assert all(accepts(hint, value) for value in good)
    assert not any(accepts(hint, value) for value in bad)


def test_a_type_in_words() -> None:
    assert described(str | Path | None) == "a text or a path or null"
    assert described(Literal["cpu", "gpu"]) == "cpu or gpu"
    assert described(list[int]) == "a list"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optimizer.momentum=null", "optimizer.momentum=null; expected a number"),
        ("data.num_views=abc", "data.num_views=abc; expected an integer"),
        ("data.exclude=-1", "data.exclude=-1; expected"),
        ("data.crop=abc", "data.crop=abc; expected a list"),
        ("callbacks.checkpoint.save_top_k=abc", "save_top_k=abc; expected an integer"),
        ("algorithm.balanced_clusters.temperature=null", "temperature=null; expected a number"),
    ],
)
def test_a_wrong_type_is_refused_by_name(
    setting: str, message: str, compose_config: Compose
) -> None:
    """Also while other settings are null, to be chosen automatically."""
    config = compose_config("experiment=odc_small", "data=digits", "model.backbone=null", setting)
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        prepare(config)
