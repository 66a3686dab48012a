"""The configs hold the values of the paper, and of the code that is followed where it is silent.

`helpers.paper_values` and `helpers.code_values` are the table.
"""

import inspect
from collections.abc import Iterable
from typing import Any

import pytest
from hydra.utils import get_class
from omegaconf import DictConfig

from helpers.as_built import composed, lookup, plain
from helpers.code_values import DIFFERENT, SILENT, Different
from helpers.paper_values import EVALUATION, STUDY, TRAINING, Row


def cases(*tables: Iterable[Row]) -> list[Any]:
    return [
        pytest.param(source, option, path, value, id=f"{option.partition('=')[2]}-{path}")
        for table in tables
        for source, options, values in table
        for option in options
        for path, value in values.items()
    ]


@pytest.mark.parametrize(
    ("source", "option", "path", "value"), cases(TRAINING, EVALUATION, STUDY, SILENT)
)
def test_value(source: str, option: str, path: str, value: Any) -> None:
    found, expected = lookup(option, path), plain(value)
    assert (found, type(found) is bool) == (expected, type(expected) is bool), source


@pytest.mark.parametrize("row", DIFFERENT, ids=lambda row: f"{row.option}-{row.path}")
def test_deliberate_difference(row: Different) -> None:
    assert row.theirs != row.ours
    assert lookup(row.option, row.path) == row.ours, row.source


def test_augmentation_is_the_same_for_odc_and_dc() -> None:
    """Sec. 4.1: DC adopts the same data augmentations as ODC."""
    odc, dc = (composed(f"experiment={name}_resnet50") for name in ("odc", "dc"))
    assert odc.data.train_transform == dc.data.train_transform


@pytest.mark.parametrize(
    ("option", "group", "number"),
    [
        ("algorithm=odc", "algorithm", 12),
        ("algorithm=odc", "model", 5),
        ("algorithm=deepcluster", "algorithm", 6),
        ("protocol=svm", "protocol", 4),
        ("protocol=low_shot", "protocol", 6),
    ],
)
def test_defaults_of_the_classes_are_those_of_the_config(
    option: str, group: str, number: int
) -> None:
    """Callbacks, necks and protocols that are built in Python get the same values."""
    nodes = [node for node in composed(option)[group].values() if isinstance(node, DictConfig)]
    compared = 0
    for node in (node for node in nodes if "_target_" in node):
        parameters = inspect.signature(get_class(node._target_)).parameters
        for name in parameters.keys() & node.keys() - {"seed", "scratch_dir"}:
            if parameters[name].default is not inspect.Parameter.empty:
                assert plain(parameters[name].default) == plain(node[name]), f"{option}: {name}"
                compared += 1
    assert compared == number
