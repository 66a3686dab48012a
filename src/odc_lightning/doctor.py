"""Check this machine: ``python -m odc_lightning.doctor [FOLDER]``.

Reports versions, devices, faiss, disk and shared memory, with advice for every problem. The exit
code is 1 if something would fail. FOLDER is the folder that runs are written to.
"""

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.requirements import Requirement

from odc_lightning.cli.arguments import OneLineParser
from odc_lightning.utils.text import first_line

State = Literal["ok", "warning", "failure"]

FAISS_BUILDS = ("faiss", "faiss-cpu", "faiss-gpu", "faiss-gpu-cu12", "faiss-gpu-cuvs")
MALICIOUS = {"pytorch-lightning": ("2.6.2", "2.6.3"), "lightning": ("2.6.2", "2.6.3")}
MIN_DISK_BYTES = 5e9  # several checkpoints with a memory of a million samples
MOST_WORKERS = 32  # that of odc_lightning.data, which a broken installation cannot import
# Two batches (torch's prefetch_factor) of a worker: 512 images of 224 pixels. Docker's default for
# all workers is 64 MB.
SHARED_BYTES_PER_WORKER = 2 * 512 * 3 * 224 * 224
MIN_OPEN_FILES = 4096  # each dataloader worker shares one file per batch


class Finding(NamedTuple):
    """One check: its subject, the result, and advice if there is a problem."""

    subject: str
    found: str
    state: State = "ok"
    advice: str = ""


def versions() -> Iterator[Finding]:
    """Check Python and every required package."""
    python = platform.python_version()
    too_new = sys.version_info >= (3, 14)
    yield Finding(
        "Python",
        python,
        "failure" if too_new else "ok",
        "Hydra 1.3 does not work with Python 3.14: use 3.11, 3.12 or 3.13" if too_new else "",
    )
    for line in metadata.requires("odc-lightning") or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            yield _package(requirement)


def _package(requirement: Requirement) -> Finding:
    name = requirement.name
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, "not installed", "failure", f"pip install '{requirement}'")
    if version in MALICIOUS.get(name, ()):
        advice = f"this release was malicious: pip install '{requirement}', and change your keys"
        return Finding(name, version, "failure", advice)
    if not requirement.specifier.contains(version, prereleases=True):
        return Finding(name, version, "failure", f"pip install '{requirement}'")
    return Finding(name, version)


def torch_and_torchvision() -> Iterator[Finding]:
    """Check that the builds of torch and torchvision match."""
    try:
        torchvision = importlib.import_module("torchvision")
        importlib.import_module("torchvision.transforms.v2")
    except Exception as error:  # a broken build can raise anything
        yield Finding(
            "torchvision with torch",
            f"cannot be imported: {first_line(error)}",
            "failure",
            "their builds do not match: pip install --force-reinstall torch torchvision, both in "
            "one command",
        )
        return
    yield Finding("torchvision with torch", f"{torchvision.__version__} works")


