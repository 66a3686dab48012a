from pathlib import Path

import pytest
import torch

from helpers.ddp_probe import collectives, patient, run_ranks
from odc_lightning.utils import distributed


@pytest.mark.ddp
def test_collectives_of_three_ranks(tmp_path: Path) -> None:
    states = run_ranks(collectives, 3, tmp_path)
    for rank, state in enumerate(states):
        assert state["world"].tolist() == [rank, 3]
        indices, features, labels = state["gathered"]
        expected = [0, 1, 10, 11, 20, 21]
        assert (indices - 2**40).tolist() == expected
        torch.testing.assert_close(features[:, 0], torch.tensor([0.1, 0.1, 1.1, 1.1, 2.1, 2.1]))
        assert labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert state["rows"][:, 0].tolist() == [1, 1, 2, 2, 3, 3, 3]
        assert float(state["sum"]) == 3
        assert int(state["decided"]) == 17
        assert state["refusal"] == "not these features"
        assert float(state["broadcast"]) == 0
    # The mean over ranks of mean(w l) is the weighted mean over all samples.
    losses = [torch.randn(2) for _ in range(3)]
    found = torch.stack(
        [(s["weights"] * loss).mean() for s, loss in zip(states, losses, strict=True)]
    )
    raw = torch.cat([state["raw_weights"] for state in states])
    expected_loss = (raw * torch.cat(losses)).sum() / raw.sum()
    torch.testing.assert_close(found.mean(), expected_loss)


@pytest.mark.ddp
def test_ranks_wait_for_rank_zero_beyond_the_timeout_of_the_training(tmp_path: Path) -> None:
    assert run_ranks(patient, 2, tmp_path) == [{"decision": "decided"}] * 2


def test_alone_they_do_nothing() -> None:
    indices, features, labels = torch.arange(4), torch.randn(4, 2), torch.zeros(4).long()
    gathered = distributed.all_gather_batch(indices, features, labels)
    assert all(a is b for a, b in zip(gathered, (indices, features, labels), strict=True))
    assert distributed.world() == (0, 1)
    assert distributed.from_rank_zero(lambda: 3) == 3


@pytest.mark.parametrize("ranks", [1, 2, 3, 5])
def test_shards_cover_all_rows_evenly(ranks: int) -> None:
    shards = [range(11)[distributed.shard(11, rank, ranks)] for rank in range(ranks)]
    assert [row for rows in shards for row in rows] == list(range(11))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
