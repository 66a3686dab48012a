"""Evaluations over the real command's path: real images, real trainings, files that come out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score

from conftest import Compose, composer
from helpers.processes import run_python
from odc_lightning.data import digits
from odc_lightning.data.datasets.voc import CLASSES
from odc_lightning.evaluate import evaluate
from odc_lightning.evaluation import KNN, EvaluatedNetwork
from odc_lightning.evaluation.network import Split
from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.runs.results import read_results
from odc_lightning.train import train

QUICK = (
    "trainer.accelerator=cpu",
    "protocol.linear.max_epochs=3",
    "protocol.low_shot.shots=[1,4]",
    "protocol.low_shot.draws=2",
    "protocol.low_shot.costs=[1,10]",
    "protocol.low_shot.n_jobs=1",
    "protocol.semi_supervised.max_epochs=5",
    "protocol.semi_supervised.shares=[0.2]",
    "protocol.semi_supervised.head_lr_multipliers=[10]",
)
UNTRAINED = ("checkpoint=untrained", "data=digits", "model=convnet", "model.backbone.width=4")


def value(evaluation: Evaluation, protocol: str, layer: str, metric: str, setting: str = "") -> Any:
    (found,) = (
        score.value
        for score in evaluation.scores
        if (score.protocol, score.layer, score.metric, score.setting)
        == (protocol, layer, metric, setting)
    )
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training run on the digits."""
    folder = tmp_path_factory.mktemp("training")
    train(
        composer(folder, "train")(
            "experiment=odc_digits", "trainer.max_epochs=2", "model.backbone.width=4"
        )
    )
    return folder / "run"


