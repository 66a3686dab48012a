"""Images of 16 and 32 bits have one range of values, in training and in all that follows."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from conftest import Compose, compose_command, composer
from helpers.raw_images import png, tiff
from odc_lightning import evaluate, load
from odc_lightning.assign import assign
from odc_lightning.cli.odc import translated
from odc_lightning.config.automatic import with_automatic_settings
from odc_lightning.export import export
from odc_lightning.inference import TrainedModel
from odc_lightning.inference.image_table import images_of
from odc_lightning.runs.clustered_images import read_clusters
from odc_lightning.train import train

QUICK = ("trainer.max_epochs=1", "trainer.accelerator=cpu", "data.num_workers=0")


def stripes(number: int) -> np.ndarray:
    """(32, 32) grey levels of 8 bits, with stripes in one of two directions."""
    y, x = np.mgrid[:32, :32]
    noise = np.random.default_rng(number).integers(0, 40, (32, 32))
    levels: np.ndarray = 60 + noise + ((x if number % 2 else y) // 4 % 2) * 100
    return levels


def write(folder: Path, scale: int, count: int = 24) -> Path:
    """The same pictures in 16 bits, with all grey levels multiplied by ``scale``."""
    folder.mkdir(parents=True)
    for number in range(count):
        values = (stripes(number) * scale).astype(np.uint16)
        Image.fromarray(values).save(folder / f"{number:02}.png")
    return folder


def chosen(folder: Path, compose_config: Compose, *overrides: str) -> tuple[DictConfig, list[str]]:
    config = compose_config(
        *translated("train", [str(folder), "model.pretrained=null", *overrides]), *QUICK
    )
    return with_automatic_settings(config)


def pixels_seen(config: DictConfig) -> list[np.ndarray]:
    """The images of a training as the scan accepts them."""
    data = instantiate(config.data)
    data.setup("predict")
    source = data.train_dataset.source
    return [np.asarray(source.load(index))[..., 0] for index in range(len(source))]


@pytest.mark.parametrize(
    ("bits", "scale", "expected"), [(8, 1, 256), (12, 16, 4096), (16, 257, 65536)]
)
def test_the_bits_that_are_used_count(
    bits: int, scale: int, expected: int, compose_config: Compose, tmp_path: Path
) -> None:
    config, lines = chosen(write(tmp_path / "photos", scale), compose_config)
    assert config.data.value_range == [0, expected]
    assert len([line for line in lines if line.startswith(f"data.value_range=[0, {expected}]")])
    for number, pixels in enumerate(pixels_seen(config)):
        np.testing.assert_array_equal(pixels, stripes(number))


def test_other_numbers(compose_config: Compose, tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 48).reshape(1, 48).repeat(32, axis=0)
    black_to_white = np.floor(np.linspace(0, 255.999, 48)).astype(int)
    files = {
        "u32": ((ramp * (2**32 - 1)).astype("<u4"), [0, 2**32]),
        "hounsfield": ((ramp * 4095 - 1024).astype("<i2"), [-1024, 4096]),
        "float": (ramp.astype("<f4"), [0, 1]),
        "small": ((ramp * 255).astype("<i4"), [0, 256]),
    }
    for name, (values, expected) in files.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "x.tif").write_bytes(tiff(values))
        config, _ = chosen(folder, compose_config)
        assert config.data.value_range == expected, name
        seen = pixels_seen(config)[0][0].astype(int)
        if name == "hounsfield":  # the upper fifth of the range holds no value
            np.testing.assert_allclose(seen, black_to_white * 0.8, atol=2)
        else:
            np.testing.assert_allclose(seen, black_to_white, atol=1, err_msg=name)


def test_what_is_given_holds(compose_config: Compose, tmp_path: Path) -> None:
    folder = write(tmp_path / "photos", 16, count=2)
    config, lines = chosen(folder, compose_config, "data.value_range=[0,16384]")
    assert config.data.value_range == [0, 16384]
    assert not [line for line in lines if "value_range" in line]
    np.testing.assert_array_equal(pixels_seen(config)[0], stripes(0) // 4)


def test_eight_bits_beside_sixteen(compose_config: Compose, tmp_path: Path) -> None:
    folder = write(tmp_path / "photos", 16, count=2)
    Image.fromarray(stripes(7).astype(np.uint8)).save(folder / "eight.png")
    config, _ = chosen(folder, compose_config)
    assert config.data.value_range == [0, 4096]
    expected = {"00.png": stripes(0), "01.png": stripes(1), "eight.png": stripes(7)}
    for pixels, name in zip(pixels_seen(config), expected, strict=True):
        np.testing.assert_array_equal(pixels, expected[name])


def test_eight_bits_alone_have_no_range(compose_config: Compose, tmp_path: Path) -> None:
    Image.fromarray(stripes(0).astype(np.uint8)).save(tmp_path / "a.png")
    config, lines = chosen(tmp_path, compose_config)
    assert config.data.value_range is None
    assert not [line for line in lines if "value_range" in line]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on images of 12 bits."""
    folder = tmp_path_factory.mktemp("twelve")
    photos = write(folder / "photos", 16)
    config = composer(folder, "train")(
        *translated("train", [str(photos), "model.pretrained=null"]), *QUICK
    )
    train(config)
    return folder / "run"


