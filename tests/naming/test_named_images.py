"""Which image has which name, beside a slow reading of the rules."""

import re

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from odc_lightning.naming import GivenNames, NamedImages, Source, clustering_id, name_images

IMAGES = [f"{number}.jpg" for number in range(8)]
CLUSTERS = np.array([0, 0, 0, 1, 1, 2, 2, 3])


def named(**said: object) -> NamedImages:
    names = GivenNames(clustering=clustering_id(IMAGES, CLUSTERS), **said)  # type: ignore[arg-type]
    return name_images(names, IMAGES, CLUSTERS)


def shown(result: NamedImages) -> list[str | None]:
    words = [*result.names, "(rubbish)", None]  # -2 and -1
    return [words[label] for label in result.labels]


def test_clusters_share_names_and_images_come_first() -> None:
    result = named(
        clusters={0: "cat", 1: "cat", 2: None},
        images={"1.jpg": "dog", "3.jpg": None, "5.jpg": "cat", "7.jpg": "emu"},
        wrong=["2.jpg"],
    )
    assert result.names == ["cat", "dog", "emu"]
    assert shown(result) == ["cat", "dog", None, "(rubbish)", "cat", "cat", "(rubbish)", "emu"]
    assert result.refused.tolist() == [-1, -1, 0, -1, -1, -1, -1, -1]
    assert [Source(source).name for source in result.sources] == [
        *("CLUSTER", "PERSON", "NOBODY", "PERSON", "CLUSTER", "PERSON", "CLUSTER", "PERSON")
    ]


def test_together_spreads_a_name() -> None:
    pairs = [("0.jpg", "3.jpg"), ("3.jpg", "7.jpg")]
    by_person = named(images={"7.jpg": "cat"}, clusters={0: "dog"}, together=pairs)
    assert shown(by_person) == ["cat", "dog", "dog", "cat", None, None, None, "cat"]
    assert (by_person.sources[[0, 3, 7]] == Source.PERSON).all()
    by_cluster = named(clusters={0: "dog"}, together=pairs)
    assert shown(by_cluster)[3] == shown(by_cluster)[7] == "dog"
    assert by_cluster.sources[3] == Source.CLUSTER
    two = named(clusters={0: "dog", 1: "cat"}, together=pairs)  # which of them, nobody said
    assert shown(two) == [None, "dog", "dog", None, "cat", None, None, None]
    refused = named(clusters={0: "dog"}, wrong=["3.jpg"], together=pairs)
    assert shown(refused)[0] == "dog"  # cluster 1 has no name that 3.jpg could refuse
    refused = named(clusters={0: "dog", 1: "dog"}, wrong=["3.jpg"], together=pairs)
    assert shown(refused)[0] is None


def test_apart_takes_the_less_certain_name() -> None:
    both = named(clusters={0: "cat"}, apart=[("0.jpg", "1.jpg")])
    assert shown(both)[:3] == [None, None, "cat"]
    one = named(clusters={0: "cat"}, images={"0.jpg": "cat"}, apart=[("0.jpg", "1.jpg")])
    assert shown(one)[:3] == ["cat", None, "cat"]
    groups = named(
        clusters={0: "cat"},
        images={"2.jpg": "cat"},
        together=[("0.jpg", "1.jpg")],
        apart=[("0.jpg", "2.jpg")],
    )
    assert shown(groups)[:3] == [None, None, "cat"]  # with the one that belongs to it
    different = named(clusters={0: "cat", 1: "dog"}, apart=[("0.jpg", "3.jpg")])
    assert shown(different)[:4] == ["cat", "cat", "cat", "dog"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"images": {"0.jpg": "cat", "1.jpg": "dog"}, "together": [("0.jpg", "1.jpg")]},
            "0.jpg and 1.jpg are said to belong together, and have the names 'cat' and 'dog'",
        ),
        (
            {"images": {"0.jpg": "cat", "1.jpg": "cat"}, "apart": [("1.jpg", "0.jpg")]},
            "1.jpg and 0.jpg are said to belong apart, and have the names 'cat' and 'cat'",
        ),
        (
            {"together": [("0.jpg", "1.jpg")], "apart": [("1.jpg", "0.jpg")]},
            "1.jpg and 0.jpg are said to belong apart, and by other pairs together",
        ),
        (
            {
                "clusters": {0: "cat"},
                "images": {"0.jpg": "cat"},
                "wrong": ["1.jpg"],
                "together": [("0.jpg", "1.jpg")],
            },
            "0.jpg and 1.jpg are said to belong together, and have the names 'cat' and 'no name'",
        ),
        ({"images": {"x.jpg": "cat"}}, "none of the 1 named images is an image of this run"),
        ({"clusters": {9: "cat"}}, "cluster 9 has a name, but the last cluster is 3"),
    ],
)
def test_contradictions_and_other_runs(said: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        named(**said)


def test_a_refusal_that_is_said_twice_is_one() -> None:
    assert named(clusters={0: "cat"}, wrong=["1.jpg", "1.jpg"]).refused[1] == 0
    assert named(clusters={0: None}, wrong=["1.jpg"]).refused[1] == -2


def test_names_of_another_clustering() -> None:
    names = GivenNames("0" * 16, "/runs/one", {0: "cat"})
    with pytest.raises(ValueError, match=r"another clustering.*on the page of /runs/one"):
        name_images(names, IMAGES, CLUSTERS)
    images_only = GivenNames("0" * 16, images={"0.jpg": "cat", "gone.jpg": "cat"})
    result = name_images(images_only, IMAGES, CLUSTERS)
    assert shown(result)[0] == "cat"
    assert result.unknown == ["gone.jpg"]


PAIRS = st.lists(st.tuples(st.sampled_from(IMAGES), st.sampled_from(IMAGES)), max_size=4).map(
    lambda pairs: [pair for pair in pairs if pair[0] != pair[1]]
)
NAMES = st.sampled_from(["cat", "dog", None])


@drawn(
    st.dictionaries(st.integers(0, 3), NAMES),
    st.dictionaries(st.sampled_from(IMAGES), NAMES),
    st.sets(st.sampled_from(IMAGES), max_size=2),
    PAIRS,
    PAIRS,
)
def test_what_holds_for_all(
    clusters: dict[int, str | None],
    images: dict[str, str | None],
    wrong: set[str],
    together: list[tuple[str, str]],
    apart: list[tuple[str, str]],
) -> None:
    try:
        wrong -= images.keys()
        parts = {"wrong": sorted(wrong), "together": together, "apart": apart}
        result = named(clusters=clusters, images=images, **parts)
    except ValueError:  # a contradiction, of which the test above has both kinds
        return
    words = dict(zip(IMAGES, shown(result), strict=True))
    for image, name in images.items():
        assert words[image] == name or (name is None and words[image] == "(rubbish)")
    for one, other in together:
        assert words[one] == words[other]
    for one, other in apart:
        assert words[one] != words[other] or words[one] in (None, "(rubbish)")
    spoken_of = {*images, *wrong, *(image for pair in (*together, *apart) for image in pair)}
    for image, cluster in zip(IMAGES, CLUSTERS.tolist(), strict=True):
        if image not in spoken_of:
            expected = clusters.get(cluster, "") or "(rubbish)" if cluster in clusters else None
            assert words[image] == expected
    nobody = result.sources == Source.NOBODY
    assert (nobody == (result.labels == -1)).all()
