"""The output folder of a command: writable, locked while the command runs, and of one output."""

import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Literal

from filelock import AcquireReturnProxy, Timeout
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.utilities import rank_zero_only

from odc_lightning.sweeps.search_space import as_override
from odc_lightning.utils.folder_lock import lock_folder
from odc_lightning.utils.text import error_text, first_line, printable

# Each output, files that only it has, and a key that only its command has.
_TRAINING = "a training run"
_OUTPUTS = (
    (_TRAINING, "checkpoints/*.ckpt", "train"),
    (_TRAINING, "summary.json", "train"),
    ("an evaluation", "results.json", "checkpoint"),
    ("a page of clusters", "index.html", "sort_into"),
    ("names of images", "labels.coco.json", "sure"),
    ("a search", "study.db", "space"),
)
_PROBES = "linear.ckpt"  # of an evaluation, also in checkpoints/
_locks: list[AcquireReturnProxy | None] = []  # held until the command ends


class OutputFolder(Callback):
    """Makes and locks the output folder, before Hydra writes to it.

    Only the first rank does so; the other ranks of a run share its folder.
    """

    @rank_zero_only
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Take the folder of a single run."""
        folder = _take(config, "run")
        try:
            refuse_other_output(folder, config)
        except ValueError as error:
            sys.exit(error_text(error))
        if resumes_in(folder, config) and (folder / "config.yaml").is_file():
            # The records in `.hydra` stay those of the run until this command is accepted.
            with read_write(config.hydra), open_dict(config.hydra):
                config.hydra.output_subdir = None

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Release the folder; a command that ends otherwise releases it by ending."""
        while _locks:
            if (lock := _locks.pop()) is not None:
                lock.lock.release(force=True)

    @rank_zero_only
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Take the folder of a sweep."""
        folder = _take(config, "sweep")
        with read_write(config.hydra), open_dict(config.hydra):
            # The jobs' configs are composed from the overrides.
            config.hydra.overrides.hydra.append(as_override("hydra.sweep.dir", str(folder)))


def refuse_other_output(folder: Path, config: DictConfig, option: str = "hydra.run.dir") -> None:
    """Refuse a folder that has other output than the command's, or output to be replaced unasked.

    Args:
        folder: of the command's output.
        config: of the command.
        option: the key of the folder, for the message.

    Raises:
        ValueError: see above.
    """
    found = {
        output: key
        for output, files, key in _OUTPUTS
        if any(file.name != _PROBES for file in folder.glob(files))
    }
    choose = f"choose another folder with {option}=..."
    for output, key in found.items():
        if key not in set(config):  # "in config" is false for keys that must be given
            raise ValueError(f"{folder} has {output}; {choose}")
        if output == "a search" or config.get("overwrite") or resumes_in(folder, config):
            continue
        resume = "add train.resume=auto to resume it, " if output == _TRAINING else ""
        raise ValueError(
            f"{folder} has {output} already; {resume or 'add '}overwrite=true to replace it, "
            f"or {choose}"
        )


def resumes_in(folder: Path, config: DictConfig) -> bool:
    """Whether a training resumes the run in its own folder."""
    if OmegaConf.select(config, "train.resume") == "auto":
        return True
    checkpoint = config.get("ckpt_path")
    return checkpoint is not None and folder.resolve() in Path(str(checkpoint)).resolve().parents


def _take(config: DictConfig, mode: Literal["run", "sweep"]) -> Path:
    """Make the folder if it is missing, and lock it; one that is named by the time is new.

    Hydra itself would end with a traceback if the folder cannot be written, and would let two
    commands of one second share a folder.
    """
    node, option = config.hydra[mode], f"hydra.{mode}.dir"
    try:
        folder = Path(node.dir)
    except OmegaConfBaseException as error:
        sys.exit(error_text(f"{option} has no value: {first_line(error)}"))
    try:
        if "${now:" in OmegaConf.to_container(node, resolve=False)["dir"]:  # type: ignore
            folder = next(_new(folder))
            with read_write(config.hydra), open_dict(config.hydra):
                node.dir = str(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"a full disk accepts an empty file, but no content")
    except OSError as error:
        reason = f"cannot write to {printable(folder)} ({error.strerror})"
        sys.exit(error_text(f"{reason}; choose another folder with {option}=..."))
    try:
        _locks.append(lock_folder(folder))
    except Timeout:
        command = "search" if "space" in config else "command"
        reason = f"another {command} is running in {printable(folder)}"
        advice = f"wait until it ends, or choose another folder with {option}=..."
        sys.exit(error_text(f"{reason}; {advice}"))
    return folder


def _new(folder: Path) -> Iterator[Path]:
    """Make a folder that no other command has made: its own name, or that with _2, _3, ..."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        path = folder if number == 1 else folder.with_name(f"{folder.name}_{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        yield path
