import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from helpers.made_up_run import made_up
from odc_lightning.reporting.cluster_page.measures import measure, nearest_clusters
from odc_lightning.reporting.cluster_page.neighbours import near_neighbours, outlier_scores
from odc_lightning.reporting.cluster_page.page_order import PageOrder
from odc_lightning.runs.clustered_images import ClusteredImages


def arranged(clustered: ClusteredImages) -> PageOrder:
    return PageOrder.of(clustered.labels, measure(clustered).distance, clustered.num_clusters)


def near(clustered: ClusteredImages, number: int) -> np.ndarray:
    sizes = np.bincount(clustered.labels, minlength=clustered.num_clusters)
    return nearest_clusters(clustered.centroids, sizes, number)[0]


def test_with_all_clusters_looked_at_neighbours_are_those_of_scikit_learn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("odc_lightning.utils.blocks.BLOCK_ELEMENTS", 500)
    clustered = made_up(120, 6)
    found, indices = near_neighbours(
        clustered.features, arranged(clustered), near(clustered, 5), k=7
    )
    rows = clustered.features.numpy()
    expected, expected_indices = NearestNeighbors(n_neighbors=7).fit(rows).kneighbors()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (indices == expected_indices).mean() > 0.99  # but for ties by rounding


def test_few_clusters_looked_at_find_nearly_all() -> None:
    clustered = made_up(600, 20)
    _, indices = near_neighbours(clustered.features, arranged(clustered), near(clustered, 3), k=5)
    expected = NearestNeighbors(n_neighbors=5).fit(clustered.features.numpy()).kneighbors()[1]
    shared = [len(set(a) & set(b)) for a, b in zip(indices, expected, strict=True)]
    assert np.mean(shared) > 4.9


def test_twins_are_at_distance_zero_and_nobody_is_his_own_neighbour() -> None:
    clustered = made_up(40, 4)
    members = np.flatnonzero(clustered.labels == 2)[:2]
    clustered.features[members[0]] = clustered.features[members[1]] + 1000
    clustered.features[members[1]] = clustered.features[members[0]]
    found, indices = near_neighbours(
        clustered.features, arranged(clustered), near(clustered, 3), k=3
    )
    assert found[members[0], 0] == 0
    assert indices[members[0], 0] == members[1]
    assert (indices != np.arange(40)[:, None]).all()


def test_where_there_are_fewer_neighbours_the_rest_is_missing() -> None:
    clustered = made_up(4, 2)
    found, indices = near_neighbours(
        clustered.features, arranged(clustered), near(clustered, 0), k=3
    )
    assert (np.isfinite(found).sum(axis=1) == 1).all()
    assert (indices[:, 1:] == -1).all()
    assert np.isfinite(outlier_scores(found)).all()


def test_large_clusters_are_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odc_lightning.reporting.cluster_page.neighbours.MAX_CANDIDATES", 50)
    clustered = made_up(200, 2)
    found, indices = near_neighbours(
        clustered.features, arranged(clustered), near(clustered, 1), k=4
    )
    assert np.isfinite(found).all()
    assert len(np.unique(indices)) <= 100  # 50 for each of the two clusters


def test_the_outlier_score_is_a_multiple_of_the_median() -> None:
    distances = np.array([[1, 1], [1, 3], [2, 2], [9, np.inf]], dtype=np.float32)
    np.testing.assert_allclose(outlier_scores(distances), [0.5, 1, 1, 4.5])
    assert (outlier_scores(np.zeros((3, 2), dtype=np.float32)) == 0).all()


def test_what_lies_far_from_all_is_the_first_outlier() -> None:
    clustered = made_up(100, 5)
    clustered.features[13] += 20
    found, _ = near_neighbours(clustered.features, arranged(clustered), near(clustered, 4))
    assert int(outlier_scores(found).argmax()) == 13
