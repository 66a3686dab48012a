"""DeepCluster in a real Trainer, beside scikit-learn and hand-made expectations."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from sklearn.decomposition import PCA
from sklearn.metrics import normalized_mutual_info_score
from torch.nn.functional import normalize

from conftest import Compose, composer
from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import OfflineClustering, find
from odc_lightning.clustering import kmeans, loss_weights
from odc_lightning.config.build import build_module, build_trainer
from odc_lightning.data.sampler import uniform_order
from odc_lightning.features.extraction import evaluating
from odc_lightning.module import ODCModule
from odc_lightning.train import train

DC = (
    *("experiment=dc_quickstart", "trainer.max_epochs=2", "algorithm.num_clusters=20"),
    *("data.subset={num_images: 600}", "model.backbone.width=16"),
)


class Look(pl.Callback):
    """Keeps what an epoch starts from and what its steps see."""

    def __init__(self) -> None:
        self.features: list[torch.Tensor] = []
        self.labels: list[torch.Tensor] = []
        self.heads: list[torch.Tensor] = []
        self.states: list[int] = []
        self.batches: list[list[dict[str, torch.Tensor]]] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = ODCModule.of(pl_module)
        owner = find(trainer, OfflineClustering)
        assert owner is not None
        loader = trainer.datamodule.extraction_dataloader("train")  # type: ignore[attr-defined]
        with evaluating(module):
            dtype = next(module.parameters()).dtype
            rows = [module.backbone(batch["image"].to(dtype)) for batch in loader]
        self.features.append(torch.cat(rows).float())
        self.labels.append(owner.labels.clone())
        self.heads.append(module.head.state_dict()["weight"].clone())
        head = list(module.head.parameters())
        self.states.append(sum(p in trainer.optimizers[0].state for p in head))
        self.batches.append([])

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.batches[-1].append(
            {key: value.clone() for key, value in batch.items() if key != "image"}
        )


def run(config: Any) -> tuple[Look, OfflineClustering]:
    look = Look()
    pl.seed_everything(config.seed, verbose=False)
    trainer = build_trainer(config)
    trainer.callbacks.append(look)  # type: ignore[attr-defined]
    trainer.fit(build_module(config), datamodule=instantiate(config.data))
    owner = find(trainer, OfflineClustering)
    assert owner is not None
    return look, owner


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Look:
    compose = composer(tmp_path_factory.mktemp("dc"), "train")
    # A head with momentum has a state that must go.
    return run(compose(*DC, "callbacks=none", "head_optimizer.momentum=0.9"))[0]


@pytest.mark.parametrize("epoch", [0, 1])
def test_labels_are_k_means_on_scikit_learns_whitened_features(seen: Look, epoch: int) -> None:
    features = seen.features[epoch].double().numpy()
    white = PCA(16, whiten=True, svd_solver="full").fit_transform(features)
    points = normalize(torch.from_numpy(white).float(), dim=1)
    seed = int(np.random.SeedSequence((0, epoch)).generate_state(1)[0] >> 1)
    expected = kmeans(points, 20, iterations=20, seed=seed).labels
    assert normalized_mutual_info_score(expected, seen.labels[epoch]) > 0.95


def test_each_epoch_clusters_anew(seen: Look) -> None:
    assert not torch.equal(seen.labels[0], seen.labels[1])
    assert all(labels.bincount(minlength=20).min() > 0 for labels in seen.labels)


def test_the_classifier_and_its_optimiser_start_again(seen: Look) -> None:
    assert seen.states == [0, 0]  # no momentum is left from the epoch before
    for weight in seen.heads:
        assert float(weight.std()) == pytest.approx(0.01, rel=0.1)
    assert not torch.equal(*seen.heads)


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_epoch_samples_its_clusters_equally_often(seen: Look, epoch: int) -> None:
    drawn = torch.cat([batch["index"] for batch in seen.batches[epoch]])
    expected = uniform_order(seen.labels[epoch].numpy(), seed=0, epoch=epoch)
    assert drawn.tolist() == expected[: len(drawn)].tolist()
    targets = torch.cat([batch["target"] for batch in seen.batches[epoch]])
    assert torch.equal(targets, seen.labels[epoch][drawn])
    assert "weight" not in seen.batches[epoch][0]


def test_reweighting_takes_the_place_of_uniform_sampling(compose_config: Compose) -> None:
    look, _ = run(compose_config(*DC, "callbacks=none", "algorithm.reweight=true"))
    for labels, batches in zip(look.labels, look.batches, strict=True):
        drawn = torch.cat([batch["index"] for batch in batches])
        assert len(set(drawn.tolist())) == len(drawn)  # each image at most once
        counts = labels.bincount(minlength=20)
        for batch in batches:
            weights = loss_weights(counts[batch["target"]])
            torch.testing.assert_close(batch["weight"], weights / weights.mean())


@pytest.fixture(scope="module")
def first_epoch(tmp_path_factory: pytest.TempPathFactory) -> Look:
    """Of a run without any change."""
    compose = composer(tmp_path_factory.mktemp("dc"), "train")
    return run(compose(*DC, "callbacks=none", "trainer.max_epochs=1"))[0]


def test_labels_are_those_of_the_layer_that_is_named(
    compose_config: Compose, first_epoch: Look
) -> None:
    """The pooled features are the mean of conv4's maps, so a layer of them clusters otherwise."""
    one = first_epoch
    layer = "algorithm.offline_clustering.layer=conv4"
    other, _ = run(compose_config(*DC, "callbacks=none", "trainer.max_epochs=1", layer))
    assert torch.equal(one.features[0], other.features[0])
    assert not torch.equal(one.labels[0], other.labels[0])


