"""What cannot work is refused with a message before training starts, and runs nothing."""

import errno
import os
import pickle
import re
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig
from PIL import Image

from conftest import Compose
from odc_lightning.cli.command import run_command
from odc_lightning.train import main, train

DIGITS = (
    *("experiment=odc_digits", "data.subset={num_images: 300}", "algorithm.num_clusters=20"),
    *("algorithm.small_clusters.threshold=5", "data.batch_size=32", "data.num_workers=0"),
    *("model.backbone.width=4", "trainer.accelerator=cpu", "callbacks.label_scores.knn=false"),
    "trainer.max_epochs=1",
)
FOLDER = (*DIGITS, "data=image_folder", "data.subset=null", "data.image_size=16")

SETTINGS = {
    "data.batch_size=0": r"batch_size=0; expected",
    "data.batch_size=-5": r"batch_size=-5; expected",
    "data.batch_size=5000": r"batch_size=5000",
    "data.batch_size=many": r"batch_size=many; expected",
    "data.num_workers=-1": r"num_workers=-1; expected",
    "data.num_views=0": r"num_views=0; expected 1 or more",
    "data.seed=-1": r"data\.seed=-1; expected 0 or more",
    "seed=-1": r"seed=-1; expected",
    "data.image_size=0": r"image_size=0; expected",
    "data.scan=slowly": r"scan=.*slowly.*; expected|scan must be",
    "data.on_error=ignore": r"data\.on_error=ignore; expected raise or skip",
    "data.subset={num_images: 0}": r"num_images",
    "data.subset={num_images: 99999}": r"num_images.*1,?437",
    "+data.subset.images=5": r"data\.subset has images; expected",
    "algorithm.num_clusters=0": r"clusters",
    "algorithm.num_clusters=1": r"clusters",
    "algorithm.num_clusters=-3": r"clusters",
    "algorithm.num_clusters=5000": r"clusters",
    "algorithm.num_clusters=51": r"clusters",
    "algorithm.num_clusters=some": r"num_clusters=some; expected",
    "algorithm.samples_memory.momentum=0": r"momentum.*got 0",
    "algorithm.samples_memory.momentum=1.5": r"momentum.*got 1\.5",
    "algorithm.samples_memory.assignment=near": r"assignment=near; expected l2 or dot or cosine",
    "algorithm.kmeans_bootstrap.iterations=0": r"iterations",
    "algorithm.kmeans_bootstrap.backend=numpy": r"backend.*numpy",
    "algorithm.centroid_refresh.every_n_steps=0": r"every_n_steps=0; expected 1 or more",
    "algorithm.centroid_refresh.clusters=few": r"clusters=few; expected involved or all",
    "algorithm.small_clusters.threshold=-1": r"threshold.*-1",
    "algorithm.small_clusters.moved_half=left": r"moved_half.*left",
    "optimizer.lr=-1": r"-1",
    "optimizer.lr=fast": r"optimizer\.lr=fast; expected a number",
    "trainer.max_epochs=-3": r"max_epochs.*-3",
    "trainer.precision=8": r"precision",
    "trainer.accelerator=abacus": r"abacus",
    "trainer.devices=0": r"devices",
    "trainer.strategy=fsdp": r"fsdp",
    "model.neck.dropout=2": r"dropout.*2",
    "model.neck.out_features=0": r"out_features=0; expected",
    "model.backbone.width=0": r"width=0; expected",
    "callbacks.replica_check.every_n_steps=0": r"every_n_steps=0; expected 1 or more",
    "callbacks.graceful_stop.every_n_steps=0": r"every_n_steps=0; expected 1 or more",
    "train.resume=maybe": r"train\.resume=maybe; expected auto",
    "ckpt_path=/nowhere/last.ckpt": r"/nowhere/last\.ckpt.*does not exist",
    "model.pretrained=/nowhere/last.ckpt": r"/nowhere/last\.ckpt.*does not exist",
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings(setting: str, compose_config: Compose) -> None:
    said = refused(compose_config(*DIGITS, setting))
    assert re.search(SETTINGS[setting], said), said


def refused(config: DictConfig) -> str:
    """What the command says, which must end with exit code 1 and its own message."""
    with pytest.raises(SystemExit) as ended:
        run_command(train, config)
    assert isinstance(ended.value.code, str), ended.value.code
    assert ended.value.code.startswith("error: ")
    return ended.value.code


def refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *settings: str) -> str:
    """The same of the command with Hydra around it."""
    run = (
        ()
        if any(s.startswith("hydra.run.dir=") for s in settings)
        else (f"hydra.run.dir={tmp_path / 'run'}",)
    )
    monkeypatch.setattr(sys, "argv", ["train", *run, *settings])
    GlobalHydra.instance().clear()
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, str), ended.value.code
    assert ended.value.code.startswith("error: ")
    return ended.value.code


class Code:
    """Pickled, it makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def pixels(width: int, height: int) -> bytes:
    """The beginning of a PNG of that size, and no more."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


