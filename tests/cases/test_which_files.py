"""Which files of a folder are images: a phone's, a NAS's, and one with odd names."""

import logging
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from conftest import Compose, compose_command
from odc_lightning.assign import assign
from odc_lightning.cli.odc import translated
from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.automatic import with_automatic_settings
from odc_lightning.data import FileSource, ImageDataModule, image_folder
from odc_lightning.data.datasets.places import places205

EXCLUDE = OmegaConf.load(f"{CONFIG_DIR}/data/base.yaml").exclude


def write_images(folder: Path, count: int, side: int = 32, extension: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"img_{number:03d}.{extension}")


def phone(folder: Path) -> Path:
    """40 JPEG, an MPO, and 102 files that are not decoded."""
    write_images(folder, 40, extension="jpg")
    first = Image.open(folder / "img_000.jpg")
    first.save(folder / "stereo.mpo", format="MPO", save_all=True, append_images=[first.copy()])
    for number in range(100, 200):
        (folder / f"IMG_{number}.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (folder / "raw.DNG").write_bytes((folder / "img_001.jpg").read_bytes())
    (folder / "noextension").write_bytes((folder / "img_002.jpg").read_bytes())
    return folder


ACCOUNT = (
    "102 files passed over: 100 .heic (install pillow-heif to use them), "
    "1 .dng (raw photographs, export them as JPEG or TIFF), 1 without an extension"
)


@pytest.fixture
def without_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has no pillow-heif."""
    known = {key: kind for key, kind in Image.registered_extensions().items() if kind != "HEIF"}
    monkeypatch.setattr(Image, "EXTENSION", known)


def test_a_phones_folder(
    tmp_path: Path, compose_config: Compose, without_heif: None, caplog: pytest.LogCaptureFixture
) -> None:
    config, lines = with_automatic_settings(
        compose_config(
            *translated("train", [str(phone(tmp_path / "photos")), "model.pretrained=null"])
        )
    )
    assert config.algorithm.num_clusters == 13
    assert any("for 41 images" in line for line in lines)
    data: ImageDataModule = instantiate(config.data)
    with caplog.at_level("INFO"):
        data.setup("fit")
    assert data.num_samples == 41
    accounts = [record for record in caplog.records if "passed over" in record.message]
    assert [(record.levelno, record.message) for record in accounts] == [
        (logging.WARNING, f"data.train: {ACCOUNT}")
    ]


def test_new_images_of_a_phone(
    photos_run: Path, tmp_path: Path, without_heif: None, caplog: pytest.LogCaptureFixture
) -> None:
    root = phone(tmp_path / "new")
    settings = (f"run='{photos_run}'", f"root='{root}'", "num_workers=0")
    with caplog.at_level("INFO"):
        folder = assign(compose_command("assign", *settings, f"out='{tmp_path / 'out'}'"))
    assert ACCOUNT in caplog.text
    assert len((folder / "assigned.csv").read_text().splitlines()) == 42
    for file in root.iterdir():
        if file.suffix != ".HEIC":
            file.unlink()
    with pytest.raises(ValueError, match=r"no images below .*: 100 \.heic \(install pillow-heif"):
        assign(compose_command("assign", *settings))


def test_a_nas_and_photo_programs(tmp_path: Path, compose_config: Compose) -> None:
    root = tmp_path / "photos"
    write_images(root, 30, 64)
    others = (
        *("@eaDir/img_000.png", "sub/@eaDir/x.png", "#recycle", "sub/#Recycle/2019", "@Recycle"),
        *("$RECYCLE.BIN", "$Recycle.Bin/S-1-5", ".Trash-1000/files", ".Trashes/501", "lost+found"),
        *(".thumbnails/normal", "System Volume Information", ".picasaoriginals", "#snapshot/d"),
        *("Catalog Previews.lrdata/A", "Mine.photoslibrary/resources/derivatives", "LOST.DIR"),
        *("Old.photolibrary/Thumbnails/2012", ".@__thumb", "sub/.hidden/deep"),
    )
    for folder in others:
        write_images(root / folder, 2, 8)
    kept = ("Mine.photoslibrary/originals/A", "Old.photolibrary/Masters/2012", "recycled", "cache")
    for folder in kept:
        write_images(root / folder, 1, 64)
    config, _ = with_automatic_settings(
        compose_config(*translated("train", [str(root), "model.pretrained=null"]))
    )
    assert config.data.image_size == 64
    assert config.algorithm.num_clusters == round(2 * 34**0.5)
    source: FileSource = instantiate(config.data.train)()
    expected = [f"img_{number:03d}.png" for number in range(30)]
    assert sorted(source.names) == sorted([*expected, *(f"{each}/img_000.png" for each in kept)])
    assert str(source.passed_over).startswith("40 images left out by data.exclude: 12 by .*, ")
    assert "4 by @eaDir/" in str(source.passed_over)
    # The list of the user replaces the default one.
    config = compose_config(
        *translated("train", [str(root), "model.pretrained=null"]),
        "data.exclude=[sub/,'img_0[12]*']",
    )
    source = instantiate(config.data.train)()
    assert not any(name.startswith("sub/") or "/img_01" in name for name in source.names)
    assert "@eaDir/img_000.png/img_000.png" in source.names
    assert str(source.passed_over) == (
        "26 images left out by data.exclude: 20 by img_0[12]*, 6 by sub/"
    )


def test_a_run_from_before_lists_what_it_listed(tmp_path: Path) -> None:
    """Its config has no `data.exclude`."""
    write_images(tmp_path / "@eaDir", 1)
    write_images(tmp_path / ".hidden", 1)
    write_images(tmp_path, 1)
    assert image_folder(str(tmp_path)).names == ["@eaDir/img_000.png", "img_000.png"]


def test_class_folders_of_a_nas(tmp_path: Path) -> None:
    for name in ("abbey", "bar", "abbey/@eaDir/img_000.png"):
        write_images(tmp_path / "train" / name, 1)
    assert places205(str(tmp_path), "train", EXCLUDE).class_names == ["abbey", "bar"]


def test_odd_names(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    write_images(root, 24)
    odd = [b"caf\xe9.png".decode("utf-8", "surrogateescape"), "line\nbreak.png"]
    odd += ['semi;colon,"q".png', "=SUM(1).png", "<b>x&y.png", "trail .PNG", "sub/img_009.png"]
    (root / "sub").mkdir()
    for name in odd:
        (root / name).write_bytes((root / "img_000.png").read_bytes())
    (root / "link.png").symlink_to("img_008.png")
    (root / "sub" / "loop").symlink_to("..")
    (root / "__MACOSX").mkdir()
    for name in ("._img_000.png", "__MACOSX/._img_001.png", "Thumbs.db"):
        (root / name).write_bytes(b"\0\5\x16\7")
    source = image_folder(str(root), exclude=EXCLUDE)
    assert len(source) == 32
    assert set(source.names) > {*odd, "link.png"}
    assert str(source.passed_over) == ""
