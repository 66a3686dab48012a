"""Without faiss, or with a broken build of it, everything that does not ask for it works."""

import sys
from pathlib import Path

import pytest
import torch

from odc_lightning.clustering import kmeans
from odc_lightning.metrics.neighbours import nearest_directions, nearest_neighbours
from odc_lightning.runs.summary import package_versions
from odc_lightning.utils.optional import import_faiss, logged_failure

# What a build for GPUs raises where the CUDA libraries are missing.
BROKEN = 'raise RuntimeError("libcublas.so.12: cannot open shared object file\\nmore")'


@pytest.fixture(params=["missing", "broken"])
def without_faiss(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if request.param == "missing":
        monkeypatch.setitem(sys.modules, "faiss", None)
        return
    (tmp_path / "faiss.py").write_text(BROKEN)
    monkeypatch.delitem(sys.modules, "faiss", raising=False)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("without_faiss")
def test_every_user_of_faiss_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImportError, match="install faiss-gpu or faiss-cpu"):
        import_faiss()
    assert package_versions()["faiss"] is None
    features = torch.eye(6)[:, :4] + 0.1
    similarities, indices = nearest_neighbours(features, features, 2, exclude_self=True)
    assert similarities.shape == indices.shape == (6, 2)
    directions = torch.nn.functional.normalize(features, dim=1)
    assert nearest_directions(directions, directions, 1)[1].flatten().tolist()[:4] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"kNN backend 'faiss'.*or choose the backend 'torch'"):
        nearest_neighbours(features, features, 1, backend="faiss")
    with pytest.raises(ValueError, match=r"K-Means backend 'faiss'.*or choose the backend 'torch'"):
        kmeans(features, 2, backend="faiss")


def test_a_broken_build_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faiss.py").write_text(BROKEN)
    monkeypatch.delitem(sys.modules, "faiss", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"\(RuntimeError: libcublas.so.12: cannot open shared"):
        import_faiss()


def test_a_picture_that_cannot_be_made_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with logged_failure("the page x"):
        raise OSError("no space left on device")
    assert caplog.messages == ["the page x cannot be made: no space left on device"]
