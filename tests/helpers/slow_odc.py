"""One ODC iteration, slow and obvious: NumPy, fp64, a loop for every sum in the paper."""

from dataclasses import dataclass

import numpy as np

MAX_ROUNDS = 10


@dataclass
class SlowNames:
    """What is said about each of N samples; cluster l belongs to the name l."""

    names: list[int]  # -1: no name
    refused: list[int]  # -1: nothing
    groups: list[int]  # -1: no group
    apart: list[tuple[int, int]]

    def unit(self, sample: int) -> list[int]:
        """The samples that are always in one cluster with it."""
        group = self.groups[sample]
        return [sample] if group < 0 else [n for n, g in enumerate(self.groups) if g == group]

    def partners(self, sample: int) -> list[int]:
        mine = self.unit(sample)
        return [q for p in self.apart for n, q in (p, p[::-1]) if n in mine]

    def in_unit(self, sample: int) -> bool:
        alone = self.groups[sample] < 0 and not self.partners(sample)
        return self.names[sample] < 0 and not alone

    def is_fixed(self, sample: int) -> bool:
        return max(self.names[sample], self.refused[sample]) >= 0 or self.in_unit(sample)

    def forbidden(self, sample: int) -> set[int]:
        """Clusters of the names that the sample does not have."""
        said = [self.refused[n] for n in self.unit(sample)]
        said += [self.names[n] for n in self.partners(sample)]
        return {name for name in said if name >= 0}


