"""Digests of files that are kept and read again later, in ``SHA256SUMS`` of their folder.

A seal finds damage: a flipped bit, a file that was edited or half copied. It does not tell who
wrote the file. ``sha256sum -c SHA256SUMS`` checks the same digests.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from odc_lightning.utils.whole_files import whole_file

SUMS = "SHA256SUMS"


def seal(*files: Path) -> None:
    """Record the digests of files of one folder, once they are complete.

    Args:
        files: of the same folder; previous digests of the same names are replaced.
    """
    sums = files[0].parent / SUMS
    _write(sums, _read(sums) | {file.name: _digest(file) for file in files})


@contextmanager
def sealing(file: Path) -> Iterator[None]:
    """Seal a file that the body writes.

    An existing seal is removed first: a crash then leaves a file without a seal, which is accepted,
    instead of one with a wrong seal.
    """
    sums = file.parent / SUMS
    if file.name in (known := _read(sums)):
        _write(sums, {name: digest for name, digest in known.items() if name != file.name})
    yield
    seal(file)


def is_intact(file: Path) -> bool | None:
    """Whether a file is as it was when it was sealed; None if it was not sealed."""
    known = _read(file.parent / SUMS).get(file.name)
    return None if known is None else file.is_file() and _digest(file) == known


def check_seal(file: Path) -> None:
    """Refuse a file that is not as it was sealed; one without a seal is accepted.

    Raises:
        ValueError: the file changed after it was written.
    """
    if is_intact(file) is False:
        raise ValueError(
            f"{file} has changed since it was written (its digest is not that of {SUMS} beside "
            f"it): restore it from a copy. If you changed it yourself, delete its line in {SUMS}"
        )


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _write(sums: Path, known: Mapping[str, str]) -> None:
    with whole_file(sums) as unfinished:
        text = "".join(f"{digest}  {name}\n" for name, digest in sorted(known.items()))
        unfinished.write_text(text, encoding="utf-8")


def _read(sums: Path) -> dict[str, str]:
    """Digests by the names of files in the same folder."""
    if not sums.is_file():
        return {}
    lines = sums.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.partition("  ")[::2] for line in lines)
    return {name: digest for digest, name in pairs if name and Path(name).name == name}
