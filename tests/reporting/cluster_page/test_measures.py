import numpy as np
import pytest
import torch

from helpers.made_up_run import made_up
from odc_lightning.reporting.cluster_page.measures import cluster_facts, measure, nearest_clusters
from odc_lightning.reporting.cluster_page.page_order import PageOrder


def test_distance_second_choice_and_margin_against_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odc_lightning.utils.blocks.BLOCK_ELEMENTS", 100)  # several blocks
    clustered = made_up(60, 5)
    clustered.features = clustered.features.half()
    # an empty cluster, in the middle of all: nobody's second choice
    clustered.centroids = torch.cat([clustered.centroids, clustered.features.float().mean(0)[None]])
    measures = measure(clustered)
    for index, (feature, own) in enumerate(
        zip(clustered.features.float().numpy(), clustered.labels, strict=True)
    ):
        distances = [float(np.linalg.norm(feature - c)) for c in clustered.centroids.numpy()]
        others = {c: d for c, d in enumerate(distances) if c not in (own, 5)}
        second = min(others, key=lambda c: others[c])
        assert measures.distance[index] == pytest.approx(distances[own], abs=1e-5)
        assert measures.second[index] == second
        assert measures.margin[index] == pytest.approx(others[second] - distances[own], abs=1e-5)


def test_an_image_nearer_to_another_centroid_has_a_negative_margin() -> None:
    clustered = made_up(60, 5)
    index = int(np.flatnonzero(clustered.labels == 0)[0])
    clustered.labels[index] = 1
    measures = measure(clustered)
    assert measures.margin[index] < 0
    assert measures.second[index] == 0


def test_one_cluster_alone_has_no_second_choice() -> None:
    clustered = made_up(10, 1)
    measures = measure(clustered)
    assert (measures.second == -1).all()
    assert np.isnan(measures.margin).all()


def test_features_that_are_no_numbers_are_refused() -> None:
    clustered = made_up()
    clustered.features[7] = float("nan")
    with pytest.raises(ValueError, match="NaN or infinite features"):
        measure(clustered)


def test_size_tightness_and_purity() -> None:
    labels = np.array([0, 0, 0, 1, 1, 3])
    distance = np.array([1, 2, 3, 4, 6, 5], dtype=np.float32)
    classes = np.array([2, 2, 0, 1, -1, -1])
    facts = cluster_facts(labels, distance, 4, classes)
    assert facts.sizes.tolist() == [3, 2, 0, 1]
    np.testing.assert_equal(facts.tightness, [2, 5, np.nan, 5])
    np.testing.assert_equal(facts.purity, [2 / 3, 1, np.nan, np.nan])
    assert facts.majority is not None
    assert facts.majority.tolist() == [2, 1, -1, -1]
    assert facts.overall_purity == pytest.approx(3 / 4)
    for none in (None, np.full(6, -1)):
        assert cluster_facts(labels, distance, 4, none).overall_purity is None


def test_nearest_clusters_against_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odc_lightning.utils.blocks.BLOCK_ELEMENTS", 20)
    centroids = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))
    sizes = np.array([1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1])
    found, distances = nearest_clusters(centroids, sizes, 4)
    for cluster in range(12):
        all_distances = (centroids - centroids[cluster]).norm(dim=1)
        order = [int(c) for c in all_distances.argsort() if sizes[c] and c != cluster]
        assert found[cluster].tolist() == order[:4]
        np.testing.assert_allclose(distances[cluster], all_distances[order[:4]], rtol=1e-5)
    assert nearest_clusters(centroids, sizes, 50)[0].shape == (12, 9)
    assert nearest_clusters(centroids[:1], sizes[:1], 4)[0].shape == (1, 0)


def test_the_arrangement_is_by_cluster_and_distance() -> None:
    labels = np.array([2, 0, 2, 0, 0])
    distance = np.array([0.3, 0.2, 0.1, 0.5, 0.1], dtype=np.float32)
    page_order = PageOrder.of(labels, distance, 3)
    assert page_order.order.tolist() == [4, 1, 3, 2, 0]
    assert page_order.starts.tolist() == [0, 3, 3, 5]
    assert page_order.members(2).tolist() == [2, 0]
    assert page_order.members(1).tolist() == []
    assert page_order.order[page_order.positions()].tolist() != labels.tolist()
    assert page_order.positions()[page_order.order].tolist() == [0, 1, 2, 3, 4]
