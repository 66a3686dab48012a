"""Which part of the package may import which; the rules are in `pyproject.toml`."""

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.paths import ROOT

PACKAGE = ROOT / "src" / "odc_lightning"
LATER = ("faiss", "onnx", "optuna", "pandas", "timm", "wandb", "IPython")
HEAVY = ("torch", "torchvision", "pytorch_lightning", "hydra", "omegaconf", "numpy", "PIL")


def test_imports_follow_the_floors() -> None:
    # In a process of its own, because import-linter disables the loggers of this one.
    lint = "from importlinter.cli import lint_imports as lint; raise SystemExit(lint())"
    done = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["cli.odc", "config", "cli", ""])
def test_what_answers_at_once_imports_nothing_heavy(module: str) -> None:
    name = ".".join(filter(None, ["odc_lightning", module]))
    heavy = f"import sys, {name}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_training_imports_what_it_needs_alone() -> None:
    """Other packages are imported where they are used: most trainings never do."""
    code = f"import sys, odc_lightning.train; print([m for m in {LATER!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("room", ["clustering", "metrics", "models", "pretext", "memory.py"])
def test_mathematics_does_not_use_processes_of_torch(room: str) -> None:
    files = [PACKAGE / room] if room.endswith(".py") else sorted((PACKAGE / room).glob("*.py"))
    assert files
    assert [file.name for file in files if "torch.distributed" in file.read_text("utf-8")] == []


def test_the_root_is_a_table_of_contents() -> None:
    files = sorted(path.name for path in PACKAGE.glob("*.py"))
    assert len(files) <= 14, files
    commands = {"train", "evaluate", "clusters", "assign", "extract", "export", "report"}
    commands |= {"label", "search", "dashboard", "doctor"}
    assert {Path(name).stem for name in files} == {"__init__", "module", "memory", *commands}
