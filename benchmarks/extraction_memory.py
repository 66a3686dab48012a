"""Memory that DeepCluster's features take, beside holding them all.

``python -m benchmarks.extraction_memory`` prints a Markdown table. Each line is measured in a
process of its own: the highest amount of memory of its own (pages that are no file's) above what
it had before the first batch. Both versions whiten the same features, and are held against each
other before anything is printed.
"""

import argparse
import json
import multiprocessing
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.clustering import moments, project_rows, whitening
from odc_lightning.scratch import scratch_rows

BATCH = 256
PCA_SAMPLES = 10_000
COMPARED = 100  # rows whose pairwise cosines both versions must agree on
TOLERANCE = 1e-3
SECONDS_BETWEEN_LOOKS = 0.005


class Size(NamedTuple):
    """N samples of F features, of which D directions are kept."""

    samples: int
    width: int
    dim: int


def batches(size: Size) -> Iterator[Tensor]:
    """Features whose directions differ in variance, so that PCA has something to find."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.linspace(3, 0.1, size.width)
    for start in range(0, size.samples, BATCH):
        rows = min(BATCH, size.samples - start)
        yield torch.randn(rows, size.width, generator=generator) * scale


def sample(size: Size) -> Tensor:
    """The rows that tell the directions."""
    order = torch.randperm(size.samples, generator=torch.Generator().manual_seed(1))
    return order[:PCA_SAMPLES].sort().values


def ours(size: Size) -> Tensor:
    """As `OfflineClustering` does it: a file, sums over a sample, blocks."""
    with tempfile.TemporaryDirectory() as folder:
        with scratch_rows(batches(size), size.samples, Path(folder)) as raw:
            project = whitening(moments(raw, sample(size)), size.dim)
            out = torch.empty(size.samples, size.dim)
            project_rows(project, raw, out)
        return out


def obvious(size: Size) -> Tensor:
    """As DeepCluster's code does it: all features at once."""
    features = torch.cat(list(batches(size)))
    project = whitening(moments(features, sample(size)), size.dim)
    return normalize(project(features), dim=1)


def peak_of(version: Callable[[Size], Tensor], size: Size, answer: Path) -> None:
    """Run a version and write its peak in bytes, and some cosines, as JSON."""
    before, peak, done = own_memory(), 0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not done.wait(SECONDS_BETWEEN_LOOKS):
            peak = max(peak, own_memory() - before)

    watcher = threading.Thread(target=look)
    watcher.start()
    rows = version(size)[:COMPARED]
    done.set()
    watcher.join()
    answer.write_text(json.dumps({"peak": peak, "cosines": (rows @ rows.T).tolist()}))


def own_memory() -> int:
    """Bytes of this process that no file stands behind (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.partition("RssAnon:")[2].split()[0])


def measure(size: Size) -> dict[str, int]:
    """Peaks of both versions, each in a new process.

    Raises:
        RuntimeError: if they disagree, or one fails.
    """
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for version in (ours, obvious):
            answer = Path(folder, version.__name__)
            process = multiprocessing.get_context("spawn").Process(
                target=peak_of, args=(version, size, answer)
            )
            process.start()
            process.join()
            if not answer.is_file():
                raise RuntimeError(f"{version.__name__} failed at {size}")
            found[version.__name__] = json.loads(answer.read_text())
    gap = torch.tensor(found["ours"]["cosines"]) - torch.tensor(found["obvious"]["cosines"])
    if float(gap.abs().mean()) > TOLERANCE:
        raise RuntimeError(f"the two versions disagree at {size}: {float(gap.abs().mean()):.3f}")
    return {name: each["peak"] for name, each in found.items()}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, nargs="+", default=[20_000, 40_000, 80_000])
    parser.add_argument("--width", type=int, default=2048, help="F, of the raw features")
    parser.add_argument("--dim", type=int, default=256, help="D, directions that are kept")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parse(arguments)
    print(
        "| samples | raw features (MB) | result (MB) | ours (MB) | obvious (MB) | obvious / ours |"
    )
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for samples in options.samples:
        size = Size(samples, options.width, options.dim)
        peaks = measure(size)
        sizes = (4 * samples * size.width, 4 * samples * size.dim, *peaks.values())
        cells = [f"{bytes_ / 1e6:,.0f}" for bytes_ in sizes]
        # A few rows fit into memory that the process had before.
        ratio = f"{peaks['obvious'] / peaks['ours']:.1f}" if peaks["ours"] > 0 else "–"
        cells = [f"{samples:,}", *cells, ratio]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
