"""Section ``facts``: the machine, copies between host and device, and products of matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.rows import Row, Values, attempt
from benchmarks.machine import machine
from benchmarks.tables import Cell
from benchmarks.timing import in_turns

REPEATS = 5
PRODUCTS = 10  # in a timed step
# The precision of fp32 products: with all bits, and by tensor cores (TF32).
FP32, TF32 = "highest", "high"


def measure(dry_run: bool) -> Iterator[Row]:
    """The machine's facts, then rates."""
    facts: dict[str, Cell | bool] = {**machine(), **({} if dry_run else about_the_gpu())}
    for name, value in facts.items():
        yield Row("Machine", name, {"value": value})
    device, batch, side = ("cpu", 2, 8) if dry_run else ("cuda", 512, 224)
    images = torch.zeros(batch, 3, side, side)
    ways = {"pageable": images} if dry_run else {"pageable": images, "pinned": images.pin_memory()}
    for name, source in ways.items():
        yield attempt("Images from the host", name, partial(copy_rate, source, device))
    squares, clusters = (64, 20) if dry_run else (8192, 10_000)
    for title, sizes in {
        f"square, {squares}": (squares, squares, squares),
        f"512 x 256 with {clusters} centroids": (512, 256, clusters),
    }.items():
        for name, dtype, precision in (
            ("fp32", torch.float32, FP32),
            ("TF32", torch.float32, TF32),
            ("bf16", torch.bfloat16, FP32),
        ):
            work = partial(product_rate, sizes, dtype, precision, device)
            yield attempt("Products", f"{title}, {name}", work)


def about_the_gpu() -> dict[str, Any]:
    """What torch knows of the GPU, and how it is set to compute."""
    found = torch.cuda.get_device_properties(0)
    return {
        "GPUs": torch.cuda.device_count(),
        "memory of the GPU (GB)": found.total_memory / 1e9,
        "free at the start (GB)": torch.cuda.mem_get_info()[0] / 1e9,
        "multiprocessors": found.multi_processor_count,
        "capability": f"{found.major}.{found.minor}",
        "CUDA of torch": torch.version.cuda or "none",
        "cuDNN": str(torch.backends.cudnn.version()),
        "NCCL": ".".join(map(str, torch.cuda.nccl.version())),
        "precision of fp32 products": torch.get_float32_matmul_precision(),
        "TF32 in convolutions": torch.backends.cudnn.allow_tf32,
        "bf16": torch.cuda.is_bf16_supported(),
    }


def copy_rate(source: Tensor, device: str) -> Values:
    """Milliseconds and rate of a copy of a batch of images to the device."""
    target = torch.empty_like(source, device=device)
    (seconds,) = in_turns([lambda: target.copy_(source, non_blocking=True)], REPEATS)
    size = source.numel() * source.element_size()
    return {"MB": size / 1e6, "ms": 1e3 * seconds, "GB/s": size / seconds / 1e9}


def product_rate(
    sizes: tuple[int, int, int], dtype: torch.dtype, precision: str, device: str
) -> Values:
    """Milliseconds and rate of a product of matrices (n, k) and (k, m)."""
    rows, inner, columns = sizes
    left = torch.randn(rows, inner, device=device, dtype=dtype)
    right = torch.randn(inner, columns, device=device, dtype=dtype)

    def work() -> None:
        for _ in range(PRODUCTS):
            left @ right

    (seconds,) = with_precision(precision, lambda: in_turns([work], REPEATS, iterations=PRODUCTS))
    return {"ms": 1e3 * seconds, "TFLOP/s": 2 * rows * inner * columns / seconds / 1e12}


def with_precision(precision: str, work: Callable[[], Any]) -> Any:
    """The result of some work while fp32 products have a precision of torch's."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        return work()
    finally:
        torch.set_float32_matmul_precision(before)
