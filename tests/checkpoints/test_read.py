"""What is read, what is refused, and that nothing else is ever unpickled."""

import pickle
from collections import Counter
from pathlib import Path

import pytest
import torch

from odc_lightning.checkpoints import checkpoint_file, read_checkpoint


def test_a_file_and_the_folder_of_a_run(tmp_path: Path) -> None:
    file = tmp_path / "run" / "checkpoints" / "last.ckpt"
    file.parent.mkdir(parents=True)
    torch.save({"weight": torch.ones(2)}, file)
    assert checkpoint_file(file) == file
    assert checkpoint_file(tmp_path / "run") == file
    assert torch.equal(read_checkpoint(file)["weight"], torch.ones(2))


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
    with pytest.raises(ValueError, match=r"damaged\.ckpt is no checkpoint, or it is damaged"):
        read_checkpoint(file)


def test_something_else_than_a_dictionary(tmp_path: Path) -> None:
    torch.save(torch.ones(2), tmp_path / "tensor.pt")
    with pytest.raises(ValueError, match="holds a Tensor; expected a dictionary"):
        read_checkpoint(tmp_path / "tensor.pt")
