"""Section ``trainings``: each algorithm and each option that touches the device, once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.gpu.rows import Row, Values, attempt
from benchmarks.gpu.small import DIGITS, NARROW, PATCHES, clusters, small_run

CROP, CROP_AND_FLIP = (
    f"augmentation@data.train_transform={name}" for name in ("small_crop", "small_crop_and_flip")
)
DETERMINISTIC = "trainer.deterministic=true"


def cases(dry_run: bool) -> dict[str, tuple[str, ...]]:
    """Overrides of the config by the training's name."""
    odc = (*DIGITS, clusters(dry_run))
    small = ("experiment=odc_small", "data=digits", "model=convnet", NARROW, clusters(dry_run))
    colorization = (*PATCHES, NARROW, "algorithm=colorization", CROP_AND_FLIP)
    return {
        "odc": odc,
        "odc, two workers": (*odc, "data.num_workers=2"),
        "odc, features in RAM in fp16": (
            *odc,
            "algorithm.samples_memory.place=ram",
            "algorithm.samples_memory.precision=float16",
        ),
        "odc, features on disk": (*odc, "algorithm.samples_memory.place=disk"),
        "odc, bf16-mixed": (*odc, "trainer.precision=bf16-mixed"),
        "odc, 16-mixed": (*odc, "trainer.precision=16-mixed"),
        "odc, bf16-true": (*odc, "trainer.precision=bf16-true"),
        "odc, deterministic": (*odc, DETERMINISTIC),
        "odc, as in the authors' code": (*DIGITS, "algorithm=odc_openselfsup", clusters(dry_run)),
        "odc_small, 16-mixed, probe": (
            *small,
            "callbacks=online_probe",
            "trainer.precision=16-mixed",
        ),
        "odc_small, guard": (
            *small,
            "data.held_back=0.1",
            "callbacks.keep_best.final_kmeans=true",
        ),
        "deepcluster": (*DIGITS, "algorithm=deepcluster", clusters(dry_run)),
        "deepcluster_v2, bf16-mixed": (
            *DIGITS,
            "algorithm=deepcluster_v2",
            clusters(dry_run),
            "trainer.precision=bf16-mixed",
        ),
        "rotation": (*DIGITS, "algorithm=rotation"),
        "jigsaw": (*PATCHES, NARROW, "algorithm=jigsaw", CROP, "algorithm.num_clusters=20"),
        "colorization": colorization,
        "colorization, deterministic": (*colorization, DETERMINISTIC),
        "supervised": (*DIGITS, "algorithm=supervised", "algorithm.num_clusters=10"),
        "resnet18, bf16-mixed, contact sheets": (
            *PATCHES,
            "model=resnet18",
            clusters(dry_run),
            "callbacks=cluster_media",
            "trainer.precision=bf16-mixed",
        ),
    }


def measure(dry_run: bool) -> Iterator[Row]:
    """A row for each training, with its loss and scores."""
    for name, overrides in cases(dry_run).items():
        yield attempt("Trainings", name, partial(trained, dry_run, *overrides))


def trained(dry_run: bool, *overrides: str) -> Values:
    """Run one training; what ``deterministic`` sets is set back."""
    try:
        return small_run(dry_run, *overrides)
    finally:
        torch.use_deterministic_algorithms(False)