class Hostile(NamedTuple):
    """What is put into a folder of images, and what is said of it."""

    put: Callable[[Path], object]
    said: str


FILES = {
    "zero bytes": Hostile(lambda f: (f / "a.png").write_bytes(b""), r"a\.png"),
    "text": Hostile(lambda f: (f / "a.png").write_text("no image"), r"a\.png"),
    "a beginning": Hostile(lambda f: (f / "a.png").write_bytes(pixels(30, 30)), r"a\.png"),
    "400 megapixels": Hostile(
        lambda f: (f / "a.png").write_bytes(pixels(20_000, 20_000)), r"a\.png"
    ),
    "pixels that are not finite": Hostile(
        lambda f: Image.fromarray(np.full((16, 16), np.nan, np.float32)).save(f / "a.tif"),
        r"a\.tif.*floating-point",
    ),
    "a link to itself": Hostile(lambda f: (f / "a.png").symlink_to(f / "a.png"), r"a\.png"),
    "a link to nowhere": Hostile(lambda f: (f / "a.png").symlink_to(f / "b.png"), r"a\.png"),
    "a folder with the name of an image": Hostile(lambda f: (f / "a.png").mkdir(), ""),
    "a loop of folders": Hostile(lambda f: (f / "a").symlink_to(f), ""),
    "a name of two lines": Hostile(lambda f: good(f / "two\nlines.png"), ""),
    "a name that is no UTF-8": Hostile(lambda f: good(f / "caf\udce9.png"), ""),
}


def good(path: Path) -> None:
    Image.new("RGB", (16, 16), (len(path.name) % 256, 7, 9)).save(path)


@pytest.mark.parametrize("what", FILES)
def test_files(
    what: str, tmp_path: Path, compose_config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either the file is named in a refusal, or it does no harm."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(40):
        good(folder / f"{number}.png")
    FILES[what].put(folder)
    settings = (
        *(*FOLDER, f"data.root={folder}", "algorithm.num_clusters=4", "data.scan=full"),
        *("algorithm.small_clusters.threshold=2", "data.batch_size=8"),
    )
    if FILES[what].said:
        said = refused(compose_config(*settings))
        assert re.search(FILES[what].said, said), said
    monkeypatch.setattr(
        sys, "argv", ["train", f"hydra.run.dir={tmp_path / 'run'}", *settings, "data.on_error=skip"]
    )
    GlobalHydra.instance().clear()
    main()
    assert (tmp_path / "run" / "summary.json").is_file()


@pytest.mark.parametrize("root", ["missing", "empty", "file"])
def test_folders(root: str, tmp_path: Path, compose_config: Compose) -> None:
    place = tmp_path / root
    if root == "empty":
        place.mkdir()
    if root == "file":
        place.write_text("x")
    assert root in refused(compose_config(*FOLDER, f"data.root={place}"))


CHECKPOINTS: dict[str, Callable[[Path, Path], object]] = {
    "code in a pickle": lambda path, mark: path.write_bytes(pickle.dumps({"a": Code(mark)})),
    "code in a checkpoint": lambda path, mark: torch.save({"a": Code(mark)}, path),
    "text": lambda path, _: path.write_text("weights"),
    "zero bytes": lambda path, _: path.write_bytes(b""),
    "a list": lambda path, _: torch.save([1, 2], path),
    "no weights": lambda path, _: torch.save({"a": 1}, path),
}


@pytest.mark.parametrize("what", CHECKPOINTS)
@pytest.mark.parametrize("option", ["ckpt_path", "model.pretrained"])
def test_checkpoints(what: str, option: str, tmp_path: Path, compose_config: Compose) -> None:
    path, mark = tmp_path / "some.ckpt", tmp_path / "code_was_run"
    CHECKPOINTS[what](path, mark)
    assert "some.ckpt" in refused(compose_config(*DIGITS, f"{option}={path}"))
    assert not mark.exists()


@pytest.mark.parametrize("option", ["hydra.run.dir", "hydra.sweep.dir"])
@pytest.mark.parametrize("what", ["a file in its place", "read-only", "full"])
def test_output_folders(
    option: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write into read-only folders, so the system's answer is given by hand."""
    place = tmp_path / "out"
    if what == "a file in its place":
        place.write_text("x")
    else:
        number = {"read-only": errno.EROFS, "full": errno.ENOSPC}[what]

        def refuse(**_: Any) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("odc_lightning.cli.output_folder.tempfile.TemporaryFile", refuse)
    sweep = ("seed=0,1", "-m") if option == "hydra.sweep.dir" else ()
    said = refusal(monkeypatch, tmp_path, f"{option}={place / 'run'}", *DIGITS, *sweep)
    assert re.search(rf"cannot write to .*out/run \(.+\).*{option}=", said), said


def test_a_disk_that_fills_up_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "clusters.csv")

    monkeypatch.setattr("odc_lightning.callbacks.lifecycle.run_report.write_clusters", refuse)
    said = refusal(monkeypatch, tmp_path, *DIGITS)
    assert "No space left on device: 'clusters.csv'" in said
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
