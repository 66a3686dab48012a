"""Which settings differ, which runs are seeds of one, and what they are called."""

from odc_lightning.reporting.report_page import Difference, differences, group_seeds
from odc_lightning.reporting.report_page.settings import flatten, short_keys


def test_a_config_laid_flat() -> None:
    config = {"a": {"b": 1, "c": {}}, "d": [1, 2], "e": [{"f": 3}, {"f": 4}]}
    assert flatten(config) == {"a.b": 1, "a.c": "{}", "d": "[1, 2]", "e.0.f": 3, "e.1.f": 4}


def test_only_what_differs_and_not_where_a_run_lies() -> None:
    one = {"name": "x", "run_dir": "/r/1", "memory": {"dir": "/r/1/scratch"}, "lr": 0.1, "k": 5}
    other = {"name": "x", "run_dir": "/r/2", "memory": {"dir": "/r/2/scratch"}, "lr": 0.2}
    assert differences([one, other]) == [
        Difference(("lr",), (0.1, 0.2)),
        Difference(("k",), (5, "–")),
    ]


def test_what_goes_together_is_one_difference_named_by_what_is_chosen() -> None:
    configs = [{"scheduler": {"T_max": n}, "trainer": {"max_epochs": n}} for n in (5, 10)]
    assert differences(configs) == [
        Difference(("trainer.max_epochs", "scheduler.T_max"), (5, 10)),
    ]


def test_what_only_some_have_or_code_has_is_no_choice() -> None:
    configs = [
        {"lr": 0.1, "pca": 4, "neck": {"_target_": "a"}},
        {"lr": 0.2, "neck": {"_target_": "b"}},
    ]
    choices = {each.key: each.is_choice for each in differences(configs)}
    assert choices == {"lr": True, "pca": False, "neck._target_": False}


def test_one_and_true_are_two_values() -> None:
    assert differences([{"a": 1}, {"a": True}]) == [Difference(("a",), (1, True))]


def test_seeds_are_put_together_even_if_they_equal_another_setting() -> None:
    configs = [
        {"seed": seed, "data": {"seed": seed}, "algorithm": {"k": k}}
        for k, seed in [(0, 0), (1, 1), (0, 1)]
    ]
    found = differences(configs)
    groups = group_seeds(["a", "b", "c"], found)
    assert [(group.label, group.runs) for group in groups] == [("k=0", (0, 2)), ("k=1", (1,))]


def test_labels_are_names_or_folders_where_settings_are_many() -> None:
    configs = [{"name": name, "a": i, "b": -i, "c": 2 * i} for i, name in enumerate("xyz")]
    assert [g.label for g in group_seeds(["1", "2", "3"], differences(configs))] == ["x", "y", "z"]
    many = [{key: (i + 1) * factor for factor, key in enumerate("abcd", 1)} for i in range(2)]
    assert [g.label for g in group_seeds(["p/1", "p/2"], differences(many))] == ["p/1", "p/2"]
    seeds = [{**config, "seed": seed} for config in many for seed in range(2)]
    folders = [f"study/size_{size}/seed_{seed}" for size in range(2) for seed in range(2)]
    groups = group_seeds(folders, differences(seeds))
    assert [group.label for group in groups] == ["study/size_0", "study/size_1"]
    folders = [f"study/seed_{seed}/size_{size}" for size in range(2) for seed in range(2)]
    labels = [group.label for group in group_seeds(folders, differences(seeds))]
    assert labels == [
        "study/seed_0/size_0",
        "study/seed_0/size_1",
    ]  # they share no more than others


def test_one_group_needs_no_setting_to_be_told_apart() -> None:
    found = differences([{"seed": 0}, {"seed": 1}])
    assert [(g.label, g.runs) for g in group_seeds(["a", "b"], found)] == [("all runs", (0, 1))]
    assert [g.label for g in group_seeds(["a"], [])] == ["a"]


def test_short_keys() -> None:
    assert short_keys(["a.lr", "b.lr", "x.momentum"]) == ["a.lr", "b.lr", "momentum"]
