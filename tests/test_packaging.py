"""The wheel: complete, and at work in a fresh environment and any folder."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

from helpers.paths import ROOT


def test_every_package_is_listed_in_setup_cfg() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    found = {
        ".".join(path.parent.relative_to(ROOT / "src").parts)
        for path in (ROOT / "src").rglob("__init__.py")
    }
    assert listed == found | {"odc_lightning.conf"}


def test_continuous_integration_runs_every_python_that_is_supported() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    supported = re.findall(r"Python :: (3\.\d+)$", config["metadata"]["classifiers"], re.MULTILINE)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    (matrix,) = re.findall(r"^ +python: \[(.+)\]$", workflow, re.MULTILINE)
    assert re.findall(r"[\d.]+", matrix) == supported
    assert re.findall(r"- run: (.*)$", workflow, re.MULTILINE) == [".ci/run"]


def assert_packed(packed: set[str]) -> None:
    """Every file of the package and of conf/ is in the wheel, at any depth."""
    for folder, place in ((ROOT / "src" / "odc_lightning", ""), (ROOT / "conf", "conf/")):
        files = {
            f"odc_lightning/{place}{path.relative_to(folder).as_posix()}"
            for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert files - packed == set()


def test_the_wheel_trains_in_a_fresh_environment(tmp_path: Path) -> None:
    wheels, venv = tmp_path / "wheels", tmp_path / "venv"
    pip = [sys.executable, "-m", "pip", "--quiet"]
    # From a copy: setuptools leaves a build/ behind, and packs what lies in an old one.
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, source / name)
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source)]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = wheels.glob("*.whl")
    assert_packed(set(zipfile.ZipFile(wheel).namelist()))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    # The dependencies are those of this environment: a line in a .pth file adds their folder and
    # nothing else, so that the checkout, which is installed there too, is not found.
    site = Path(sysconfig.get_path("purelib", vars={"base": str(venv), "platbase": str(venv)}))
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", wheel], check=True)

    folder = tmp_path / "anywhere"
    folder.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["OMP_NUM_THREADS"] = "1"
    where = subprocess.run(
        [python, "-c", "import odc_lightning.config as c; print(c.__file__, c.CONFIG_DIR)"],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert all(path.startswith(str(site)) for path in where)
    done = subprocess.run(
        [python, "-m", "odc_lightning.train", "experiment=odc_digits", "trainer.max_epochs=1"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list(folder.glob("outputs/odc_digits/*/summary.json"))
