"""What TAB gives: asked as bash asks, and by bash itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from odc_lightning.cli import commands
from odc_lightning.cli.completion import SHELLS, query, script

COMMANDS = {name: command.is_hydra for name, command in commands.COMMANDS.items()}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("odc ev", {"evaluate "}),
        ("odc train experiment=quick", {"experiment=quickstart"}),
        ("odc train ~/photos model=resnet", {"model=resnet18", "model=resnet50"}),
        (
            "odc train algorithm=deepcluster algorithm.offline_clustering.pca",
            {f"algorithm.offline_clustering.pca_{end}=" for end in ("dim", "samples")},
        ),
        ("odc evaluate 'a b' protocol=k", {"protocol=knn"}),
        ("odc assign run neigh", {"neighbours="}),
        ("odc train no.such.key", set()),
        ("odc train data=[", set()),
        ("odc no_such_command x", set()),
        ("odc completion f", {"fish"}),
    ],
)
def test_candidates(line: str, expected: set[str]) -> None:
    assert set(query(line, {**COMMANDS, "completion": False})) == expected


def test_another_hydra_may_complete_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class that does is private to Hydra."""
    monkeypatch.setitem(sys.modules, "hydra._internal.core_plugins.bash_completion", None)
    assert query("odc train experiment=quick", COMMANDS) == []
    assert query("odc ev", COMMANDS) == ["evaluate "]


def in_bash(line: str, folder: Path) -> list[str]:
    """What bash's own completion has in COMPREPLY after TAB at the end of a line."""
    tool = folder / "odc"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m odc_lightning.cli.odc "$@"\n')
    tool.chmod(0o755)
    program = f"""
        PATH="{folder}:$PATH"
        eval "$(odc completion bash)"
        COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
        COMP_LINE='{line}' COMP_POINT={len(line)}
        complete -p odc | grep -q -- '-F _odc' || exit 1
        _odc
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes(tmp_path: Path) -> None:
    assert in_bash("odc tr", tmp_path) == ["train "]
    # bash takes = for the end of a word, and puts in what comes behind
    assert in_bash("odc train data=fashion", tmp_path) == ["fashion_mnist"]
    assert in_bash("odc train trainer.max_ep", tmp_path) == ["trainer.max_epochs="]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_read_without_complaint(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    file = tmp_path / "script"
    file.write_text(script(shell))
    subprocess.run([shell, "-n", file], check=True)
