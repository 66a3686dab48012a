"""What new images are compared with: kept in the run's folder, and found again."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from odc_lightning import load
from odc_lightning.inference import RunClusters


@pytest.fixture
def run(photos_run: Path, tmp_path: Path) -> Path:
    """A copy of the run without a reference."""
    copy = tmp_path / "copy"
    shutil.copytree(photos_run, copy, ignore=shutil.ignore_patterns("reference", "assigned"))
    return copy


def test_neighbours_and_outliers(run: Path, new_photos: Path) -> None:
    model = load(run)
    features = model.embed(sorted(new_photos.rglob("*.png")))
    root = Path(model.run.config.data.root)
    own = model.embed([root / name for name in model.reference.names])
    near = model.reference.neighbours(features, 3)
    cosines = features @ own.T
    expected = cosines.topk(3, dim=1)
    torch.testing.assert_close(near.similarities, expected.values, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        cosines.gather(1, near.indices), expected.values, atol=1e-4, rtol=1e-4
    )
    third = (own @ own.T).fill_diagonal_(-2).topk(3, dim=1).values[:, 2]
    usual = np.quantile((2 - 2 * third).clamp(min=0).sqrt().numpy(), 0.95)
    far = (2 - 2 * expected.values[:, 2]).clamp(min=0).sqrt() / usual
    torch.testing.assert_close(near.outlier, far.float(), atol=1e-2, rtol=1e-2)
    noise = torch.nn.functional.normalize(torch.randn(1, 128), dim=1)
    assert model.reference.neighbours(noise, 3).outlier > near.outlier.max()
    message = "neighbours=200 with 200 training images; expected 1 to 199"
    with pytest.raises(ValueError, match=message):
        model.reference.neighbours(features, 200)


def test_it_is_made_once_and_kept(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = load(run).reference
    monkeypatch.setattr("odc_lightning.inference.reference._make", None)  # cannot be called
    kept = load(run).reference
    assert kept.names == made.names
    assert kept.agreement == made.agreement
    assert torch.equal(kept.clusters.centroids, made.clusters.centroids)
    assert torch.equal(kept.labels, made.labels)


@pytest.mark.parametrize("file", ["features.npy", "centroids.npy", "facts.json"])
def test_a_damaged_one_is_made_anew(run: Path, file: str) -> None:
    made = load(run).reference
    (run / "reference" / file).write_bytes(b"damaged")
    again = load(run).reference
    assert torch.equal(again.clusters.centroids, made.clusters.centroids)
    assert (run / "reference" / file).stat().st_size > len(b"damaged")


def test_of_another_checkpoint_it_is_made_anew(run: Path) -> None:
    before = load(run).reference.clusters.centroids
    file = run / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    checkpoint["state_dict"]["neck.fc1.weight"] += 0.1
    torch.save(checkpoint, file)
    assert not torch.equal(load(run).reference.clusters.centroids, before)


def test_images_that_were_moved(run: Path, tmp_path: Path) -> None:
    root = Path(load(run).run.config.data.root)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(root, elsewhere)
    config = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(config.replace(str(root), "/nowhere"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"needed once.*images=FOLDER"):
        _ = load(run).reference
    assert len(load(run, images=elsewhere).reference.names) == 200


def test_lost_images_are_left_out_and_their_return_is_noticed(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load(run).reference
    shutil.rmtree(run / "reference")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(Path(load(run).run.config.data.root), elsewhere)
    (elsewhere / whole.names[7]).rename(tmp_path / "away.png")
    (elsewhere / whole.names[50]).write_bytes(b"damaged")
    found = load(run, images=elsewhere).reference
    rest = [row for row in range(200) if row not in (7, 50)]
    assert found.names == [whole.names[row] for row in rest]
    assert found.labels.tolist() == whole.labels[rest].tolist()
    assert int(found.clusters.counts.sum()) == 198
    assert "2 of the 200 images of the run are missing or damaged and are left out" in caplog.text
    assert f"{whole.names[7]} (missing), {whole.names[50]} (not an image" in caplog.text
    with monkeypatch.context() as patch:
        patch.setattr("odc_lightning.inference.reference._make", None)  # it is kept
        again = load(run, images=elsewhere).reference
        assert again.names == found.names
        assert torch.equal(again.labels, found.labels)
        assert torch.equal(again.clusters.centroids, found.clusters.centroids)
        # Without any image it still serves.
        assert load(run, images=tmp_path / "nowhere").reference.names == found.names
    (tmp_path / "away.png").rename(elsewhere / whole.names[7])
    assert len(load(run, images=elsewhere).reference.names) == 199


def test_where_it_cannot_be_written(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    (run / "reference").write_text("a file is in its place")
    assert len(load(run).reference.names) == 200
    assert (run / "reference").is_file()
    assert "the training images will be read again next time" in caplog.text


def test_an_empty_cluster_gets_nobody() -> None:
    features = torch.eye(3)
    clusters = RunClusters.of_members(features, torch.tensor([0, 0, 2]), 3, "cosine")
    assert set(clusters.assign(-features).labels.tolist()) <= {0, 2}
