"""A run ends with its best state by the guard, and trains as without the guard."""

import csv
import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from sklearn.metrics import normalized_mutual_info_score
from torch.nn.functional import normalize

import odc_lightning
from conftest import Compose
from helpers.equal_runs import assert_equal_runs, assert_same, checkpoint
from odc_lightning.callbacks import SamplesMemory
from odc_lightning.callbacks.lifecycle import keep_best
from odc_lightning.callbacks.lifecycle.keep_best import is_better
from odc_lightning.callbacks.odc import samples_memory
from odc_lightning.checkpoints import checkpoint_file, load_pretrained
from odc_lightning.clustering import kmeans
from odc_lightning.module import ODCModule
from odc_lightning.runs.closing_lines import closing_lines
from odc_lightning.runs.find import find_run
from odc_lightning.runs.summary import Summary
from odc_lightning.train import train

N = 260
SETTINGS = (
    *("experiment=odc_small", "data=digits", f"data.subset={{num_images: {N}}}"),
    *("model.backbone.width=4", "data.batch_size=32", "algorithm.num_clusters=12"),
    *("optimizer.lr=0.03", "scheduler=constant", "trainer.max_epochs=3", "trainer.accelerator=cpu"),
    *("callbacks.label_scores.knn=false", "data.held_back=0.1", "callbacks.keep_best.min_gain=0"),
)

MADE_ANEW = ("neck.mean", "head.prototypes")  # by the final K-Means


