"""What is read, what is refused, and that nothing else is ever unpickled."""

import importlib
import os
import pickle
import shutil
import struct
import sys
import zipfile
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from odc_lightning.checkpoints import checkpoint_file, read_checkpoint


def test_a_file_and_the_folder_of_a_run(tmp_path: Path) -> None:
    file = tmp_path / "run" / "checkpoints" / "last.ckpt"
    file.parent.mkdir(parents=True)
    torch.save({"weight": torch.ones(2)}, file)
    assert checkpoint_file(file) == file
    assert checkpoint_file(tmp_path / "run") == file
    assert torch.equal(read_checkpoint(file)["weight"], torch.ones(2))


def test_of_a_run_the_kept_state_is_read_and_the_trained_one_resumed(tmp_path: Path) -> None:
    kept, last = (tmp_path / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    kept.parent.mkdir()
    torch.save({}, kept)
    torch.save({}, last)
    assert checkpoint_file(tmp_path) == kept
    assert checkpoint_file(tmp_path, to_resume=True) == last
    assert checkpoint_file(last) == last


def test_the_old_format_of_torch(tmp_path: Path) -> None:
    file = tmp_path / "old.pth"
    torch.save({"weight": torch.ones(2)}, file, _use_new_zipfile_serialization=False)
    assert torch.equal(read_checkpoint(file)["weight"], torch.ones(2))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no\.ckpt does not exist; expected a checkpoint file"):
        checkpoint_file(tmp_path / "no.ckpt")
    with pytest.raises(ValueError, match=r"folder without checkpoints/last\.ckpt"):
        checkpoint_file(tmp_path)


class Trap:
    """Unpickling it leaves a trace."""

    sprung = False

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return (spring, ())  # type: ignore[return-value]


def spring() -> None:
    Trap.sprung = True


def test_other_objects_are_refused_and_not_run(tmp_path: Path) -> None:
    file = tmp_path / "trap.ckpt"
    torch.save({"state_dict": {}, "hyper_parameters": Trap()}, file)
    with pytest.raises(ValueError, match="holds more than tensors and plain types"):
        read_checkpoint(file)
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"a": Counter("ab"), "b": Trap()}))
    with pytest.raises(ValueError, match=r"plain\.pkl"):
        read_checkpoint(tmp_path / "plain.pkl")
    assert not Trap.sprung


@pytest.mark.parametrize("keep", [0, 10, -100])
def test_damaged_files(tmp_path: Path, keep: int) -> None:
    file = tmp_path / "damaged.ckpt"
    torch.save({"weight": torch.ones(2000)}, file)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"damaged\.ckpt is not a checkpoint, or is damaged"):
        read_checkpoint(file)


