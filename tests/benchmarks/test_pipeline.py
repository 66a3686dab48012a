"""The benchmark of the input pipeline runs, and its ways make the same images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.tables import Table, Target
from PIL import Image

from benchmarks import pipeline
from odc_lightning.utils.seeds import sample_seed, seeded

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")


def test_tables_and_target() -> None:
    threads = torch.get_num_threads()
    rates, feeding, target = pipeline.measure(quick=True)
    assert isinstance(rates, Table)
    assert isinstance(feeding, Table)
    assert isinstance(target, Target)
    assert torch.get_num_threads() == threads
    images_a_second = numbers(rates)
    assert set(images_a_second) == {
        *(pipeline.OURS, pipeline.OURS_PIXELS, pipeline.DECODE),
        *(pipeline.IMAGE_FOLDER, pipeline.ON_TENSORS),
        *(pipeline.NOT_SMOOTHED, pipeline.DECODE_TENSOR),
    }
    assert all(number > 0 for row in images_a_second.values() for number in row)
    fed = numbers(feeding)
    for way in (pipeline.OURS, pipeline.OURS_PIXELS):
        rate = images_a_second[way][0]
        assert fed[way] == pytest.approx([8 * rate, 16 * rate, 32 * rate])
    theirs = (images_a_second[way][0] for way in (pipeline.IMAGE_FOLDER, pipeline.ON_TENSORS))
    assert target.measured == pytest.approx(max(theirs) / images_a_second[pipeline.OURS][0])
    assert target.at_most == 1


def numbers(table: Table) -> dict[str, list[float]]:
    """First cell to the others."""
    return {str(name): [float(cell or 0) for cell in cells] for name, *cells in table.rows}


def test_the_command_prints_the_share_for_given_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.main(["--quick", "--cores", "4", "--gpu-speeds", "0.001", "1e9"])
    printed = capsys.readouterr().out
    assert "GPU that trains on 1e+09 images/s |" in printed
    assert f"| {pipeline.OURS}, 4 cores | 0 | 1 |" in printed
    assert printed.count("### ") == 3


def test_the_ways_read_the_same_photographs(tmp_path: Path) -> None:
    pipeline.write_photos(tmp_path / "photos", 3)
    assert [Image.open(path).size for path in sorted(tmp_path.rglob("*.jpg"))] == [(500, 375)] * 3
    ways = pipeline.ways(tmp_path)
    for index in range(3):
        ours = ways[pipeline.OURS](index)["image"]
        with seeded(sample_seed(0, 0, index)):
            theirs, _ = ways[pipeline.IMAGE_FOLDER](index)
        assert torch.equal(ours, theirs)
        with seeded(sample_seed(0, 0, index)):
            on_tensors = ways[pipeline.ON_TENSORS](index)
        assert (ours - on_tensors).abs().mean() < 0.1  # hues in 8 bits, and not
        pixels = ways[pipeline.OURS_PIXELS](index)["image"]
        assert (pixels.shape, pixels.dtype) == ((3, 224, 224), torch.uint8)
        decoded = torch.from_numpy(np.array(ways[pipeline.DECODE](index)))
        difference = decoded.permute(2, 0, 1).int() - ways[pipeline.DECODE_TENSOR](index).int()
        assert difference.abs().max() <= 2  # two builds of the JPEG library


@pytest.mark.parametrize(
    ("seconds", "cores", "gpu", "share"), [(0.01, 8, 1000, 0.2), (0.01, 8, 800, 0), (0.01, 8, 9, 0)]
)
def test_the_share_of_a_step_that_is_spent_waiting(
    seconds: float, cores: int, gpu: float, share: float
) -> None:
    assert pipeline.waiting(seconds, cores, gpu) == pytest.approx(share)
