"""Images that are decoded once: the same pixels wherever they are kept."""

from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision.transforms import v2

from odc_lightning.data import (
    ArraySource,
    FileSource,
    ImageDataModule,
    IndexedDataset,
    decoded_images,
)
from odc_lightning.data.decoded_images import Cache, DecodedImages, Room, decoded_once
from odc_lightning.data.decoding.copies import full_size
from odc_lightning.data.loader import ResumableLoader
from odc_lightning.data.sampler import EpochSampler
from odc_lightning.data.views_of_copies import EnoughFor

VIEW = v2.Compose(
    [v2.RandomResizedCrop(32, (0.3, 1.0)), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
)
NAMES = ["large.jpg", "turned.jpg", "small.png", "scan.tif"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    photos[0].save(tmp_path / "large.jpg")
    exif = Image.Exif()
    exif[0x0112] = 8
    photos[1].save(tmp_path / "turned.jpg", exif=exif)
    photos[1].resize((50, 40)).save(tmp_path / "small.png")
    Image.fromarray(np.arange(600 * 400, dtype=np.uint16).reshape(400, 600)).save(
        tmp_path / "scan.tif"
    )
    return tmp_path


def source_of(folder: Path) -> FileSource:
    return FileSource(folder, NAMES)


def once(folder: Path, cache: Cache, names: list[str] | None = None) -> DecodedImages:
    source = FileSource(folder, names or NAMES)
    found, line = decoded_once(source, EnoughFor(VIEW), cache, Room(folder / "room", 1))
    assert isinstance(found, DecodedImages)
    assert line
    return found


def has_no_room(monkeypatch: pytest.MonkeyPatch, *, disk: int = 0) -> None:
    monkeypatch.setattr(decoded_images, "available_ram", lambda: 0)
    monkeypatch.setattr(decoded_images, "free_on_disk", lambda folder: disk)


def test_pixels_do_not_depend_on_the_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_ram, on_disk = once(folder, "ram"), once(folder, "disk")
    has_no_room(monkeypatch)
    nowhere = once(folder, "auto")
    assert nowhere.pixels is None
    for images in (in_ram, on_disk):
        assert images.pixels is not None
        for _ in range(2):
            for index in range(4):
                image, expected = images.load(index), nowhere.load(index)
                assert image.tobytes() == expected.tobytes()
                assert full_size(image) == full_size(expected) == images.size(index)
    assert nowhere.load(1).size == (69, 104)
    assert nowhere.size(1) == (427, 640)
    assert nowhere.load(2).size == (50, 40)


def test_an_image_is_decoded_once_by_whichever_process(folder: Path) -> None:
    images = once(folder, "ram")
    dataset = IndexedDataset(images, VIEW)
    loader = ResumableLoader(dataset, 2, sampler=EpochSampler(4, seed=0), num_workers=2)
    first = {int(i): view for b in loader for i, view in zip(b["index"], b["image"], strict=True)}
    for name in NAMES:
        (folder / name).unlink()
    for index in range(4):
        assert torch.equal(dataset[(0, index, 0)]["image"], first[index])


def test_other_things_of_a_source_are_kept(folder: Path) -> None:
    labels = np.array([0, 1, 1, 0])
    source = FileSource(folder, NAMES, labels, ["a", "b"])
    images, _ = decoded_once(source, EnoughFor(VIEW), "ram", Room(folder, 1))
    assert len(images) == 4
    assert [images.name(index) for index in range(4)] == NAMES
    assert images.path(3) == folder / "scan.tif"
    assert images.labels is not None
    assert images.labels.tolist() == labels.tolist()
    assert images.class_names == ["a", "b"]


def test_a_file_that_changes_meanwhile_is_read_anew(folder: Path) -> None:
    images = once(folder, "ram")
    Image.new("RGB", (20, 10), "red").save(folder / "small.png")
    for _ in range(2):
        assert images.load(2).size == (20, 10)


def test_a_damaged_file_fails_when_it_is_loaded(folder: Path) -> None:
    (folder / "scan.tif").write_bytes(b"II*\0 nothing")
    images = once(folder, "ram")
    assert images.load(0).size == (104, 69)
    with pytest.raises(ValueError, match=r"cannot decode .*scan\.tif"):
        images.load(3)


@pytest.mark.parametrize(
    ("names", "disk", "words"),
    [
        (["large.jpg"] * 20, 10**9, "kept in a file in"),  # the files are larger than the copies
        (["small.png"] * 20, 10**3, "decoded in each epoch"),
        (["grey.png"] * 20, 10**9, "decoded in each epoch"),  # 100 bytes for 120,000 pixels
    ],
)
def test_auto_writes_no_more_than_the_files_take(
    folder: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], disk: int, words: str
) -> None:
    Image.new("L", (100, 90)).save(folder / "grey.png")
    has_no_room(monkeypatch, disk=disk)
    source = FileSource(folder, names)
    _, line = decoded_once(source, EnoughFor(VIEW), "auto", Room(folder, 1))
    assert words in line
    if names[0] == "grey.png":  # and not the whole disk
        assert f"{(folder / 'grey.png').stat().st_size * 20 / 1e6:.3g} MB on disk" in line


def test_the_line_says_what_and_where(folder: Path) -> None:
    source = FileSource(folder, ["large.jpg"] * 1200)
    _, line = decoded_once(source, EnoughFor(VIEW), "ram", Room(folder, 1))
    assert line == (
        "1,200 images of 640 x 427 pixels are decoded once, to 104 x 69, and kept in RAM: 25.8 MB"
    )


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_the_sizes_of_all_decide(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cache: Cache
) -> None:
    """A sample of one image promises too much."""
    monkeypatch.setattr(decoded_images, "_MEASURED", 1)
    has_no_room(monkeypatch, disk=10_000)
    monkeypatch.setattr(decoded_images, "available_ram", lambda: 20_000)
    names = ["tiny.png", *["large.jpg"] * 3]
    Image.new("RGB", (20, 10)).save(folder / "tiny.png")
    source = FileSource(folder, names)
    images, line = decoded_once(source, EnoughFor(VIEW), "auto", Room(folder, 1))
    assert isinstance(images, DecodedImages)
    assert images.pixels is None
    assert "to 104 x 69, because they would take 0.0652 MB and there is room for 0.005 MB" in line
    with pytest.raises(ValueError, match=rf"data\.cache={cache}: "):
        decoded_once(source, EnoughFor(VIEW), cache, Room(folder, 1))


def test_both_splits_share_the_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded_images, "available_ram", lambda: 4 * 100_000)
    room = Room(folder, 1)
    for left in (56_944, 13_888):
        _, line = decoded_once(FileSource(folder, ["large.jpg"] * 2), EnoughFor(VIEW), "auto", room)
        assert "kept in RAM" in line
        assert room.ram == left
    _, line = decoded_once(source_of(folder), EnoughFor(VIEW), "auto", room)
    assert "kept in a file" in line


