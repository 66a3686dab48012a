import numpy as np
from sklearn.neighbors import NearestNeighbors

from helpers.made_up_run import made_up
from odc_lightning.reporting.cluster_page.embedding_map import chosen_positions, layout
from odc_lightning.reporting.cluster_page.measures import measure
from odc_lightning.reporting.cluster_page.page_order import PageOrder


def test_every_cluster_is_on_the_map_by_its_nearest_image() -> None:
    clustered = made_up(200, 20)
    page_order = PageOrder.of(clustered.labels, measure(clustered).distance, 20)
    assert chosen_positions(page_order, 200, 0).tolist() == list(range(200))
    some = chosen_positions(page_order, 50, 0)
    assert len(np.unique(some)) == 50
    assert set(page_order.starts[:-1].tolist()) <= set(some.tolist())
    assert some.tolist() == chosen_positions(page_order, 50, 0).tolist()
    assert some.tolist() != chosen_positions(page_order, 50, 1).tolist()
    assert len(chosen_positions(page_order, 7, 0)) == 7


def test_neighbours_on_the_map_are_of_one_cluster_and_a_seed_gives_one_map() -> None:
    clustered = made_up(90, 3)
    places = layout(clustered.features, 0)
    assert places.min() == 0
    assert places.max() == 1
    nearest = NearestNeighbors(n_neighbors=5).fit(places).kneighbors()[1]
    assert (clustered.labels[nearest] == clustered.labels[:, None]).mean() > 0.95
    np.testing.assert_array_equal(places, layout(clustered.features, 0))


def test_a_handful_of_images_and_equal_ones_have_places_too() -> None:
    clustered = made_up(12, 2)
    for rows in (clustered.features[:1], clustered.features[:3], clustered.features * 0):
        places = layout(rows, 0)
        assert places.shape == (len(rows), 2)
        assert np.isfinite(places).all()
    assert np.isfinite(layout(clustered.features[:, :1], 0)).all()
