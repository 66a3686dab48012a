"""What labels tell about images and views."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scripts.small_data.cluster_content import (
    Clustered,
    draw_view,
    levels,
    main,
    of_images,
    shares_told,
)

from conftest import Compose
from odc_lightning.data import digits
from odc_lightning.train import train


def test_a_label_tells_all_half_or_nothing_of_a_property() -> None:
    rng = np.random.default_rng(0)
    fours = rng.integers(4, size=20_000)
    label = fours % 2  # one of the two bits
    found = shares_told(
        label,
        {
            "the label itself": label.astype(float),
            "one bit more": fours.astype(float),
            "another draw": rng.integers(4, size=20_000).astype(float),
        },
    )
    assert found["the label itself"] == pytest.approx(1)
    assert found["another draw"] == pytest.approx(0, abs=1e-3)
    # The label has the smaller entropy here, and all of it is about the property.
    assert found["one bit more"] == pytest.approx(1, abs=1e-3)
    # The usual case: more clusters than values. ln 8 - ln 4 of ln 4 are known.
    pairs = rng.integers(16, size=40_000)
    assert shares_told(
        pairs // 2 * 10 + rng.integers(5, size=40_000), {"x": (pairs % 4).astype(float)}
    )["x"] == pytest.approx(0.5, abs=0.01)


def test_numbers_become_fifths_of_equal_size_and_few_values_stay() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    numbers = levels(values)
    assert np.bincount(numbers).tolist() == [200] * 5
    for low, high in zip(range(4), range(1, 5), strict=True):
        assert values[numbers == low].max() < values[numbers == high].min()
    assert levels(np.array([3.0, 7.0, 3.0])).tolist() == [0, 1, 0]


def test_a_view_is_what_is_said_of_it() -> None:
    ramp = Image.fromarray(np.tile(np.arange(0, 120, 4, dtype=np.uint8), (30, 1))).convert("RGB")
    torch.manual_seed(0)
    seen = []
    for _ in range(50):
        view, done = draw_view(ramp, 16, (0.3, 0.5))
        seen.append(done)
        assert view.shape == (3, 16, 16)
        assert view.min() >= -1
        assert 0.2 * 900 <= done["size of the crop"] <= 0.55 * 900
        rises = bool(view[0, 0, -1] > view[0, 0, 0])
        assert rises == (done["mirrored"] == 0)
        # The middle column is as dark as where the crop was, times the change of brightness.
        middle = 4 * (done["side of the crop in the image"] - 0.5) * done["change of brightness"]
        assert float((view.mean() * 0.5 + 0.5) * 255) == pytest.approx(middle, abs=3)
    assert {row["mirrored"] for row in seen} == {0.0, 1.0}


def test_properties_of_images() -> None:
    source = digits("val")
    properties = of_images(source)
    pixels = np.asarray(source.load(3).convert("L")) / 255
    assert properties["brightness"][3] == pytest.approx(pixels.mean())
    columns = [bool((column > 0.1).any()) for column in pixels.T]
    assert properties["width of what is shown"][3] == sum(columns)
    assert source.labels is not None
    assert properties["class"].tolist() == source.labels.tolist()


def test_a_run_is_looked_into(
    compose_config: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("experiment=odc_small", "data=digits", "model.backbone.width=4")
    short = ("data.subset={num_images: 300}", "trainer.max_epochs=1", "trainer.accelerator=cpu")
    train(compose_config(*settings, *short, "callbacks.label_scores.knn=false"))
    run = Clustered.read(tmp_path / "run")
    assert len(run.source) == len(run.memory.labels) == 300
    # The offsets count: the labels of the memory are those of its own features.
    memory = run.memory
    agree = memory.propose(torch.arange(300), memory.features)[1] == memory.labels
    assert agree.float().mean() > 0.5

    main([f"a recipe={tmp_path / 'run'}", "--out", str(tmp_path / "content")])
    text = (tmp_path / "content" / "content.md").read_text()
    assert "a recipe" in text
    assert text in capsys.readouterr().out
    for name in ("content.png", "clusters.png"):
        with Image.open(tmp_path / "content" / name) as picture:
            assert picture.width > 300


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--out", str(tmp_path / "content")])
    assert str(tmp_path) in capsys.readouterr().err
    assert not (tmp_path / "content").exists()