@pytest.mark.parametrize("cache", ["auto", "ram"])
def test_what_the_system_does_not_give(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cache: Cache
) -> None:
    monkeypatch.setattr("mmap.mmap", Mock(side_effect=OSError(12, "Cannot allocate memory")))
    if cache == "ram":
        with pytest.raises(ValueError, match=r"cannot be kept in RAM: .*Cannot allocate"):
            once(folder, cache)
    else:
        source = source_of(folder)
        images, line = decoded_once(source, EnoughFor(VIEW), "auto", Room(folder, 1))
        assert "Cannot allocate memory" in line
        assert images.load(0).size == (104, 69)


def test_processes_that_do_not_share_memory(folder: Path) -> None:
    room = Room(folder, 1, in_ram=False)
    _, line = decoded_once(source_of(folder), EnoughFor(VIEW), "auto", room)
    assert "kept in a file" in line
    with pytest.raises(ValueError, match=r"data\.cache=ram: .*set data\.cache=disk, or"):
        decoded_once(source_of(folder), EnoughFor(VIEW), "ram", room)


def test_no_images(folder: Path) -> None:
    source = FileSource(folder, [])
    assert decoded_once(source, EnoughFor(VIEW), "auto", Room(folder, 1)) == (source, "")


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_no_room_where_it_was_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cache: Cache
) -> None:
    has_no_room(monkeypatch)
    with pytest.raises(ValueError, match=rf"data\.cache={cache}: .*set data\.cache=auto"):
        once(folder, cache)


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    (folder / "room").write_text("a file")
    with pytest.raises(ValueError, match=r"cannot be kept in .*room.*data\.cache=none"):
        once(folder, "disk")


def test_an_unknown_place(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.cache=tape; expected auto, ram, disk or none"):
        once(folder, "tape")  # type: ignore[arg-type]


def test_images_in_memory_and_none_are_left_alone(folder: Path) -> None:
    array = ArraySource(np.zeros((3, 100, 100), np.uint8), "x")
    for source, cache in ((array, "ram"), (source_of(folder), "none")):
        found, line = decoded_once(source, EnoughFor(VIEW), cache, Room(folder, 1))  # type: ignore[arg-type]
        assert found is source
        assert line == ""


def batches(folder: Path, cache: Cache, workers: int) -> list[torch.Tensor]:
    """Two epochs of training images, and the evaluation views of both splits."""
    whole = v2.Compose([v2.Resize(32), v2.CenterCrop(32), *VIEW.transforms[1:]])
    source = FileSource(folder, NAMES * 2)
    data = ImageDataModule(
        *(lambda: source, lambda: FileSource(folder, NAMES[:3])),
        *(VIEW, whole),
        image_size=32,
        batch_size=4,
        num_workers=workers,
        cache=cache,
    )
    data.setup("fit")
    found = []
    loader = data.train_dataloader()
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        found += [batch["image"] for batch in loader]
    for split in ("train", "val"):
        found += [batch["image"] for batch in data.extraction_dataloader(split)]
    return found


def test_batches_do_not_depend_on_the_place_or_the_workers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = batches(folder, "ram", 0)
    assert len(expected) == 7
    found = {name: batches(folder, *name) for name in (("ram", 2), ("disk", 0), ("disk", 2))}
    with monkeypatch.context() as patch:
        has_no_room(patch)
        found["auto", 0] = batches(folder, "auto", 0)
    for images in found.values():
        assert all(map(torch.equal, images, expected))
    whole = batches(folder, "none", 0)
    differences = [float((a - b).abs().mean()) for a, b in zip(whole, expected, strict=True)]
    assert 0 < max(differences) < 0.01
