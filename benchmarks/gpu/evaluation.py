"""Section ``evaluation``: the protocols, a trained network on new images, and the export."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

import torch

from benchmarks.gpu.rows import Row, Values, attempt
from benchmarks.gpu.small import DIGITS, clusters, composed, run
from odc_lightning.data import digits
from odc_lightning.evaluate import evaluate
from odc_lightning.export import export
from odc_lightning.inference import load

PROTOCOLS = {
    "linear": ("protocol.linear.max_epochs=2",),
    "knn": (),
    "clustering": (),
    "semi_supervised": ("protocol.semi_supervised.max_epochs=2",),
}
NUM_IMAGES = 64
# What rounding may cost between a GPU, whose convolutions use TF32, and a CPU.
LEAST_COSINE, SAME_CLUSTERS = 0.999, 0.9


def measure(dry_run: bool) -> Iterator[Row]:
    """A row for each protocol and each use of a tiny run."""
    with tempfile.TemporaryDirectory() as folder:
        trained = Path(folder, "run")
        yield attempt("A run", "odc", partial(run, dry_run, trained, *DIGITS, clusters(dry_run)))
        for name, overrides in PROTOCOLS.items():
            work = partial(evaluated, dry_run, trained, Path(folder, name), name, *overrides)
            yield attempt("Protocols", name, work)
        yield attempt(
            "A trained network",
            "embed and assign",
            partial(embedded, dry_run, trained),
            must=["close to the CPU"],
        )
        work = partial(exported, dry_run, trained, Path(folder, "export"))
        yield attempt("A trained network", "export", work)


def evaluated(dry_run: bool, trained: Path, folder: Path, name: str, *overrides: str) -> Values:
    """Seconds of a protocol, and its last score."""
    start = perf_counter()
    found = evaluate(
        composed(
            "evaluate",
            f"run_dir={folder}",
            f"features_dir={folder}/features",
            f"checkpoint={trained}",
            f"protocol={name}",
            f"trainer.accelerator={'cpu' if dry_run else 'gpu'}",
            *overrides,
        )
    )
    last = found.scores[-1]
    return {
        "seconds": perf_counter() - start,
        "scores": len(found.scores),
        "the last": f"{last.layer} {last.metric}",
        "its value": float(last.value),
    }


def embedded(dry_run: bool, trained: Path) -> Values:
    """How features and clusters of new images differ between the device and the CPU."""
    source = digits("val")
    images = [source.load(index) for index in range(NUM_IMAGES)]
    ours, reference = (load(trained, device=each) for each in (None, "cpu"))
    if not dry_run and ours.device.type != "cuda":
        raise AssertionError(f"the network is on {ours.device}, not on the GPU")
    cosine = float(torch.cosine_similarity(ours.embed(images), reference.embed(images)).min())
    same = ours.assign(images).labels == reference.assign(images).labels
    share = float(same.float().mean())
    return {
        "smallest cosine of features": cosine,
        "same clusters": share,
        "close to the CPU": cosine >= LEAST_COSINE and share >= SAME_CLUSTERS,
    }


def exported(dry_run: bool, trained: Path, folder: Path) -> Values:
    """Seconds of an export, which compares the files with the network on real images."""
    start = perf_counter()
    device = "cpu" if dry_run else "cuda"
    config = composed("export", f"run={trained}", f"out={folder}", f"device={device}", "onnx=false")
    export(config)
    return {"seconds": perf_counter() - start}