@pytest.fixture(scope="module")
def model(run: Path) -> TrainedModel:
    return load(run, device="cpu")


def test_the_range_is_in_the_run_and_in_all_that_reads_it(
    run: Path, model: TrainedModel, tmp_path: Path
) -> None:
    assert OmegaConf.load(run / "config.yaml").data.value_range == [0, 4096]
    file = tmp_path / "new" / "a.png"
    file.parent.mkdir()
    file.write_bytes(png((stripes(3) * 16)[..., None], bits=16))
    gray = Image.fromarray(stripes(3).astype(np.uint8)).convert("RGB")
    torch.testing.assert_close(model.embed([file]), model.embed([gray]), atol=0, rtol=0)
    torch.testing.assert_close(model.embed([Image.open(file)]), model.embed([gray]))

    on_page = read_clusters(model.run, model.run.config.data).source
    for source in (on_page, model.training_images()):
        np.testing.assert_array_equal(np.asarray(source.load(5))[..., 0], stripes(5))

    words = (f"run='{run}'", f"root='{file.parent}'", "num_workers=0")
    source = images_of(compose_command("assign", *words), model)
    np.testing.assert_array_equal(np.asarray(source.load(0)), np.asarray(gray))
    brighter = images_of(compose_command("assign", *words, "data.value_range=[0,2048]"), model)
    assert np.asarray(brighter.load(0)).max() == 255


def test_an_evaluation_reads_other_images_by_the_runs_range(
    run: Path, tmp_path: Path, compose_evaluation: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(Exception):
        """The config that would be evaluated."""

    def stop(config: DictConfig) -> None:
        raise Stop(config)

    monkeypatch.setattr(evaluate, "build_backbone", stop)
    others = ("data=image_folder", f"data.root='{tmp_path}'")
    with pytest.raises(Stop) as caught:
        evaluate.evaluate(compose_evaluation(f"checkpoint='{run}'", *others))
    assert caught.value.args[0].data.value_range == [0, 4096]


def test_an_export_says_how_values_become_greys(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(compose_command("export", f"run='{run}'", f"out='{out}'", "onnx=false"))
    view = json.loads((out / "preprocessor_config.json").read_text("utf-8"))
    assert view["value_range"] == [0, 4096]
    assert "256 equal steps from 0 (black) to 4096 (white)" in (out / "README.md").read_text(
        "utf-8"
    )


def test_a_run_of_eight_bits_asks_for_the_range(photos_run: Path, tmp_path: Path) -> None:
    write(tmp_path / "new", 16, count=2)
    words = (f"run='{photos_run}'", f"root='{tmp_path / 'new'}'", "num_workers=0")
    with pytest.raises(ValueError, match=r"00.png: integers of 16 .* data.value_range=\[low,high"):
        assign(compose_command("assign", *words))
    given = compose_command("assign", *words, "data.value_range=[0,4096]")
    source = images_of(given, load(photos_run, device="cpu")).in_copies(None)
    np.testing.assert_array_equal(np.asarray(source.load(0))[..., 0], stripes(0))


def test_a_run_without_the_key_reads_the_upper_eight_bits(run: Path, tmp_path: Path) -> None:
    config = load(run, device="cpu").run.config
    del config.data["value_range"]
    del config.data["max_pixels"]
    old = tmp_path / "old"
    (old / "checkpoints").mkdir(parents=True)
    OmegaConf.save(config, old / "config.yaml")
    shutil.copy(run / "checkpoints" / "last.ckpt", old / "checkpoints")
    source = load(old, device="cpu").training_images()
    np.testing.assert_array_equal(np.asarray(source.load(5))[..., 0], stripes(5) * 16 >> 8)
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(ValueError, match=r"floating-point values, and data\.value_range"):
        load(old, device="cpu").embed([tmp_path / "x.tif"])


@pytest.mark.parametrize("value", ["[1]", "[2,1]", "[0,a]", "[0,.inf]", "8bit", "12", "{a: 1}"])
def test_other_values_are_refused(value: str, compose_config: Compose, tmp_path: Path) -> None:
    folder = write(tmp_path / "photos", 1, count=1)
    with pytest.raises(
        ValueError, match=r"data.value_range=.*expected 16bit, null, or \[low, high"
    ):
        chosen(folder, compose_config, f"data.value_range={value}")