class Spy(pl.Callback):
    """Copies of the states at the start and after each epoch; the images of all batches."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []
        self.images: set[int] = set()
        self.end: dict[str, Any] = {}
        self.held_back: set[int] = set()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.states.append(state_of(trainer, pl_module))
        self.held_back = set(trainer.datamodule.held_back_rows.tolist())  # type: ignore[attr-defined]

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.images.update(batch["index"].tolist())

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.states.append(state_of(trainer, pl_module))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.end = state_of(trainer, pl_module)


def state_of(trainer: pl.Trainer, module: pl.LightningModule) -> dict[str, Any]:
    parts = (module.state_dict(), SamplesMemory.of(trainer).memory.state_dict())
    return {
        name: {key: value.clone() for key, value in part.items()}
        for name, part in zip(("network", "clusters"), parts, strict=True)
    }


def written(run: Path, name: str = "best") -> dict[str, Any]:
    content = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
    (clusters,) = (s for s in content["callbacks"].values() if "centroids" in s)
    return {"network": dict(content["state_dict"]), "clusters": dict(clusters)}


def labels_written(run: Path) -> list[int]:
    with (run / "clusters.csv").open(newline="", encoding="utf-8") as file:
        return [int(row["cluster"]) for row in csv.DictReader(file)]


def with_criteria(patched: pytest.MonkeyPatch, *values: float) -> None:
    """Let the criterion of the start and of each epoch have these values."""
    rest = iter(values)
    patched.setattr(keep_best, "criterion", lambda measures: next(rest))


def run_of(config: Any, spy: Spy) -> Summary:
    summary = train(config, [spy])
    assert summary is not None
    return summary


def test_a_run_that_gets_worse_ends_with_its_start(compose_config: Compose, tmp_path: Path) -> None:
    spy, run = Spy(), tmp_path / "run"
    summary = run_of(compose_config(*SETTINGS, "optimizer.lr=20", "trainer.max_epochs=2"), spy)
    assert summary["kept_epoch"] == 0
    assert summary["kept_criterion"] == summary["start_criterion"]
    start, *_, trained = spy.states
    assert not torch.equal(start["clusters"]["features"], trained["clusters"]["features"])
    assert_same(spy.end, start, "end")
    assert_same(written(run), start, "best.ckpt")
    assert_same(written(run, "last"), trained, "last.ckpt")
    assert labels_written(run) == start["clusters"]["labels"].tolist()
    assert summary["nmi"] == summary["untrained"]["nmi"]
    text = closing_lines(summary, run)
    assert "No epoch was better than the start (criterion " in text
    assert ").\nThe run ends with the network that it started from." in text
    logged = json.loads((run / "summary.json").read_text())
    assert (logged["kept_epoch"], logged["kept_criterion"]) == (0, summary["kept_criterion"])


def test_a_run_ends_with_its_best_epoch_which_all_commands_read(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy, run = Spy(), tmp_path / "run"
    with_criteria(monkeypatch, 0.25, 0.3, 0.5, 0.5)
    summary = run_of(compose_config(*SETTINGS), spy)
    assert summary["kept_epoch"] == 2
    assert (summary["start_criterion"], summary["kept_criterion"]) == (0.25, 0.5)
    assert "kept                epoch 2, criterion 0.250 -> 0.500" in closing_lines(summary, run)
    best = spy.states[2]
    assert_same(spy.end, best, "end")
    assert_same(written(run), best, "best.ckpt")
    assert_same(written(run, "last"), spy.states[3], "last.ckpt")
    assert not list(run.glob("checkpoints/best.previous*"))

    labels = best["clusters"]["labels"].tolist()
    assert labels_written(run) == labels
    found = find_run(run)
    names = found.image_names()
    assert names is not None
    clusters = found.clusters(names)
    assert clusters is not None
    assert clusters.tolist() == labels
    model = odc_lightning.load(run)
    assert model.labels is not None
    assert model.labels.tolist() == labels
    started = odc_lightning.load(run / "checkpoints" / "last.ckpt").backbone
    load_pretrained(started, checkpoint_file(run))
    for backbone in (model.backbone, started):
        for name, weight in backbone.state_dict().items():
            assert torch.equal(weight, best["network"][f"backbone.{name}"]), name

    assert spy.images == set(range(N)) - spy.held_back
    assert len(spy.held_back) == 50
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["guard/neighbours_agree"]]
    assert [row["epoch"] for row in rows] == ["", "0", "1", "2"]
    assert float(rows[0]["guard/neighbours_kept"]) == 1
    criteria = [float(row["guard/criterion"]) for row in rows]
    assert criteria == pytest.approx([0.25, 0.3, 0.5, 0.5])
    assert all(0 < float(row["guard/neighbours_agree"]) < 1 for row in rows)


def test_training_is_the_same_without_the_guard(compose_config: Compose, tmp_path: Path) -> None:
    one = (*SETTINGS, "trainer.max_epochs=1")
    train(compose_config(*one, run="guarded"))
    train(compose_config(*one, "callbacks.keep_best=null", run="not"))
    guarded, other = (checkpoint(tmp_path / name) for name in ("guarded", "not"))
    assert_same(guarded["state_dict"], other["state_dict"], "weights")
    assert_same(guarded["optimizer_states"], other["optimizer_states"], "optimiser")
    assert_same(written(tmp_path / "guarded", "last"), written(tmp_path / "not", "last"), "memory")
    assert not (tmp_path / "not" / "checkpoints" / "best.ckpt").exists()


AT_STEPS = (
    *("callbacks.checkpoint.save_top_k=-1", "callbacks.checkpoint.every_n_train_steps=1"),
    *("callbacks.checkpoint.filename='{step}'", "+callbacks.checkpoint.save_last=true"),
)


def test_a_resumed_run_ends_as_one_that_was_never_stopped(
    compose_config: Compose, tmp_path: Path
) -> None:
    two = (*SETTINGS, "trainer.max_epochs=2")
    whole = train(compose_config(*two, *AT_STEPS, run="whole"))
    assert whole is not None
    for step in (6, 8):  # of 12: at the end of an epoch, and in the middle of one
        file = tmp_path / "whole" / "checkpoints" / f"step={step}.ckpt"
        from_there = (*two, *AT_STEPS, f"ckpt_path='{file}'")
        again = train(compose_config(*from_there, run=f"from_{step}"))
        assert again is not None
        run = tmp_path / f"from_{step}"
        assert_same(written(run), written(tmp_path / "whole"), "best.ckpt")
        assert labels_written(run) == labels_written(tmp_path / "whole")
        for key in ("kept_epoch", "kept_criterion", "start_criterion", "nmi"):
            assert again[key] == whole[key]
        (run / "metrics.csv").write_bytes((tmp_path / "whole" / "metrics.csv").read_bytes())
        assert_equal_runs(run, tmp_path / "whole")


def test_a_finished_run_ends_alike_again_and_a_longer_one_goes_on_from_its_last_state(
    compose_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = (*SETTINGS, "trainer.max_epochs=2", "train.resume=auto")
    one = (*two, "trainer.max_epochs=1")
    with monkeypatch.context() as patched:
        with_criteria(patched, 0.5, 0.4)
        first = train(compose_config(*one, run="parts"))
        kept, labels = written(tmp_path / "parts"), labels_written(tmp_path / "parts")
        (tmp_path / "parts" / "clusters.csv").unlink()
        again = train(compose_config(*one, run="parts"))
    assert first is not None
    assert again is not None
    assert first["kept_epoch"] == again["kept_epoch"] == 0
    assert again["nmi"] == first["nmi"]
    assert_same(written(tmp_path / "parts"), kept, "best.ckpt")
    assert labels_written(tmp_path / "parts") == labels
    with monkeypatch.context() as patched:
        with_criteria(patched, 0.6)
        longer = train(compose_config(*two, run="parts"))
    assert longer is not None
    assert longer["kept_epoch"] == 2
    with monkeypatch.context() as patched:
        with_criteria(patched, 0.5, 0.4, 0.6)
        train(compose_config(*two, run="whole"))
    assert_equal_runs(tmp_path / "parts", tmp_path / "whole")
    assert labels_written(tmp_path / "parts") == labels_written(tmp_path / "whole")


def test_the_kept_state_is_not_resumed_and_not_read_after_a_run_without_the_guard(
    compose_config: Compose, tmp_path: Path
) -> None:
    train(compose_config(*SETTINGS, "trainer.max_epochs=1"))
    best = find_run(tmp_path / "run").checkpoint
    assert best == tmp_path / "run" / "checkpoints" / "best.ckpt"
    with pytest.raises(ValueError, match=r"best\.ckpt is not a checkpoint of a training run"):
        train(compose_config(*SETTINGS, f"ckpt_path='{best}'", run="other"))
    more = ("trainer.max_epochs=2", "callbacks.keep_best=null", "train.resume=auto")
    train(compose_config(*SETTINGS, *more))
    assert find_run(tmp_path / "run").checkpoint.name == "last.ckpt"


def test_rows_of_held_back_images_follow_the_network(
    compose_config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    update, calls = samples_memory.update_held_back, 0

    def checked(trainer: Any, module: ODCModule, memory: Any) -> None:
        nonlocal calls
        calls += 1
        rows = trainer.datamodule.held_back_rows
        before = memory.features.clone()
        update(trainer, module, memory)
        module.eval()
        with torch.no_grad():
            dataset = trainer.datamodule.extraction_dataloader("train").dataset
            images = torch.stack([dataset[int(row)]["image"] for row in rows])
            expected = torch.lerp(before[rows], normalize(module.embed(images), dim=1), 0.5)
        module.train()
        expected = normalize(expected, dim=1)
        torch.testing.assert_close(memory.features[rows], expected, rtol=0, atol=1e-5)
        others = sorted({*range(N)} - {*rows.tolist()})
        assert torch.equal(memory.features[others], before[others])
        nearest = (expected @ normalize(memory.centroids, dim=1).T + memory.offsets).argmax(dim=1)
        assert (nearest == memory.labels[rows]).float().mean() > 0.95

    monkeypatch.setattr(samples_memory, "update_held_back", checked)
    summary = train(compose_config(*SETTINGS, "trainer.max_epochs=2", "callbacks.keep_best=null"))
    assert calls == 2
    assert summary is not None
    assert summary["kept_epoch"] is None


def test_few_images_are_all_trained_on_and_all_measured(
    compose_config: Compose, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO)
    spy = Spy()
    few = ("data.subset={num_images: 96}", "trainer.max_epochs=1")
    summary = run_of(compose_config(*SETTINGS, *few), spy)
    assert "data.held_back=0.1 needs 100 images; with fewer, all are trained on" in caplog.text
    assert spy.images == set(range(96))
    assert summary["kept_epoch"] in (0, 1)
    state = next(s for s in checkpoint(tmp_path / "run")["callbacks"].values() if "kept_epoch" in s)
    assert state["start_neighbours"].shape == (96, 10)


def test_without_a_memory_no_image_is_held_back(compose_config: Compose) -> None:
    settings = ("experiment=rotation_fashion_mnist", "data=digits", "data.held_back=0.1")
    with pytest.raises(ValueError, match=r"data\.held_back=0\.1 and the algorithm has no samples"):
        train(compose_config(*settings, "model=convnet", "trainer.accelerator=cpu"))


@pytest.mark.parametrize(
    ("value", "kept", "better"),
    [
        (0.511, 0.5, True),
        (0.509, 0.5, False),
        (24.4, 24, False),
        (24.5, 24, True),
        (0.4, 0.5, False),
        (math.nan, 0.5, False),
        (0.1, math.nan, True),
        (math.nan, math.nan, False),
    ],
)
def test_what_is_better(value: float, kept: float, better: bool) -> None:
    assert is_better(value, kept, min_gain=0.02) is better


def test_nothing_is_trained_if_views_do_not_find_their_image(
    compose_config: Compose, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    spy, run = Spy(), tmp_path / "run"
    hidden = compose_config(*SETTINGS, "callbacks.keep_best.min_view_retrieval=1")
    with caplog.at_level(logging.WARNING):
        summary = run_of(hidden, spy)
    assert "% of the augmented views find their own image among the most similar 1 %" in caplog.text
    assert spy.images == set()
    assert (summary["kept_epoch"], summary["train_loss"]) == (0, None)
    assert_same(spy.end, spy.states[0], "end")
    assert_same(written(run), spy.states[0], "best.ckpt")
    assert labels_written(run) == spy.states[0]["clusters"]["labels"].tolist()
    text = closing_lines(summary, run)
    assert "Nothing was trained" in text
    assert "last.ckpt" not in text


def test_a_resumed_run_measures_its_start_again_if_nothing_was_trained(
    compose_config: Compose, tmp_path: Path
) -> None:
    spy = Spy()
    saved = (*SETTINGS, "+callbacks.checkpoint.save_last=true", "train.resume=auto")
    hidden = (*saved, "callbacks.keep_best.min_view_retrieval=1")
    for _ in range(2):
        assert run_of(compose_config(*hidden), spy)["steps"] == 0
        assert checkpoint(tmp_path / "run")["global_step"] == 0
        assert spy.images == set()
    first = run_of(compose_config(*saved, "trainer.max_epochs=1"), spy)["steps"]
    assert first is not None
    assert first == checkpoint(tmp_path / "run")["global_step"] > 0
    # A run that has been trained is not stopped.
    assert run_of(compose_config(*hidden, "trainer.max_epochs=2"), Spy())["steps"] == 2 * first


@pytest.mark.parametrize("epoch", [0, 1, 2])
@pytest.mark.parametrize("neck", ["projection", "centering"])
def test_the_final_clusters_are_those_of_whole_images_by_the_kept_network(
    compose_config: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    epoch: int,
    neck: str,
) -> None:
    whole: list[torch.Tensor] = []
    classes: list[int] = []

    class Embeds(Spy):
        def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            super().on_fit_end(trainer, pl_module)
            data = trainer.datamodule.extraction_dataloader("train")  # type: ignore[attr-defined]
            classes.extend(trainer.datamodule.train_dataset.source.labels)  # type: ignore[attr-defined]
            module = ODCModule.of(pl_module).eval()
            with torch.no_grad():
                whole.extend(module.embed(batch["image"]) for batch in data)

    spy, run = Embeds(), tmp_path / "run"
    with_criteria(monkeypatch, *(0.5 if each == epoch else 0.4 for each in range(3)))
    settings = ["trainer.max_epochs=2", "callbacks.keep_best.final_kmeans=true"]
    if neck == "centering":
        settings.append("algorithm=odc_adapt")
    summary = run_of(compose_config(*SETTINGS, *settings), spy)
    assert summary["kept_epoch"] == epoch
    kept = spy.states[epoch]
    trained = {name: value for name, value in kept["network"].items() if name not in MADE_ANEW}
    assert_same({name: spy.end["network"][name] for name in trained}, trained, "network")
    assert_same(written(run), spy.end, "best.ckpt")
    assert_same(written(run, "last"), spy.states[2], "last.ckpt")
    assert labels_written(run) == spy.end["clusters"]["labels"].tolist()
    features = normalize(torch.cat(whole), dim=1)
    torch.testing.assert_close(spy.end["clusters"]["features"], features, rtol=0, atol=1e-5)
    expected = kmeans(spy.end["clusters"]["features"], 12, iterations=20, seed=0).labels
    labels = spy.end["clusters"]["labels"]
    assert labels.tolist() == expected.tolist()
    assert summary["nmi"] == pytest.approx(normalized_mutual_info_score(classes, labels))
    if neck == "centering":
        prototypes = normalize(spy.end["clusters"]["centroids"], dim=1)
        assert torch.equal(spy.end["network"]["head.prototypes"][0], prototypes)


def test_the_share_of_views_is_one() -> None:
    with pytest.raises(ValueError, match="min_view_retrieval=50; expected a share from 0 to 1"):
        keep_best.KeepBest("checkpoints", min_view_retrieval=50)
