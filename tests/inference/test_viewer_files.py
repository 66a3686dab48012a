"""The files for viewers of embeddings, read as the viewers read them."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from odc_lightning.data import ImageSource
from odc_lightning.inference.table_files import features_table
from odc_lightning.inference.table_parts import Parts
from odc_lightning.inference.viewer_files import Viewer, side_in_sprite, write_for_viewer
from odc_lightning.utils.arrays import IntArray

FEATURES = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
NAMES = [f'Ausflüge/a "{row}"\t.png' for row in range(9)] + ["=SUM(1).png"]
CLUSTERS = np.arange(10) % 4
BROKEN = 6


class Greys(ImageSource):
    """Ten images, each of one grey, of which one is damaged."""

    def __len__(self) -> int:
        return 10

    def load(self, index: int) -> Image.Image:
        if index == BROKEN:
            raise OSError("damaged")
        return Image.new("RGB", (200, 100), (20 * index,) * 3)

    def name(self, index: int) -> str:
        return NAMES[index]


def written(folder: Path, viewer: Viewer, clusters: IntArray | None = CLUSTERS) -> Path:
    parts = Parts(folder, {}, 10, 4)
    for number in range(3):
        here = slice(4 * number, 4 * number + 4)
        parts.write(number, features_table(NAMES[here], FEATURES[here]))
    parts.finish(write_for_viewer(viewer, "embedding", Greys(), clusters))
    return folder


def grey(picture: Image.Image) -> float:
    return float(np.asarray(picture).mean())


def test_vectors_and_metadata(tmp_path: Path) -> None:
    folder = written(tmp_path / "out", "projector")
    assert np.allclose(np.loadtxt(folder / "vectors.tsv", delimiter="\t"), FEATURES, rtol=1e-5)
    lines = (folder / "metadata.tsv").read_text(encoding="utf-8").split("\n")
    # A tab in a name would start a column, and a quote means nothing.
    assert lines[:3] == ["path\tcluster", 'Ausflüge/a "0"\\t.png\t0', 'Ausflüge/a "1"\\t.png\t1']
    assert lines[10:] == ["./=SUM(1).png\t1", ""]


def test_names_alone_have_no_header(tmp_path: Path) -> None:
    folder = written(tmp_path / "out", "projector", clusters=None)
    lines = (folder / "metadata.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == 'Ausflüge/a "0"\\t.png'
    assert len(lines) == 10


def test_the_sprite_has_the_images_row_by_row(tmp_path: Path) -> None:
    with Image.open(written(tmp_path / "out", "projector") / "sprite.jpg") as sprite:
        assert sprite.size == (4 * 64, 3 * 64)
        for row in set(range(10)) - {BROKEN}:
            left, top = row % 4 * 64, row // 4 * 64
            assert abs(grey(sprite.crop((left, top, left + 64, top + 64))) - 20 * row) < 2


@pytest.mark.parametrize(("images", "side"), [(1, 64), (16_384, 64), (16_385, 63), (10**6, 8)])
def test_a_sprite_is_not_too_large(images: int, side: int) -> None:
    assert side_in_sprite(images) == side
    assert side * np.ceil(np.sqrt(images)) <= 8192


def test_tensorboard_serves_them(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    folder = written(tmp_path / "out", "projector")
    apps = ProjectorPlugin(TBContext(logdir=str(folder))).get_plugin_apps()

    def content(route: str) -> bytes:
        answer = Client(apps[route]).get(query_string={"run": ".", "name": "embedding"})
        assert answer.status_code == 200, answer.data
        return bytes(answer.data)

    (embedding,) = json.loads(content("/info"))["embeddings"]
    assert embedding["tensorShape"] == [10, 3]
    assert embedding["sprite"]["singleImageDim"] == [64, 64]
    tensor = np.frombuffer(content("/tensor"), np.float32).reshape(10, 3)
    assert np.allclose(tensor, FEATURES, rtol=1e-5)
    assert content("/metadata") == (folder / "metadata.tsv").read_bytes()
    assert content("/sprite_image") == (folder / "sprite.jpg").read_bytes()


def test_atlas(tmp_path: Path) -> None:
    file = written(tmp_path / "out", "atlas") / "embedding.parquet"
    assert pq.ParquetFile(file).num_row_groups == 3
    table = pq.read_table(file)
    assert table.column_names == ["path", "cluster", "image", "features"]
    assert table["path"].to_pylist() == NAMES
    assert table["cluster"].to_pylist() == [str(cluster) for cluster in CLUSTERS]
    assert np.array_equal(np.array(table["features"].to_pylist(), np.float32), FEATURES)
    for row, content in enumerate(table["image"].to_pylist()):
        with Image.open(io.BytesIO(content)) as picture:
            assert (picture.format, picture.size) == ("JPEG", (128, 128))
            assert row == BROKEN or abs(grey(picture) - 20 * row) < 2


def test_atlas_without_clusters(tmp_path: Path) -> None:
    table = pq.read_table(written(tmp_path / "out", "atlas", None) / "embedding.parquet")
    assert table.column_names == ["path", "image", "features"]