def test_a_sample_for_the_pca_is_enough(compose_config: Compose, first_epoch: Look) -> None:
    few = "algorithm.offline_clustering.pca_samples=200"
    other, _ = run(compose_config(*DC, "callbacks=none", "trainer.max_epochs=1", few))
    assert 0.4 < normalized_mutual_info_score(first_epoch.labels[0], other.labels[0]) < 1


def checkpoint(run_dir: Path) -> dict[str, Any]:
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)


def assert_same_training(one: Path, other: Path) -> None:
    a, b = checkpoint(one), checkpoint(other)
    key = next(key for key in a["callbacks"] if key.startswith("OfflineClustering"))
    assert a["callbacks"][key]["epoch"] == b["callbacks"][key]["epoch"]
    for name, tensor in a["callbacks"][key].items():
        assert name == "epoch" or torch.equal(tensor, b["callbacks"][key][name]), name
    for name, tensor in a["state_dict"].items():
        assert torch.equal(tensor, b["state_dict"][name]), name


@pytest.mark.parametrize(
    "precision", ["bf16-mixed", pytest.param("bf16-true", marks=pytest.mark.long)]
)
def test_half_precision(compose_config: Compose, first_epoch: Look, precision: str) -> None:
    look, owner = run(
        compose_config(
            *DC, "callbacks=none", "trainer.max_epochs=1", f"trainer.precision={precision}"
        )
    )
    assert owner.distances().dtype == torch.float32
    assert normalized_mutual_info_score(look.labels[0], first_epoch.labels[0]) > 0.8


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two epochs."""
    folder = tmp_path_factory.mktemp("two epochs")
    train(composer(folder, "train")(*DC))
    return folder / "run"


def test_a_run_continued_after_an_epoch_is_the_uninterrupted_run(
    compose_config: Compose, tmp_path: Path, two_epochs: Path
) -> None:
    train(compose_config(*DC, "trainer.max_epochs=3", run="whole"))
    last = two_epochs / "checkpoints" / "last.ckpt"
    train(compose_config(*DC, "trainer.max_epochs=3", f"ckpt_path='{last}'", run="rest"))
    assert_same_training(tmp_path / "whole", tmp_path / "rest")
    runs = (tmp_path / "whole", two_epochs, tmp_path / "rest")
    scores = [nmi_with_the_epoch_before(run_dir) for run_dir in runs]
    assert scores[0] == scores[1] + scores[2]  # none is lost where the run was continued


def nmi_with_the_epoch_before(run_dir: Path) -> list[float]:
    header, *rows = (run_dir / "metrics.csv").read_text().splitlines()
    column = header.split(",").index("odc/nmi_previous_epoch")
    return [float(cell) for row in rows if (cell := row.split(",")[column])]


def test_a_run_continued_within_an_epoch_is_the_uninterrupted_run(
    compose_config: Compose, tmp_path: Path, two_epochs: Path
) -> None:
    # 36 steps in all; the run stops after the seventh of the second epoch, with its clusters.
    saving = (
        "+callbacks.midway._target_=pytorch_lightning.callbacks.ModelCheckpoint",
        f"+callbacks.midway.dirpath={tmp_path}",
        "+callbacks.midway.filename=midway",
        "+callbacks.midway.every_n_train_steps=25",
    )
    train(compose_config(*DC, *saving, "+trainer.max_steps=25", run="part"))
    state = torch.load(tmp_path / "midway.ckpt", weights_only=True)
    assert state["global_step"] == 25
    resume = ("data.num_workers=1", f"ckpt_path={tmp_path / 'midway.ckpt'}")
    train(compose_config(*DC, *resume, run="rest"))
    assert_same_training(two_epochs, tmp_path / "rest")


@pytest.mark.renders
def test_the_run_reports_what_there_is(
    compose_config: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary: Any = train(compose_config(*DC, "trainer.max_epochs=3"))
    assert summary["label_switch_ratio_last"] is None  # a step changes no labels
    assert summary["targets"] == "clusters"
    assert 0.3 < summary["nmi"] < 1
    run_dir = tmp_path / "run"
    assert len((run_dir / "clusters.csv").read_text().splitlines()) == 601
    scores = nmi_with_the_epoch_before(run_dir)
    assert len(scores) == 2  # of the second and third epoch with the one before
    assert all(0.2 < score < 0.99 for score in scores)
    assert not list(run_dir.glob("tmp*"))
    printed = capsys.readouterr().out
    assert f"odc assign {run_dir} FOLDER" in printed
    assert "odc clusters" not in printed  # which refuses a run without features


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("algorithm.num_clusters=2000", r"Try algorithm\.num_clusters="),
        ("algorithm.offline_clustering.pca_dim=0", "pca_dim must be at least 1, got 0"),
        ("algorithm.offline_clustering.pca_samples=1", "pca_samples must be at least 2"),
        ("algorithm.offline_clustering.layer=conv9", "conv9: the backbone convnet has no such"),
        ("algorithm.offline_clustering.scratch_dir=/dev/null/x", "scratch_dir"),
        ("data.sampling_with_replacement=true", "exclude each other"),
    ],
)
def test_bad_input_ends_before_training(
    compose_config: Compose, tmp_path: Path, override: str, message: str
) -> None:
    with pytest.raises(Exception, match=message):
        train(compose_config(*DC, override))
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_other_loaders_and_heads_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs a data loader with an EpochSampler"):
        tiny_trainer([OfflineClustering()]).fit(tiny_module(4), TinyData(60, 16))
    tiny_trainer([OfflineClustering(reweight=True)]).fit(tiny_module(4), TinyData(60, 16))


def test_another_data_sets_labels_are_refused() -> None:
    owner = OfflineClustering(reweight=True)
    tiny_trainer([owner]).fit(tiny_module(4), TinyData(60, 16))
    state = owner.state_dict()
    tiny_trainer([owner]).fit(tiny_module(4), TinyData(50, 16))
    with pytest.raises(ValueError, match="60 samples in 4 clusters, expected 50 in 4"):
        owner.load_state_dict(state)