def test_a_flipped_bit_is_found_by_the_checksums(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save({"weight": torch.ones(2000)}, file)
    content = file.read_bytes()
    one = torch.ones(1).numpy().tobytes()
    place = content.index(one * 2000) + 4 * 1234
    file.write_bytes(content[:place] + b"\1" + content[place + 1 :])
    with pytest.raises(ValueError, match=r"damaged: the checksum of its part weights/data/0 is"):
        read_checkpoint(file)
    assert read_checkpoint(file, whole=False)["weight"][1234] != 1
    # torch can save files without checksums.
    with zipfile.ZipFile(file) as archive:
        sums = [struct.pack("<I", part.CRC) for part in archive.infolist()]
    without = file.read_bytes()
    for each in sums:
        without = without.replace(each, bytes(4))
    file.write_bytes(without)
    assert read_checkpoint(file)["weight"].shape == (2000,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>", r"is a web page, not the file itself; download the file again"),
        (b"version https://git-lfs.github.com/", r"is a Git LFS pointer, .*; run git lfs pull"),
        (b"\x89PNG\r\n", r"not a checkpoint.*expected a file of torch"),
    ],
)
def test_what_is_no_checkpoint_at_all_is_not_to_be_trusted(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "download.pth"
    file.write_bytes(content * 20)
    with pytest.raises(ValueError, match=message) as caught:
        read_checkpoint(file)
    assert "trusted" not in str(caught.value)


def test_the_refusal_names_the_object_and_does_not_advise_to_run_it(tmp_path: Path) -> None:
    torch.save({"bomb": Trap()}, tmp_path / "bomb.pth")
    with pytest.raises(ValueError, match=r"Unsupported .*spring") as caught:
        read_checkpoint(tmp_path / "bomb.pth")
    assert "\x1b" not in str(caught.value)
    assert "weights_only" not in str(caught.value)


def test_something_else_than_a_dictionary(tmp_path: Path) -> None:
    torch.save(torch.ones(2), tmp_path / "tensor.pt")
    with pytest.raises(ValueError, match="holds a Tensor; expected a dictionary"):
        read_checkpoint(tmp_path / "tensor.pt")


def test_safetensors(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({"weight": torch.arange(3.0)}, file)
    assert torch.equal(read_checkpoint(file)["weight"], torch.arange(3.0))
    assert torch.equal(read_checkpoint(file, trusted=True)["weight"], torch.arange(3.0))
    other = tmp_path / "pytorch_model.bin"  # by what is in it, not by its name
    other.write_bytes(file.read_bytes())
    assert torch.equal(read_checkpoint(other)["weight"], torch.arange(3.0))
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(ValueError, match="is not a checkpoint, or is damaged"):
        read_checkpoint(file)


@pytest.mark.parametrize(
    "write", [torch.save, lambda c, f: f.write_bytes(pickle.dumps(c, protocol=2))]
)
def test_what_is_pickled_needs_trust(tmp_path: Path, write: Callable[[Any, Path], None]) -> None:
    file = tmp_path / "array.pkl"
    write({"blobs": {"conv1_w": np.ones(3), "lr": Counter("a")}}, file)
    with pytest.raises(ValueError, match=r"If you trust .* add model\.pretrained_trusted=true"):
        read_checkpoint(file, option="model.pretrained")
    content = read_checkpoint(file, trusted=True)
    assert content["blobs"]["conv1_w"].sum() == 3


def test_only_a_trusted_file_runs(tmp_path: Path) -> None:
    for name in ("zip.pth", "raw.pkl"):
        file = tmp_path / name
        if name == "zip.pth":
            torch.save({"bomb": Trap()}, file)
        else:
            file.write_bytes(pickle.dumps({"bomb": Trap()}, protocol=2))
        Trap.sprung = False
        with pytest.raises(ValueError, match="could run any code"):
            read_checkpoint(file)
        assert not Trap.sprung
        read_checkpoint(file, trusted=True)
        assert Trap.sprung
    Trap.sprung = False


def test_settings_of_a_command_line_need_no_trust(tmp_path: Path) -> None:
    torch.save({"args": Namespace(arch="resnet50", lr=0.1)}, tmp_path / "dino.pth")
    assert read_checkpoint(tmp_path / "dino.pth")["args"].arch == "resnet50"
    torch.save({"args": Namespace(trap=Trap())}, tmp_path / "trap.pth")
    with pytest.raises(ValueError, match="could run any code"):
        read_checkpoint(tmp_path / "trap.pth")
    assert not Trap.sprung


def test_trusted_but_damaged_or_of_a_package_that_is_not_here(tmp_path: Path) -> None:
    file = tmp_path / "file.pkl"
    file.write_bytes(b"cno_such_package\nThing\n.")
    with pytest.raises(ValueError, match=r"a package that is not installed here.*no_such_package"):
        read_checkpoint(file, trusted=True)
    file.write_bytes(pickle.dumps({"weight": np.ones(300)})[:50])
    with pytest.raises(ValueError, match="is not a checkpoint, or is damaged"):
        read_checkpoint(file, trusted=True)


def test_the_old_format_of_torch_trusted(tmp_path: Path) -> None:
    file = tmp_path / "old.pth"
    torch.save({"weight": np.ones(2)}, file, _use_new_zipfile_serialization=False)
    assert read_checkpoint(file, trusted=True)["weight"].sum() == 2


# Not sys.exit: W&B replaces it, and pickle then refuses the former one.
@pytest.mark.parametrize(
    "function", [os.system, sys.getsizeof, shutil.rmtree, importlib.import_module]
)
def test_blocked_modules_are_refused_in_our_words(tmp_path: Path, function: Any) -> None:
    """torch's own message advises to load the file with weights_only=False."""

    class Call:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (function, ("nothing",))

    for by_zip in (True, False):
        file = tmp_path / "call.pth"
        torch.save({"a": Call()}, file, _use_new_zipfile_serialization=by_zip)
        with pytest.raises(
            ValueError, match=rf"Unsupported global: \w+\.{function.__name__}\)"
        ) as e:
            read_checkpoint(file, option=None)
        assert "weights_only" not in str(e.value)
        assert "trusted" not in str(e.value)
        assert "\n" not in str(e.value)


def test_a_name_in_the_file_cannot_forge_lines(tmp_path: Path) -> None:
    file = tmp_path / "forged.pth"
    file.write_bytes(b"\x80\x02cevil\x1b[31m" + b"x" * 500 + b"\nname\n.")
    with pytest.raises(ValueError, match=r"forged\.pth") as caught:
        read_checkpoint(file)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600 + len(str(tmp_path))


def test_a_small_file_that_unpacks_to_a_large_one(tmp_path: Path) -> None:
    whole, small = tmp_path / "whole.ckpt", tmp_path / "small.ckpt"
    torch.save({"weight": torch.zeros(2**25)}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as out:
        for part in source.infolist():
            out.writestr(part.filename, source.read(part))
    assert small.stat().st_size < 2**18
    assert read_checkpoint(whole)["weight"].shape == (2**25,)
    with pytest.raises(ValueError, match=r"has 0\.1 MB but unpacks to 134 MB.*_trusted=true"):
        read_checkpoint(small)
    assert read_checkpoint(small, trusted=True)["weight"].shape == (2**25,)
    torch.save({"deep": [{"weight": torch.zeros(1).expand(2**31)}]}, small)
    with pytest.raises(ValueError, match=r"shape \(2147483648,\) that the file does not store"):
        read_checkpoint(small)
