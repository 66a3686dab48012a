"""A few collectives, which do nothing in a single process."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")
_PATIENT: dict[str, Any] = {}  # the group without a timeout, and the world that it was made in
ROWS_AT_ONCE = 2**16


def world() -> tuple[int, int]:
    """The rank of this process and the number of ranks; (0, 1) in a single process."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def shard(num_rows: int, rank: int, world_size: int) -> slice:
    """The contiguous rows of one rank: all rows are covered, sizes differ by at most one."""
    return slice(num_rows * rank // world_size, num_rows * (rank + 1) // world_size)


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum over all ranks of tensors of the same shape."""
    if world()[1] == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total


def sum_tensors(values: Iterable[Tensor], device: torch.device) -> list[Tensor]:
    """The sums over all ranks of tensors in RAM, exchanged through ``device``."""
    if world()[1] == 1:
        return list(values)
    return [sum_over_ranks(value.to(device)).cpu() for value in values]


def all_gather_batch(*columns: Tensor) -> tuple[Tensor, ...]:
    """Concatenate what all ranks know about their samples, in the order of the ranks.

    One collective carries all columns as 32-bit words, and the host waits for nothing.

    Args:
        columns: (b,) or (b, D), int64 or fp32; b is the same on all ranks, as every sampler for
            several ranks has it.

    Returns:
        The columns of all ranks, (B,) or (B, D), equal on every rank.
    """
    if world()[1] == 1:
        return columns
    rows = [column.unsqueeze(1) if column.ndim == 1 else column for column in columns]
    words = [row.contiguous().view(torch.int32) for row in rows]
    gathered = gather_rows(torch.cat(words, dim=1)).flatten(0, 1)
    parts = gathered.split([word.shape[1] for word in words], dim=1)
    return tuple(
        part.contiguous().view(column.dtype).view(-1, *column.shape[1:])
        for part, column in zip(parts, columns, strict=True)
    )


def share_rows(rows: Tensor, device: torch.device | None = None) -> None:
    """Complete a tensor (N, ...) in place, of which each rank has filled its own `shard`.

    Args:
        rows: the tensor, on any device.
        device: the device through which ranks exchange rows; None is that of ``rows``.
    """
    _, ranks = world()
    for rank in range(ranks if ranks > 1 else 0):
        for block in rows[shard(len(rows), rank, ranks)].split(ROWS_AT_ONCE):
            moved = block.to(rows.device if device is None else device)
            dist.broadcast(moved, src=rank)
            if moved.data_ptr() != block.data_ptr():
                block.copy_(moved)


def gather_rows(row: Tensor) -> Tensor:
    """The same-shaped tensors of all ranks, stacked: (ranks, ...)."""
    _, ranks = world()
    if ranks == 1:
        return row.unsqueeze(0)
    rows = [torch.empty_like(row) for _ in range(ranks)]
    dist.all_gather(rows, row)
    return torch.stack(rows)


def largest_over_ranks(number: int, device: torch.device) -> int:
    """The largest of the ranks' numbers, on every rank."""
    return int(gather_rows(torch.tensor(number, device=device)).max())


def from_rank_zero(decide: Callable[[], T]) -> T:
    """The result of ``decide`` on rank 0, returned on every rank; other ranks do not call it.

    For decisions that depend on rounding: every rank applies that of rank 0. An exception on rank 0
    is raised on every rank, since the others would wait for a decision that never comes. They wait
    for any time: a collective of the training's own group would end the run after its timeout.
    """
    rank, ranks = world()
    if ranks == 1:
        return decide()
    outcome: list[Any] = [None, None]
    if rank == 0:
        try:
            outcome[0] = decide()
        except Exception as error:
            outcome[1] = error
    dist.broadcast_object_list(outcome, src=0, group=_patient_group())
    decision, failure = outcome
    if failure is not None:
        raise failure
    return decision


def _patient_group() -> Any:
    """A group of all ranks without a timeout; the first call is a collective."""
    world_group = dist.group.WORLD
    if _PATIENT.get("world") is not world_group:
        _PATIENT["world"] = world_group
        _PATIENT["group"] = dist.new_group(backend="gloo", timeout=timedelta(days=10_000))
    return _PATIENT["group"]


def broadcast(tensor: Tensor) -> Tensor:
    """Rank 0's tensor, in place on every other rank."""
    if world()[1] > 1:
        dist.broadcast(tensor, src=0)
    return tensor
