"""The study from images to scores, with tiny networks, in this process."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from scripts.adapt.label_scores import SCORES
from scripts.adapt.results import read_scores
from scripts.adapt.runs import FROZEN, RECIPE, Budget, Run
from scripts.adapt.study import Study
from scripts.adapt.table import main as print_tables
from sklearn.metrics import adjusted_mutual_info_score

from conftest import compose_command
from odc_lightning import load
from odc_lightning.data import digits
from odc_lightning.data.held_back import held_back_rows
from odc_lightning.metrics.adaptation import adaptation_measures, neighbours_of
from odc_lightning.models import POOLED, ConvNet
from odc_lightning.train import train
from scripts.adapt import scores, study

NUM_IMAGES = 104


@pytest.fixture
def digits_in_folders(tmp_path: Path) -> Path:
    """26 images of four digits each."""
    source = digits("train")
    assert source.labels is not None
    for label in range(4):
        folder = tmp_path / "images" / "digits" / str(label)
        folder.mkdir(parents=True)
        for index in np.flatnonzero(source.labels == label)[:26].tolist():
            source.load(index).resize((16, 16)).save(folder / f"{index:04}.png")
    return tmp_path / "images"


class InProcess:
    """Executes commands here, and remembers them."""

    def __init__(self) -> None:
        self.done: list[tuple[str, int]] = []

    def __call__(self, words: Sequence[str], log: Path, threads: int) -> None:
        name, *given = words
        self.done.append((name, threads))
        if name == "scripts.adapt.scores":
            scores.main(given)
            return
        (place,) = (each.partition("=")[2] for each in given if each.startswith("hydra.run.dir="))
        config = compose_command("train", *given)
        config.run_dir = place.strip("'")
        train(config)


def test_runs_are_trained_scored_and_tabulated(
    digits_in_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    torch.save(ConvNet(width=4).state_dict(), tmp_path / "start.pt")
    settings = {
        "model": "convnet",
        "model.backbone.width": 4,
        "model.pretrained": str(tmp_path / "start.pt"),
        "data.image_size": 16,
        "data.num_workers": 0,
    }
    # Few views of a network with random weights find their image.
    untrained = {"trainer.max_epochs": 1, "callbacks.keep_best.min_view_retrieval": 0}
    execute = InProcess()
    ours = Study(tmp_path / "s", digits_in_folders, settings, untrained, execute)
    frozen = Run("digits", FROZEN, None, 0)
    recipe, rival = Run("digits", RECIPE, None, 1), Run("digits", "simclr", 0.001, 1)
    for run in (frozen, recipe, rival, recipe):
        ours.finish(run)
    assert len(execute.done) == 6  # the second time, nothing is done
    assert Budget.of(ours.place(frozen)) == Budget(NUM_IMAGES, 16, 2, 1, 20, 0.1)
    found = read_scores(tmp_path / "s" / "runs")
    assert set(found) == {frozen, recipe, rival}
    assert set(found[recipe]["states"]) == {"kept", "last"}

    # Each number again, from the parts of the package.
    start = load(ours.place(frozen) / "start", device="cpu")
    last = load(ours.place(recipe) / "checkpoints" / "last.ckpt", device="cpu")
    files = sorted(digits_in_folders.glob("digits/*/*"))
    before, after = (model.embed(files, POOLED) for model in (start, last))
    labels = np.repeat(range(4), 26)
    assert last.labels is not None
    of_last = found[recipe]["states"]["last"]
    assert of_last["own_ami"] == pytest.approx(adjusted_mutual_info_score(labels, last.labels))
    rows = torch.from_numpy(held_back_rows(NUM_IMAGES, 0.1, seed=1))
    expected = adaptation_measures(
        after, torch.randn(len(rows), 4, 32), rows, neighbours_of(before, rows)
    )
    for name in ("neighbours_kept", "effective_rank"):  # those that need no views
        assert of_last["guard"][name] == pytest.approx(expected[name]), name
        assert found[recipe]["guard_start"][name] != of_last["guard"][name], name
    of_rival = found[rival]
    names = load(ours.place(rival), device="cpu").run.image_names()
    assert names is not None
    assert of_rival["num_held_back"] == NUM_IMAGES - len(names) == len(rows) == 20
    assert of_rival["states"]["last"]["own_ami"] is None
    assert found[frozen]["guard_start"] == found[frozen]["states"]["start"]["guard"]

    print_tables([str(tmp_path / "s")])
    assert "| the recipe | own | " in capsys.readouterr().out


def test_rivals_train_other_seeds_with_their_best_learning_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = {"odc": 0.0003, "dc": 0.001, "dcv2": 0.003, "simclr": 0.001, "swav": 0.0003}
    trained: list[tuple[Run, int]] = []

    def fake(words: Sequence[str], log: Path, threads: int) -> None:
        if words[0] != "scripts.adapt.scores":
            return
        run = Run.at(Path(words[1]))
        trained.append((run, threads))
        value = 0.9 if best.get(run.method) == run.rate else 0.5
        name = "start" if run.method == FROZEN else "last"
        content = {"states": {name: {"scores": dict.fromkeys(SCORES, value)}}}
        Path(words[1]).mkdir()
        (Path(words[1]) / scores.FILE).write_text(json.dumps(content))

    budget = Budget(542, 16, 2, 6, 47, 0.1)
    monkeypatch.setattr(study, "execute", fake)
    monkeypatch.setattr(Budget, "of", lambda frozen: budget)
    (tmp_path / "food").mkdir()
    words = ["--images", str(tmp_path), "--weights", "timm:x", "--data", "food"]
    study.main([str(tmp_path / "s"), *words])
    runs = [run for run, _ in trained]
    assert len(runs) == len(set(runs)) == 1 + 3 + 5 * 3 + 5 * 2
    assert runs[0].method == FROZEN
    later = {(run.method, run.rate, run.seed) for run in runs[19:]}
    assert later == {(method, rate, seed) for method, rate in best.items() for seed in (1, 2)}
    assert {threads for _, threads in trained} == {1}
    study.main([str(tmp_path / "s"), *words])
    assert len(trained) == 29  # nothing is repeated


def test_images_that_are_missing_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--images", str(tmp_path), "--weights", "timm:x", "--data", "food"]
    with pytest.raises(SystemExit):
        study.main([str(tmp_path / "s"), *words])
    assert "has no food; write them with" in " ".join(capsys.readouterr().err.split())


def test_a_failed_command_says_where_its_log_is(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no_such_module failed, see .*log: .*No module named"):
        study.execute(["no_such_module"], tmp_path / "log", 1)