@dataclass
class SlowODC:
    """The paper's two memories, one sample and one cluster at a time."""

    features: np.ndarray  # (N, D)
    labels: np.ndarray  # (N,)
    num_clusters: int
    momentum: float = 0.5
    renormalize: bool = False
    assignment: str = "l2"
    refresh_every: int = 10
    refresh: str = "involved"
    threshold: int = 20
    repeat: bool = True
    moved_half: str = "random"
    balance: dict[str, float] | None = None  # temperature, iterations, every, max_samples
    seed: int = 0
    said: SlowNames | None = None

    def __post_init__(self) -> None:
        self.features = self.features.astype(np.float64)
        self.labels = self.labels.copy()
        self.centroids = np.stack([self.mean(c) for c in range(self.num_clusters)])
        self.involved: set[int] = set()
        self.num_splits = 0
        self.offsets = np.zeros(self.num_clusters)
        self.end_balance(0)

    def members(self, cluster: int) -> list[int]:
        return [n for n, label in enumerate(self.labels) if label == cluster]

    def size(self, cluster: int) -> int:
        return len(self.members(cluster))

    def mean(self, cluster: int) -> np.ndarray:
        return np.mean([self.features[n] for n in self.members(cluster)], axis=0)

    def nearest(self, feature: np.ndarray, candidates: list[int]) -> int:
        if self.assignment == "l2":
            return min(candidates, key=lambda c: np.sum((feature - self.centroids[c]) ** 2))
        return max(candidates, key=lambda c: self.score(feature, c))

    def label(self, feature: np.ndarray, candidates: list[int]) -> int:
        """Eq. 3, with the offsets of balanced clusters."""
        if self.balance is None:
            return self.nearest(feature, candidates)
        return max(candidates, key=lambda c: self.score(feature, c) + self.offsets[c])

    def candidates(self, sample: int) -> list[int]:
        """The clusters that a sample may be in."""
        if self.said is None:
            return list(range(self.num_clusters))
        if self.said.names[sample] >= 0:
            return [self.said.names[sample]]
        return [c for c in range(self.num_clusters) if c not in self.said.forbidden(sample)]

    def label_units(self) -> None:
        """The samples of one group, and those of pairs apart: COP-KMeans."""
        if self.said is None:
            return
        said = self.said
        units = sorted({tuple(said.unit(n)) for n in range(len(self.labels)) if said.in_unit(n)})
        means = {unit: np.mean([self.features[n] for n in unit], axis=0) for unit in units}

        def distance(unit: tuple[int, ...]) -> float:
            first = self.label(means[unit], self.candidates(unit[0]))
            return float(np.sum((means[unit] - self.centroids[first]) ** 2))

        done: dict[int, int] = {}
        for unit in sorted(units, key=distance):
            taken = {done[q] for q in said.partners(unit[0]) if q in done}
            free = [c for c in self.candidates(unit[0]) if c not in taken]
            for n in unit:
                done[n] = self.label(means[unit], free)
        for n, cluster in done.items():
            self.move(n, cluster)

    def is_fixed(self, sample: int) -> bool:
        return self.said is not None and self.said.is_fixed(sample)

    def movable(self, cluster: int) -> list[int]:
        return [n for n in self.members(cluster) if not self.is_fixed(n)]

    def is_owned(self, cluster: int) -> bool:
        return self.said is not None and cluster <= max(self.said.names)

    def is_small(self, cluster: int) -> bool:
        return self.size(cluster) <= self.threshold and not self.is_owned(cluster)

    def score(self, feature: np.ndarray, cluster: int) -> float:
        centroid = self.centroids[cluster]
        if self.assignment == "cosine":
            centroid = centroid / np.linalg.norm(centroid)
        half_square = np.dot(centroid, centroid) / 2 if self.assignment == "l2" else 0.0
        return float(np.dot(feature, centroid) - half_square)

    def move(self, sample: int, cluster: int) -> None:
        if self.labels[sample] != cluster:
            self.involved |= {int(self.labels[sample]), cluster}
            self.labels[sample] = cluster

    def weights(self, indices: np.ndarray) -> np.ndarray:
        raw = np.array([1 / np.sqrt(self.size(self.labels[n])) for n in indices])
        return raw / raw.mean()

    def updated(self, sample: int, views: list[np.ndarray]) -> np.ndarray:
        """Eq. 2 for one sample, with the mean direction of some of its views."""
        units = [view / max(np.linalg.norm(view), 1e-12) for view in views]
        mean = np.mean(units, axis=0)
        unit = mean / max(np.linalg.norm(mean), 1e-12)
        new = self.momentum * unit + (1 - self.momentum) * self.features[sample]
        return new / np.linalg.norm(new) if self.renormalize else new

    def soft_targets(
        self, indices: np.ndarray, features: np.ndarray, temperature: float
    ) -> np.ndarray:
        """A distribution (C,) for each view of each sample."""
        targets = []
        for n, views in zip(indices, np.split(features, len(indices)), strict=True):
            for _ in views:
                feature = self.updated(int(n), list(views))
                scores = np.array([self.score(feature, c) for c in range(self.num_clusters)])
                scores = scores + self.offsets
                may = self.candidates(int(n))
                if self.said is not None and self.said.in_unit(int(n)):
                    may = [int(self.labels[n])]
                scores[[c for c in range(self.num_clusters) if c not in may]] = -np.inf
                odds = np.exp((scores - scores.max()) / temperature)
                targets.append(odds / odds.sum())
        return np.stack(targets)

    def end_balance(self, global_step: int) -> None:
        """Sinkhorn and Knopp's matrix scaling, of which the columns' factors are kept."""
        if self.balance is None or global_step % self.balance["every"] != 0:
            return
        stride = int(np.ceil(len(self.features) / self.balance["max_samples"]))
        start = global_step // self.balance["every"] % stride
        rows = self.features[int(start) :: stride]
        scores = np.array([[self.score(f, c) for c in range(self.num_clusters)] for f in rows])
        shares = np.exp(scores / self.balance["temperature"])
        factors = np.ones(self.num_clusters)
        for _ in range(int(self.balance["iterations"])):
            scaled = shares * factors
            scaled = scaled / scaled.sum(axis=1, keepdims=True)  # each sample is shared out
            factors = factors * (len(rows) / self.num_clusters) / scaled.sum(axis=0)
        offsets = np.log(factors) * self.balance["temperature"]
        self.offsets = offsets - offsets.mean()

    def write_batch(self, indices: np.ndarray, features: np.ndarray) -> float:
        """Eq. 2 and Eq. 3; returns the label-switch ratio."""
        old_labels = self.labels.copy()
        views = np.split(features, len(indices))
        new = [self.updated(n, list(some)) for n, some in zip(indices, views, strict=True)]
        for n, feature in zip(indices, new, strict=True):  # the last of a duplicate counts
            self.features[n] = feature
        for n in set(indices.tolist()):
            if self.said is None or not self.said.in_unit(n):
                self.move(n, self.label(self.features[n], self.candidates(n)))
        ratio = float(np.mean([self.labels[n] != old_labels[n] for n in set(indices.tolist())]))
        self.label_units()
        return ratio

    def end_step(self, global_step: int) -> None:
        if global_step % self.refresh_every == 0:
            for c in range(self.num_clusters):
                if (self.refresh == "all" or c in self.involved) and self.size(c) > 0:
                    self.centroids[c] = self.mean(c)
            self.involved = set()
        self.deal_with_small_clusters(np.random.default_rng([self.seed, global_step]))
        self.end_balance(global_step)

    def deal_with_small_clusters(self, rng: np.random.Generator) -> None:
        self.num_splits = 0
        fresh: set[int] = set()  # split or made anew: their centroids are set at once
        for _ in range(MAX_ROUNDS if self.repeat else 1):
            small = [c for c in range(self.num_clusters) if self.is_small(c)]
            normal = [c for c in range(self.num_clusters) if c not in small]
            if not small:
                break
            for c in small:
                for n in self.movable(c):
                    self.move(n, self.nearest(self.features[n], normal))
            largest_size = max(len(self.movable(c)) for c in range(self.num_clusters))
            if self.repeat and largest_size < 2 * (self.threshold + 1):
                break
            split: set[int] = set()
            for c in small:
                largest = max(range(self.num_clusters), key=lambda c: (len(self.movable(c)), -c))
                first, second = self.two_means(self.movable(largest), rng)
                half = second
                if self.moved_half == "first" or (
                    self.moved_half == "random" and rng.integers(2) == 0
                ):
                    half = first
                for n in half:
                    self.move(n, c)
                split |= {c, largest}
                self.num_splits += 1
            for c in split:
                self.centroids[c] = self.mean(c)
            fresh |= split
        if self.repeat:
            fresh |= self.top_up()
        for c in fresh:
            if self.size(c) > 0:
                self.centroids[c] = self.mean(c)
            self.offsets[c] = 0

    def two_means(
        self, members: list[int], rng: np.random.Generator
    ) -> tuple[list[int], list[int]]:
        draw, other_draw = rng.random(2)
        points = self.features[members]
        first = points[int(draw * len(points))]
        odds = np.cumsum([np.sum((p - first) ** 2) for p in points])
        chosen = sum(odd <= other_draw * odds[-1] for odd in odds)
        centers = [first, points[min(chosen, len(points) - 1)]]
        halves: tuple[list[int], list[int]] = ([], [])
        for _ in range(20):
            halves = ([], [])
            for i, p in enumerate(points):
                gap = np.sum((p - centers[0]) ** 2) - np.sum((p - centers[1]) ** 2)
                halves[int(gap > 0)].append(i)
            if not halves[0] or not halves[1]:
                break
            centers = [np.mean(points[half], axis=0) for half in halves]
        if not halves[0] or not halves[1]:
            middle = len(points) // 2
            halves = (list(range(middle)), list(range(middle, len(points))))
        return [members[i] for i in halves[0]], [members[i] for i in halves[1]]

    def top_up(self) -> set[int]:
        changed: set[int] = set()
        for slot in range(self.num_clusters):
            while self.is_small(slot):
                can_give = [c for c in range(self.num_clusters) if self.spare(c) > 0]
                donor = max(can_give, key=lambda c: (len(self.movable(c)), -c))
                spare = self.spare(donor)
                center = self.mean(donor)
                outermost = sorted(
                    self.movable(donor), key=lambda n: -np.sum((self.features[n] - center) ** 2)
                )
                for n in outermost[: min(spare, self.threshold + 1 - self.size(slot))]:
                    self.move(n, slot)
                changed |= {slot, donor}
        return changed

    def spare(self, cluster: int) -> int:
        """Samples that a cluster can give without becoming small."""
        needed = 0 if self.is_owned(cluster) else self.threshold + 1
        return min(len(self.movable(cluster)), self.size(cluster) - needed)
