"""What the doctor finds, on this machine and on others."""

import re
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from odc_lightning import doctor
from odc_lightning.data.loader import MOST_WORKERS
from odc_lightning.doctor import Finding, main


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def test_this_machine_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "failures: 0, " in printed
    assert re.search(rf"^ok +torch +{re.escape(metadata.version('torch'))}$", printed, re.MULTILINE)
    for subject in ("Python", "faiss", "CPU", "disk of"):
        assert subject in printed


def installed(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str | None]) -> None:
    """Pretend that packages have these versions; None is not installed."""
    real = metadata.version

    def version(name: str) -> str:
        found = versions.get(name, "real")
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return real(name) if found == "real" else found

    monkeypatch.setattr(doctor.metadata, "version", version)


@pytest.mark.parametrize(
    ("package", "version", "advice"),
    [
        ("torch", "2.1.0", "pip install 'torch>=2.6'"),
        ("omegaconf", None, "pip install 'omegaconf"),
        ("pytorch-lightning", "2.6.3", "this release was malicious"),
    ],
)
def test_a_package_that_does_not_do(
    monkeypatch: pytest.MonkeyPatch, package: str, version: str | None, advice: str
) -> None:
    installed(monkeypatch, {package: version})
    finding = by_subject(list(doctor.versions()))[package]
    assert finding.state == "failure"
    assert advice in finding.advice


def test_two_builds_of_faiss_break_each_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    installed(monkeypatch, {"faiss-cpu": "1.11.0", "faiss-gpu": "1.15.1"})
    (finding,) = doctor.faiss()
    assert finding.state == "failure"
    assert "pip uninstall -y faiss-cpu faiss-gpu" in finding.advice
    assert main([str(tmp_path)]) == 1
    assert "failures: 1, " in capsys.readouterr().out


def test_no_faiss_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, dict.fromkeys(doctor.FAISS_BUILDS))
    (finding,) = doctor.faiss()
    assert finding.state == "warning"
    assert "K-Means are torch's" in finding.advice


def test_a_broken_build_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise RuntimeError(f"operator {name}::nms does not exist\nmore")

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    (finding,) = doctor.torch_and_torchvision()
    assert finding.found == "cannot be imported: operator torchvision::nms does not exist"
    (finding,) = doctor.faiss()
    assert finding.state == "failure"


@pytest.mark.parametrize("build", [None, "12.4"])
def test_a_gpu_that_torch_does_not_see(monkeypatch: pytest.MonkeyPatch, build: str | None) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(torch.version, "cuda", build)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    finding = by_subject(list(doctor.devices()))["CUDA"]
    assert finding.state == "warning"
    assert ("install a CUDA build" if build is None else "nvidia-smi") in finding.advice


@pytest.mark.parametrize(("built_for", "state"), [(["sm_80"], "failure"), (["sm_90"], "ok")])
def test_a_build_for_other_gpus(
    monkeypatch: pytest.MonkeyPatch, built_for: list[str], state: str
) -> None:
    facts = SimpleNamespace(name="a GPU", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: facts)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built_for)
    finding = doctor._gpu(0)
    assert (finding.found, finding.state) == ("a GPU, 80 GiB", state)


def test_little_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    little = SimpleNamespace(total=64e6, free=1e6)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: little)
    (finding,) = doctor.disk(tmp_path / "not" / "there")
    assert (finding.state, finding.found) == ("warning", "0.0 GB free")
    (finding,) = doctor.shared_memory()
    assert "--shm-size" in finding.advice


def test_shared_memory_grows_with_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.MOST_WORKERS == MOST_WORKERS
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(total=1e9, free=0))
    for cores, state in ((4, "ok"), (16, "warning")):
        monkeypatch.setattr(doctor.os, "cpu_count", lambda cores=cores: cores)
        assert next(doctor.shared_memory()).state == state
