"""What is chosen from the number of images."""

import pytest

from odc_lightning.clustering import check_num_clusters
from odc_lightning.config.heuristics import (
    BATCH_SIZE,
    HYPERPARAMETERS,
    LEARNING_RATE,
    MAX_EPOCHS,
    NUM_CLUSTERS,
    choose_hyperparameters,
    suited_view_size,
)

NOTHING = dict.fromkeys(HYPERPARAMETERS)


@pytest.mark.parametrize("num_images", [2, 3, 17, 100, 400, 1437, 5000, 20_000, 60_000, 10**6])
def test_whatever_the_number_of_images_training_can_start(num_images: int) -> None:
    chosen = {choice.key: choice.value for choice in choose_hyperparameters(num_images, NOTHING)}
    assert tuple(chosen) == HYPERPARAMETERS
    check_num_clusters(num_images, int(chosen[NUM_CLUSTERS]), threshold=0)
    assert 1 <= chosen[BATCH_SIZE] <= num_images
    assert chosen[MAX_EPOCHS] >= 1
    assert 0 < chosen[LEARNING_RATE] < 1


def test_what_is_given_is_kept_and_heeded() -> None:
    free = {choice.key: choice.value for choice in choose_hyperparameters(20_000, NOTHING)}
    batch = 4 * free[BATCH_SIZE]
    bound = {c.key: c.value for c in choose_hyperparameters(20_000, {**NOTHING, BATCH_SIZE: batch})}
    assert BATCH_SIZE not in bound
    assert bound[LEARNING_RATE] == pytest.approx(4 * free[LEARNING_RATE])
    assert bound[NUM_CLUSTERS] == free[NUM_CLUSTERS]
    assert bound[MAX_EPOCHS] > free[MAX_EPOCHS]
    assert choose_hyperparameters(20_000, dict.fromkeys(HYPERPARAMETERS, 7)) == []


def test_steps_follow_the_trained_images_and_clusters_all_images() -> None:
    free = {c.key: c.value for c in choose_hyperparameters(400, NOTHING)}
    held = {c.key: c.value for c in choose_hyperparameters(400, NOTHING, num_held_back=80)}
    assert held[NUM_CLUSTERS] == free[NUM_CLUSTERS] == 40
    assert (free[BATCH_SIZE], held[BATCH_SIZE]) == (16, 16)
    given = {**NOTHING, BATCH_SIZE: 10}
    epochs = [
        next(c.value for c in choose_hyperparameters(400, given, count) if c.key == MAX_EPOCHS)
        for count in (0, 80)
    ]
    assert epochs == [125, 156]  # 40 and 32 steps an epoch
    few = {c.key: c.value for c in choose_hyperparameters(15, NOTHING, num_held_back=3)}
    assert few[BATCH_SIZE] == 12


def test_a_pretrained_network_gets_few_small_steps() -> None:
    chosen = {c.key: c.value for c in choose_hyperparameters(542, NOTHING, 54, pretrained=True)}
    assert chosen == {NUM_CLUSTERS: 47, BATCH_SIZE: 16, MAX_EPOCHS: 6, LEARNING_RATE: 0.0015}
    of_many = {c.key: c.value for c in choose_hyperparameters(10**5, NOTHING, pretrained=True)}
    assert (of_many[MAX_EPOCHS], of_many[LEARNING_RATE]) == (6, 0.003)


@pytest.mark.parametrize(
    ("size", "views"), [(224, 160), (96, 64), (256, 160), (300, 192), (32, 32), (28, 28)]
)
def test_views_are_smaller_in_steps_of_32(size: int, views: int) -> None:
    assert suited_view_size(size) == views
