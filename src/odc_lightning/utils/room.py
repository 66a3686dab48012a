"""Free RAM and disk space, and how to reserve it."""

import os
import shutil
from pathlib import Path


def in_words(size: int) -> str:
    """Format a number of bytes as megabytes or gigabytes."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"


def available_ram(
    meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")
) -> int:
    """Return the available RAM in bytes.

    Args:
        meminfo: the kernel's file; without it (macOS) half of the machine's RAM is assumed.
        cgroup: folder with a container's memory limit and usage (cgroup 2).
    """
    if not meminfo.is_file():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    available = 1024 * int(meminfo.read_text(encoding="ascii").split("MemAvailable:")[1].split()[0])
    limit, used = cgroup / "memory.max", cgroup / "memory.current"
    if limit.is_file() and used.is_file():
        allowed = limit.read_text(encoding="ascii").strip()
        if allowed != "max":
            taken = int(used.read_text(encoding="ascii")) - _cached_files(cgroup / "memory.stat")
            available = min(available, max(0, int(allowed) - taken))
    return available


def _cached_files(stat: Path) -> int:
    """Return the bytes of cached files, which count as used but are freed on demand."""
    if not stat.is_file():
        return 0
    return int(stat.read_text(encoding="ascii").split("inactive_file ")[1].split()[0])


def free_on_disk(folder: Path) -> int:
    """Return the free bytes of the disk of a folder, which need not exist yet."""
    existing = next(path for path in (folder, *folder.resolve().parents) if path.is_dir())
    return shutil.disk_usage(existing).free


def reserve(descriptor: int, size: int) -> None:
    """Reserve disk blocks for a file that will be mapped.

    Without the reservation, writing to the mapping would kill the process once the disk is full.

    Args:
        descriptor: file descriptor of an open file.
        size: size in bytes.

    Raises:
        OSError: if the disk has too little room.
    """
    if hasattr(os, "posix_fallocate"):  # not on macOS
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)
