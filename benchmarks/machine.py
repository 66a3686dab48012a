"""The machine that a benchmark ran on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from odc_lightning.runs.summary import package_versions
from odc_lightning.utils.room import available_ram

PACKAGES = ("torch", "numpy", "scikit-learn")


def machine() -> dict[str, str | int | float]:
    """Processor, RAM, load, GPU, and the versions of the numerical libraries."""
    import torch

    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "RAM (GB)": round(_total_ram() / 1e9, 1),
        "RAM available at the start (GB)": round(available_ram() / 1e9, 1),
        "load at the start": round(os.getloadavg()[0], 2),
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "faiss": package_versions()["faiss"] or "none",
    }


def _total_ram() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
