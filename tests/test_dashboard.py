"""The dashboard beside its stored definition, and beside what is logged."""

import json
import re

import pytest
import wandb
from omegaconf import OmegaConf

from conftest import Compose
from helpers.paths import ROOT, TESTS
from odc_lightning import dashboard
from odc_lightning.callbacks.monitors import cluster_media
from odc_lightning.runs.wandb_run import BEST

GOLDEN = TESTS / "helpers" / "dashboard.json"
METRICS = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
DESCRIBED = set(re.findall(r"^\| `([a-z]+/\w+)` \|", METRICS, re.MULTILINE))


def test_the_stored_definition(capsys: pytest.CaptureFixture[str]) -> None:
    """After a change that is meant: ``python -m odc_lightning.dashboard --print`` makes it."""
    dashboard.main(["--print"])
    assert json.loads(capsys.readouterr().out) == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_sections() -> None:
    config = dashboard.definition(dashboard.build("me"))["section"]["panelBankConfig"]
    names = [section["name"] for section in config["sections"]]
    assert names == ["Stability", "Balance", "Quality", "Clusters", "Sweeps"]
    kinds = {panel["viewType"] for panel in config["sections"][-1]["panels"]}
    assert kinds == {"Parallel Coordinates Plot", "Parameter Importance"}


def test_every_metric_is_one_that_is_logged() -> None:
    """That is, one of the documentation, which other tests compare with runs."""
    assert dashboard.metrics() <= DESCRIBED
    assert set(BEST) <= DESCRIBED
    text = GOLDEN.read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:train|eval|odc|clusters)/\w+", text))
    assert named == {*dashboard.metrics(), cluster_media.SHEET, cluster_media.GALLERY}


def test_every_setting_is_one_of_the_configs(compose_config: Compose) -> None:
    config = compose_config()
    assert all(OmegaConf.select(config, key) is not None for key in dashboard.SWEPT)
    assert compose_config("logger=wandb").logger.wandb.project == dashboard.PROJECT


def test_what_saving_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_key() -> None:
        raise wandb.errors.UsageError("No API key configured. Use `wandb login` to log in.")

    with pytest.raises(SystemExit, match="add --entity NAME"):
        dashboard.main([])
    monkeypatch.setattr(wandb, "Api", no_key)
    with pytest.raises(SystemExit, match=r"No API key configured.*or set WANDB_API_KEY"):
        dashboard.main(["--entity", "me"])
    monkeypatch.setattr(dashboard, "ws", None)
    with pytest.raises(SystemExit, match=r"odc-lightning\[dashboard\]"):
        dashboard.main(["--print"])
