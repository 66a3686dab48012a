"""The entry point of commands with a config; lines and messages are in tests/cases."""

import types
from typing import Any

import pytest
from hydra._internal import utils

from helpers.odc_lines import run_line
from odc_lightning.cli import hydra_command

WRONG = ("experiment=quickstart", "optimizer.nothing=1", "--cfg", "job")


def test_hydra_raises_its_errors_only_while_a_command_runs() -> None:
    before = utils.run_and_report
    error = run_line("train", *WRONG).error
    assert error.startswith("the config of train has no optimizer.nothing")
    assert utils.run_and_report is before


@pytest.mark.parametrize("has_module", [False, True])
def test_another_version_of_hydra_prints_its_errors_itself(
    has_module: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the private function were gone, or its whole module."""

    def imported(name: str) -> Any:
        if not has_module:
            raise ImportError(name)
        return types.ModuleType(name)

    monkeypatch.setattr(hydra_command, "import_module", imported)
    ended = run_line("train", *WRONG)
    assert ended.code == 1
    assert ended.err.startswith("Could not override 'optimizer.nothing'.\n")


def test_a_bug_keeps_its_traceback_and_full_errors_can_be_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert "Traceback" in run_line("train", *WRONG).err
    monkeypatch.delenv("HYDRA_FULL_ERROR")
    monkeypatch.setattr(hydra_command, "in_one_line", lambda *_: None)  # as for an unknown error
    assert "ConfigCompositionException" in run_line("train", *WRONG).err