def test_everything_that_applies_to_a_run(
    compose_evaluation: Compose, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = compose_evaluation(f"checkpoint={run}", *QUICK)
    evaluation = evaluate(config)
    printed = capsys.readouterr().out
    folder = Path(config.run_dir)
    assert (evaluation.name, evaluation.backbone, evaluation.data) == (
        "odc_digits",
        "convnet",
        "digits",
    )
    protocols = [score.protocol for score in evaluation.scores]
    assert set(protocols) == {"linear", "low_shot", "knn", "clustering", "semi_supervised"}
    assert set(evaluation.skipped) == {"svm"}
    layers = {score.layer for score in evaluation.scores if score.protocol == "linear"}
    assert layers == {"conv1", "conv2", "conv3", "conv4", "pooled"}
    for score in evaluation.scores:
        if score.metric in ("top1", "map"):
            assert score.value > 0.2, score  # chance is 0.1, give or take 0.016 for 360 images
    assert read_results(folder / "results.json") == evaluation
    assert json.loads((folder / "results.json").read_text())["versions"]["torch"]
    for name in ("results.md", "low_shot.png", "metrics.csv", "config.yaml"):
        assert (folder / name).stat().st_size > 100, name
    knn = f"{100 * value(evaluation, 'knn', 'pooled', 'top1', 'k=20'):.1f}"
    assert knn in printed
    assert knn in (folder / "results.md").read_text()
    logged = (folder / "metrics.csv").read_text().splitlines()
    assert "knn/pooled/top1/k=20" in logged[0]
    assert len(logged) == 2


def test_scores_of_the_runs_own_clusters(compose_evaluation: Compose, run: Path) -> None:
    evaluation = evaluate(compose_evaluation(f"checkpoint={run}", "protocol=clustering"))
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    labels = checkpoint["callbacks"]["SamplesMemory"]["labels"].numpy()
    expected = adjusted_rand_score(digits("train").labels, labels)
    setting = f"{len(np.unique(labels))} clusters"
    assert value(evaluation, "clustering", "run", "ari", setting) == pytest.approx(expected)
    # other images have no clusters in that run
    other = ["data=digits", "data.subset={num_images: 300, seed: 1}"]
    some = evaluate(compose_evaluation(f"checkpoint={run}", "protocol=clustering", *other))
    assert {score.layer for score in some.scores} == {"run", "pooled"}  # by name, not by position


def test_features_are_those_of_the_network_and_knn_is_knn(
    compose_evaluation: Compose, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pooled features on disk, against a plain loop over the images."""
    subjects: list[EvaluatedNetwork] = []

    def keep(self: KNN, network: EvaluatedNetwork) -> list[Score]:
        subjects.append(network)
        return []

    monkeypatch.setattr(KNN, "__call__", keep)
    evaluate(compose_evaluation(f"checkpoint={run}", "protocol=knn"))
    (network,) = subjects
    splits: tuple[Split, Split] = ("train", "val")
    for split in splits:
        images = network.images[split]
        rows = network.features("pooled", split)
        assert rows.shape == (len(images.dataset), 32)
        for index in (0, 7, len(rows) - 1):
            view = images.dataset[index]["image"].unsqueeze(0)
            expected = network.backbone.eval()(view)[0]
            torch.testing.assert_close(torch.tensor(rows[index]), expected, atol=1e-5, rtol=1e-4)


def test_a_second_protocol_costs_no_second_pass(
    compose_evaluation: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[tuple[str, ...]] = []
    original = EvaluatedNetwork.prepare.__globals__["extract_to_files"]

    def counted(backbone: Any, layers: Any, *rest: Any) -> None:
        passes.append(tuple(layers))
        original(backbone, layers, *rest)

    monkeypatch.setitem(EvaluatedNetwork.prepare.__globals__, "extract_to_files", counted)
    linear = ("protocol=linear", "protocol.linear.max_epochs=1")
    first = evaluate(compose_evaluation(*UNTRAINED, *linear))
    assert passes == [("conv1", "conv2", "conv3", "conv4", "pooled")] * 2  # two splits
    evaluate(compose_evaluation(*UNTRAINED, "protocol=[knn,clustering]"))
    again = evaluate(compose_evaluation(*UNTRAINED, *linear))
    assert len(passes) == 2
    assert again.scores == first.scores
    evaluate(compose_evaluation(*UNTRAINED, "protocol=knn", "seed=1"))  # another network
    assert len(passes) == 4


def test_probes_on_fresh_views(compose_evaluation: Compose) -> None:
    """As the paper does: images pass the frozen network each epoch, under augmentation."""
    config = compose_evaluation(
        *UNTRAINED,
        "protocol=linear",
        "+augmentation@protocol.linear.augmentation=small_crop",
        "protocol.linear.layers=[conv1,conv4]",
        "protocol.linear.max_epochs=2",
        "data.num_workers=0",
    )
    evaluation = evaluate(config)
    assert [(s.layer, s.metric) for s in evaluation.scores] == [
        ("conv1", "top1"),
        ("conv4", "top1"),
        ("conv1", "top5"),
        ("conv4", "top5"),
    ]
    assert evaluation.scores[0].value > 0.5
    assert not (Path(config.features_dir)).exists()
    saved = torch.load(Path(config.run_dir) / "checkpoints" / "linear.ckpt", weights_only=True)
    assert saved["epoch"] == 1
    assert "probes.conv4.fc.weight" in saved["state_dict"]


def draw_shapes(folder: Path, split: str, start: int, count: int) -> dict[str, list[int]]:
    """Images whose stripes tell which of 20 classes they show; every seventh is difficult."""
    rng = np.random.default_rng(start)
    shown: dict[str, list[int]] = {name: [] for name in CLASSES}
    lists: dict[str, list[str]] = {name: [] for name in CLASSES}
    for image in range(start, start + count):
        pixels = rng.integers(0, 30, (40, 40, 3))
        for column, name in enumerate(CLASSES):
            there = rng.random() < 0.25
            sign = 0 if there and image % 7 == 0 else 1 if there else -1
            if there:
                pixels[:, 2 * column : 2 * column + 2, column % 3] = 255
            lists[name].append(f"{image:06} {sign:2}\n")
            shown[name].append(sign)
        path = folder / "JPEGImages" / f"{image:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path, quality=95)
    for name in CLASSES:
        path = folder / "ImageSets" / "Main" / f"{name}_{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lists[name]))
    return shown


def test_voc2007_from_its_own_layout(compose_evaluation: Compose, tmp_path: Path) -> None:
    """Lists and JPEGs as VOC has them, in miniature, through SVMs and low-shot."""
    folder = tmp_path / "VOCdevkit" / "VOC2007"
    draw_shapes(folder, "trainval", 0, 120)
    draw_shapes(folder, "test", 120, 60)
    config = compose_evaluation(
        "checkpoint=untrained",
        "benchmark=voc07",
        f"data.root={tmp_path}",
        "data.image_size=40",
        "data.num_workers=0",
        "model=convnet",
        "trainer.accelerator=cpu",
        "protocol.svm.costs=[1,100]",
        "protocol.svm.layers=[conv1,conv4]",
        "protocol.svm.n_jobs=1",
        "protocol.low_shot.shots=[1,4]",
        "protocol.low_shot.costs=[1]",
        "protocol.low_shot.layers=[conv1]",
        "protocol.low_shot.draws=2",
        "protocol.low_shot.n_jobs=1",
    )
    evaluation = evaluate(config)
    assert evaluation.data == "voc07"
    assert evaluation.published
    maps = {
        score.layer: score.value
        for score in evaluation.scores
        if (score.protocol, score.metric) == ("svm", "map")
    }
    assert set(maps) == {"conv1", "conv4", "best"}
    assert maps["best"] == max(maps.values())
    assert maps["conv1"] > 0.6  # chance is 0.25; stripes are easy to see
    one = value(evaluation, "low_shot", "conv1", "map", "1 shot")
    four = value(evaluation, "low_shot", "conv1", "map", "4 shots")
    mean = value(evaluation, "low_shot", "conv1", "map", "mean")
    assert one < four
    assert mean == pytest.approx((one + four) / 2)
    assert not any(score.metric == "top1" for score in evaluation.scores)


def test_folders_without_a_validation_split_are_divided(
    compose_evaluation: Compose, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for name, brightness in (("dark", 40), ("light", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(20):
            pixels = rng.normal(brightness, 10, (16, 16, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    options = (
        "checkpoint=untrained",
        "model=convnet",
        "model.backbone.width=4",
        "data=image_folder",
        f"data.root={tmp_path / 'photos'}",
        "data.image_size=16",
        "data.num_workers=0",
        "protocol=knn",
        "protocol.knn.k=[5]",
    )
    labelled = "data.train.labels_from_folder=true"
    evaluation = evaluate(compose_evaluation(*options, labelled, "holdout=0.25"))
    assert evaluation.data == "photos/, 25% of the training images held out"
    assert value(evaluation, "knn", "pooled", "top1", "k=5") == 1
    with pytest.raises(ValueError, match="needs labels, and the training images have none"):
        evaluate(compose_evaluation(*options))
    with pytest.raises(ValueError, match=r"holdout=1\.5; expected a share"):
        evaluate(compose_evaluation(*options, labelled, "holdout=1.5"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "no value for checkpoint"),
        (["checkpoint=untrained"], "no model is given"),
        (["checkpoint=untrained", "model=convnet"], "no data is given"),
        (["checkpoint=/nowhere.ckpt"], "does not exist"),
        (
            [*UNTRAINED, "protocol=svm"],
            "no protocol applies to the data: svm: it is for multi-label images",
        ),
        ([*UNTRAINED, "protocol=knn", "protocol.knn.k=[0]"], r"protocol.knn.k=\[0\]"),
        ([*UNTRAINED, "protocol=knn", "protocol.knn.temperature=0"], "temperature=0"),
        (
            ["checkpoint=untrained", "model=alexnet", "benchmark=places205_linear", "data.root=x"],
            "benchmark=places205_linear_alexnet, or published=false",
        ),
        (
            [
                "checkpoint=untrained",
                "model=resnet50",
                "benchmark=imagenet_linear_alexnet",
                "data.root=x",
            ],
            "settings for resnet50; use benchmark=imagenet_linear, or",
        ),
        (
            [*UNTRAINED, "protocol=[]"],
            "no protocol applies to the data: none is chosen, add protocol=NAME",
        ),
        ([*UNTRAINED, "protocol.low_shot.choose_cost=tset"], "choose_cost='tset'; expected one of"),
        ([*UNTRAINED, "protocol.semi_supervised.shares=[2,3]"], r"shares=\[2, 3\]; expected"),
        (
            [*UNTRAINED, "protocol.semi_supervised.lists=[/tmp/no_such_1,/tmp/no_such_2]"],
            "/tmp/no_such_1 is not a file",
        ),
        ([*UNTRAINED, "protocol.linear.ckpt_path=/tmp/no_such"], "no_such is not a file"),
        (
            [*UNTRAINED, "protocol=linear", "protocol.linear.batch_size=1"],
            "cannot train on one",
        ),
        (
            [*UNTRAINED, "protocol=low_shot", "protocol.low_shot.shots=[500]"],
            "it draws up to 500 images per class, but one class has enough for 139 only",
        ),
    ],
)
def test_refusals(compose_evaluation: Compose, overrides: list[str], message: str) -> None:
    with pytest.raises(Exception, match=message) as caught:
        evaluate(compose_evaluation(*overrides))
    assert isinstance(caught.value.__cause__ or caught.value, ValueError)


def test_another_network_than_the_checkpoints(compose_evaluation: Compose, run: Path) -> None:
    config = compose_evaluation(f"checkpoint={run}", "model=resnet18", "data=digits")
    with pytest.raises(ValueError, match=r"does not fit the backbone 'resnet18'.*Missing"):
        evaluate(config)
    assert not Path(config.run_dir).exists()


def test_settings_of_the_run_can_be_changed(compose_evaluation: Compose, run: Path) -> None:
    config = compose_evaluation(
        f"checkpoint={run}", "protocol=knn", "+data.batch_size=64", "name=mine", "logger=csv"
    )
    evaluation = evaluate(config)
    kept = OmegaConf.load(Path(config.run_dir) / "config.yaml")
    assert kept.data.batch_size == 64
    assert kept.data.name == "digits"
    assert evaluation.name == "mine"


@pytest.mark.renders
def test_a_supervised_network_is_the_upper_bound(
    compose_config: Compose, compose_evaluation: Compose, capsys: pytest.CaptureFixture[str]
) -> None:
    config = compose_config(
        "experiment=supervised_fashion_mnist",
        "data=digits",
        "trainer.max_epochs=6",
        "trainer.accelerator=cpu",
        "model.backbone.width=4",
        run="supervised",
    )
    summary = train(config)
    assert summary is not None
    assert summary["label_switch_ratio_last"] is None
    assert "1,437 images in 10 classes" in capsys.readouterr().out
    assert not (Path(config.run_dir) / "clusters.csv").exists()
    supervised = evaluate(compose_evaluation(f"checkpoint={config.run_dir}", "protocol=knn"))
    untrained = evaluate(compose_evaluation(*UNTRAINED, "protocol=knn"))
    assert [score.setting for score in supervised.scores] == ["k=10", "k=20", "k=100", "k=200"]
    scores = [value(each, "knn", "pooled", "top1", "k=100") for each in (supervised, untrained)]
    assert scores[0] > scores[1] + 0.02
    own = evaluate(compose_evaluation(f"checkpoint={config.run_dir}", "protocol=clustering"))
    assert {score.layer for score in own.scores} == {"pooled"}


def test_the_whole_path_reaches_logistic_regression(compose_evaluation: Compose) -> None:
    """The preset for small data, on the stages of a network, beside scikit-learn's."""
    longer = ("protocol.linear.max_epochs=60", "protocol.linear.scheduler.milestones=[40,50]")
    layer = "protocol.linear.layers=[conv3]"
    config = compose_evaluation(*UNTRAINED, "protocol=linear", layer, *longer)
    evaluation = evaluate(config)
    (train_file, val_file) = sorted(
        Path(config.features_dir).glob("*/conv3.npy"), key=lambda path: -path.stat().st_size
    )
    rows, tests = np.load(train_file), np.load(val_file)
    mean, deviation = rows.mean(0), rows.std(0) + 1e-5
    logistic = LogisticRegression(max_iter=2000)
    logistic.fit((rows - mean) / deviation, digits("train").labels)
    reached = logistic.score((tests - mean) / deviation, digits("val").labels)
    assert reached > 0.9
    assert value(evaluation, "linear", "conv3", "top1") >= reached - 0.015


def test_a_protocol_measures_the_same_beside_others(compose_evaluation: Compose) -> None:
    """What comes before it must leave the network as it was."""
    options = (
        *UNTRAINED,
        "trainer.accelerator=cpu",
        "protocol.semi_supervised.max_epochs=4",
        "protocol.semi_supervised.shares=[0.2]",
        "protocol.semi_supervised.head_lr_multipliers=[10]",
        "data.num_workers=0",
    )
    alone = evaluate(compose_evaluation(*options, "protocol=semi_supervised", run="alone"))
    linear = ("protocol=[linear,knn,semi_supervised]", "protocol.linear.max_epochs=1")
    beside = evaluate(compose_evaluation(*options, *linear, run="beside"))
    assert value(alone, "semi_supervised", "network", "top1", "20%") == value(
        beside, "semi_supervised", "network", "top1", "20%"
    )


def test_data_of_the_run_can_be_elsewhere(
    compose_config: Compose, compose_evaluation: Compose, tmp_path: Path
) -> None:
    """A data set that was moved: everything that refers to data.root follows it."""
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "old" / name).mkdir(parents=True)
        for index in range(20):
            pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "old" / name / f"{index}.png")
    command = ["-m", "odc_lightning.train", "data=image_folder"]
    command += [f"data.root={tmp_path / 'old'}", "data.image_size=16", "data.batch_size=8"]
    command += ["data.num_workers=0", "algorithm.num_clusters=2", "trainer.max_epochs=1"]
    command += ["algorithm.small_clusters.threshold=1", f"hydra.run.dir={tmp_path / 'trained'}"]
    done = run_python(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "old").rename(tmp_path / "new")
    evaluation = evaluate(
        compose_evaluation(
            f"checkpoint={tmp_path / 'trained'}",
            "protocol=[knn,clustering]",
            "protocol.knn.k=[5]",
            f"+data.root={tmp_path / 'new'}",
            "+data.train.labels_from_folder=true",
        )
    )
    assert evaluation.data.startswith("new/")
    assert not evaluation.published
    layers = {score.layer for score in evaluation.scores if score.protocol == "clustering"}
    assert layers == {"run", "pooled"}  # the images are still known by their names


def test_one_failure_does_not_take_the_others(
    compose_evaluation: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: KNN, network: EvaluatedNetwork) -> list[Score]:
        raise ValueError("out of luck")

    monkeypatch.setattr(KNN, "__call__", fail)
    config = compose_evaluation(*UNTRAINED, "protocol=[knn,clustering]")
    with pytest.raises(ValueError, match="out of luck"):
        evaluate(config)
    left = read_results(Path(config.run_dir) / "results.json")
    assert {score.protocol for score in left.scores} == {"clustering"}
    assert left.skipped["knn"] == "failed: out of luck"