def devices() -> Iterator[Finding]:
    """Check the devices that torch can use."""
    import torch

    yield Finding("CPU", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads")
    has_driver = shutil.which("nvidia-smi") is not None
    if torch.version.cuda is None:
        yield Finding(
            "CUDA",
            "torch is built without CUDA",
            "warning" if has_driver else "ok",
            "this machine seems to have an NVIDIA GPU: install a CUDA build of torch and "
            "torchvision"
            if has_driver
            else "",
        )
    elif not torch.cuda.is_available():
        yield Finding(
            "CUDA",
            f"torch is built for CUDA {torch.version.cuda}, but finds no GPU",
            "warning" if has_driver else "ok",
            "a driver is installed: check nvidia-smi and CUDA_VISIBLE_DEVICES; a driver that is "
            "too old needs an update, or an older build of torch"
            if has_driver
            else "",
        )
    for number in range(torch.cuda.device_count()):
        yield _gpu(number)
    if torch.backends.mps.is_available():
        yield Finding("MPS", "Apple's GPU: the memory's sums are fp32 there, not fp64")


def _gpu(number: int) -> Finding:
    import torch

    facts = torch.cuda.get_device_properties(number)
    found = f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB"
    built_for = torch.cuda.get_arch_list()
    major, minor = torch.cuda.get_device_capability(number)
    # A build runs on later chips of the same generation.
    fits = any(arch.startswith(f"sm_{major}") for arch in built_for) or any(
        arch.startswith("compute_") for arch in built_for
    )
    advice = (
        f"torch is built for {', '.join(built_for)}, not for sm_{major}{minor}: install another "
        "build of torch"
    )
    return Finding(f"GPU {number}", found, "ok" if fits else "failure", "" if fits else advice)


def faiss() -> Iterator[Finding]:
    """Check the installed builds of faiss, and that its K-Means runs."""
    found = {name: version for name in FAISS_BUILDS if (version := _version(name))}
    builds = ", ".join(f"{name} {version}" for name, version in found.items())
    without = "; without faiss, neighbours and K-Means are torch's"
    if len(found) > 1:
        yield Finding(
            "faiss",
            builds,
            "failure",
            f"the builds overwrite each other's files: pip uninstall -y {' '.join(found)}, then "
            "pip install faiss-gpu",
        )
        return
    if not found:
        yield Finding("faiss", "not installed", "warning", f"pip install faiss-gpu{without}")
        return
    try:
        import numpy

        library = importlib.import_module("faiss")
        rows = numpy.random.default_rng(0).normal(size=(100, 8)).astype("float32")
        kmeans = library.Kmeans(8, 2, niter=2, min_points_per_centroid=1)
        kmeans.train(rows)
        gpus = library.get_num_gpus() if hasattr(library, "get_num_gpus") else 0
    except Exception as error:  # a broken build can raise anything
        yield Finding(
            "faiss",
            f"{builds}: {first_line(error)}",
            "failure",
            f"pip install --force-reinstall faiss-gpu{without}",
        )
        return
    import torch

    unseen = torch.cuda.is_available() and not gpus
    yield Finding(
        "faiss",
        f"{builds}, K-Means works, {gpus} GPUs",
        "warning" if unseen else "ok",
        "faiss does not find the GPU that torch finds: faiss will run on the CPU" if unseen else "",
    )


def disk(folder: Path) -> Iterator[Finding]:
    """Check that runs can be written to the folder."""
    there = next(path for path in (folder, *folder.resolve().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    subject = f"disk of {folder}"
    if not os.access(there, os.W_OK):
        yield Finding(
            subject, f"{there} is not writable", "failure", "choose another with hydra.run.dir=..."
        )
        return
    little = free < MIN_DISK_BYTES
    yield Finding(
        subject,
        f"{free / 1e9:.1f} GB free",
        "warning" if little else "ok",
        "a checkpoint holds the samples memory (4 N D bytes), and two are kept: free some space, "
        "or choose another disk with hydra.run.dir=..."
        if little
        else "",
    )


def shared_memory() -> Iterator[Finding]:
    """Check the shared memory, through which dataloader workers pass batches."""
    place = Path("/dev/shm")
    if not place.is_dir():
        return
    size = shutil.disk_usage(place).total
    little = size < min(MOST_WORKERS, os.cpu_count() or 1) * SHARED_BYTES_PER_WORKER
    yield Finding(
        "shared memory",
        f"{size / 1e9:.2f} GB",
        "warning" if little else "ok",
        "dataloader workers may die with a bus error: give the container more (docker run "
        "--shm-size=8g), or set data.num_workers=0"
        if little
        else "",
    )


def open_files() -> Iterator[Finding]:
    """Check how many files a process may have open."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = soft != resource.RLIM_INFINITY and soft < MIN_OPEN_FILES
    yield Finding(
        "open files",
        "no limit" if soft == resource.RLIM_INFINITY else f"{soft:,} at once",
        "warning" if few else "ok",
        f"for many workers: ulimit -n {min(hard, 65536) if hard > 0 else 65536}" if few else "",
    )


def examine(folder: Path) -> list[Finding]:
    """Run all checks, in the order of the functions above."""
    checks: list[Callable[[], Iterator[Finding]]] = [
        versions,
        torch_and_torchvision,
        devices,
        faiss,
        lambda: disk(folder),
        shared_memory,
        open_files,
    ]
    return [finding for check in checks for finding in check()]


def table(findings: Sequence[Finding]) -> str:
    """The report: one line per check, with advice below."""
    width = max(len(finding.subject) for finding in findings)
    marks: dict[State, str] = {"ok": "ok     ", "warning": "WARNING", "failure": "FAILURE"}
    lines = []
    for finding in findings:
        lines.append(f"{marks[finding.state]}  {finding.subject:<{width}}  {finding.found}")
        if finding.advice:
            lines.append(f"{'':9}{'':{width}}  -> {finding.advice}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Command-line entry point."""
    parser = OneLineParser(prog="python -m odc_lightning.doctor", description=__doc__)
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="FOLDER",
        default=Path("outputs"),
        help="the folder that runs are written to; default: %(default)s",
    )
    findings = examine(parser.parse_args(argv).folder)
    print(table(findings))
    failures = sum(finding.state == "failure" for finding in findings)
    warnings = sum(finding.state == "warning" for finding in findings)
    print(f"\nfailures: {failures}, warnings: {warnings}")
    return int(failures > 0)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
