"""One run in one folder: two commands never share it, and a run is not overwritten unasked."""

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.utils import setup_globals
from omegaconf import DictConfig

from helpers.command import SMALL
from helpers.odc_lines import run_line
from odc_lightning.cli.output_folder import OutputFolder
from odc_lightning.config import CONFIG_DIR


def composed(name: str, *overrides: str) -> DictConfig:
    setup_globals()  # the resolver `now`
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        return compose(name, list(overrides), return_hydra_config=True)


def taken(name: str, *overrides: str) -> Path:
    """The folder of a single run, as its command takes it before it starts."""
    config = composed(name, *overrides)
    OutputFolder().on_run_start(config)
    return Path(config.hydra.run.dir)


def refusal(name: str, *overrides: str) -> str:
    with pytest.raises(SystemExit) as ended:
        taken(name, *overrides)
    return str(ended.value.code)


@pytest.mark.parametrize("name", ["train", "evaluate", "clusters"])
def test_two_commands_of_one_second_have_two_folders(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pattern = "hydra.run.dir='out/${now:%Y-%m-%d}'"  # a day, so that the test never crosses it
    folders = [taken(name, pattern) for _ in range(3)]
    assert [folder.name[10:] for folder in folders] == ["", "_2", "_3"]
    assert all(folder.is_dir() for folder in folders)


def test_two_sweeps_of_one_second_have_two_folders(tmp_path: Path) -> None:
    configs = [composed("train", f"hydra.sweep.dir='{tmp_path}/a b/${{now:%Y}}'") for _ in "12"]
    for config in configs:
        OutputFolder().on_multirun_start(config)
    first, second = (Path(config.hydra.sweep.dir) for config in configs)
    assert second == first.with_name(f"{first.name}_2")
    jobs = composed("train", *configs[1].hydra.overrides.hydra)  # as a job is composed
    assert Path(jobs.hydra.sweep.dir) == second


def hold(folder: str, ready: Any) -> None:
    taken("train", f"hydra.run.dir={folder}")
    worker = os.fork()  # a dataloader's worker may live longer than the command
    ready.put(worker)
    signal.pause()


def test_the_folder_of_a_running_command_is_refused_until_it_ends(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.SimpleQueue()
    folder = str(tmp_path / "run")
    owner = context.Process(target=hold, args=(folder, ready))
    owner.start()
    worker = ready.get()
    try:
        for resume in ((), ("train.resume=auto",), ("overwrite=true",)):
            said = refusal("train", f"hydra.run.dir={folder}", *resume)
            assert said.startswith(f"error: another command is running in {folder}; wait")
        assert "another command is running in" in refusal("evaluate", f"hydra.run.dir={folder}")
        owner.kill()
        owner.join()
        assert taken("train", f"hydra.run.dir={folder}") == Path(folder)
    finally:
        os.kill(worker, signal.SIGKILL)


def test_other_ranks_share_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytorch_lightning.utilities import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 1)
    assert taken("train", f"hydra.run.dir={tmp_path / 'run'}") == tmp_path / "run"
    assert not (tmp_path / "run").exists()


def test_the_output_of_another_command_is_refused(tmp_path: Path) -> None:
    files = {
        "run": ("checkpoints/last.ckpt", "train", "a training run"),
        "probed": ("checkpoints/linear.ckpt", "evaluate", None),
        "evaluation": ("results.json", "evaluate", "an evaluation"),
        "page": ("index.html", "clusters", "a page of clusters"),
        "search": ("study.db", "search", None),
        "photos": ("holiday.jpg", "train", None),
    }
    for folder, (file, own, output) in files.items():
        (tmp_path / folder / file).parent.mkdir(parents=True)
        (tmp_path / folder / file).touch()
        place = f"hydra.run.dir={tmp_path / folder}"
        for name in ("train", "evaluate", "clusters", "search"):
            if output is not None and name != own:
                always = () if name == "search" else ("overwrite=true",)
                assert f"{tmp_path / folder} has {output}; choose" in refusal(name, place, *always)
        if output is None:
            assert taken(own, place).is_dir()
        else:
            assert f"has {output} already; add" in refusal(own, place)
            assert taken(own, place, "overwrite=true").is_dir()
    assert taken("train", f"hydra.run.dir={tmp_path / 'run'}", "train.resume=auto").is_dir()
    last = f"ckpt_path={tmp_path / 'run' / 'checkpoints' / 'last.ckpt'}"
    assert taken("train", f"hydra.run.dir={tmp_path / 'run'}", last).is_dir()


def test_a_finished_run_is_kept_or_replaced_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def command(*settings: str) -> tuple[int, str]:
        done = run_line("train", *settings)
        return done.code, done.out + done.err

    short = (*SMALL, "data.subset={num_images: 64}", "algorithm.num_clusters=8", "debug=fast")
    small = (*short, "algorithm.small_clusters.threshold=1", "hydra.run.dir=run")
    code, printed = command(*small)
    assert code == 0, printed
    run = tmp_path / "run"
    (run / "notes.txt").write_text("of the user")
    (run / "reference").mkdir()
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    for more in ((), ("-m", "hydra.sweep.dir=.", "hydra.sweep.subdir=run")):
        code, printed = command(*more, *small, "seed=7")
        assert code == 1
        assert "run has a training run already; add train.resume=auto to resume it" in printed
        assert "Traceback" not in printed
    kept = [file for file in before if ".hydra" not in file.parts and file.name != "train.log"]
    assert all(file.read_bytes() == before[file] for file in kept)

    code, printed = command(*small, "seed=7", "overwrite=true", "trainer.max_epochs=1")
    assert code == 0, printed
    assert (run / "notes.txt").read_text() == "of the user"
    assert "seed: 7" in (run / "config.yaml").read_text()
    assert {file.name for file in (run / "checkpoints").iterdir()} == {"last.ckpt"}
    assert not (run / "reference").exists()
    assert not (run / "failed.txt").exists()
