"""Table 4 of finished evaluations: fine-tuning from several starting points."""

from pathlib import Path

from odc_lightning.metrics.scores import Score
from odc_lightning.reporting.tables.markdown import markdown_table, mean_and_spread
from odc_lightning.runs.results import read_results

METHODS = {"original": "original", "dc": "DC", "odc": "ODC"}
STARTS = {
    "colorization_photos": "Col.",
    "jigsaw_fashion_mnist": "Jig.",
    "rotation_fashion_mnist": "Rot.",
    "dc_fashion_mnist": "DC",
}
# Not in the paper; shown where there are evaluations of them.
OWN_METHODS = {"adapt": "recipe"}
OWN_STARTS = {"simclr_fashion_mnist": "SimCLR"}

UNTRAINED = ("untrained", "none")


def collect(folder: Path) -> dict[tuple[str, str], list[list[Score]]]:
    """The scores of each (method, start), one list per seed.

    Raises:
        ValueError: the folder has no evaluation.
    """
    found: dict[tuple[str, str], list[list[Score]]] = {}
    for file in sorted(folder.glob("*/*/*/results.json")):
        *_, method, start, _, _ = file.parts
        found.setdefault((method, start), []).append(read_results(file).scores)
    if not found:
        raise ValueError(f"{folder} has no METHOD/START/SEED/results.json")
    return found


def table(found: dict[tuple[str, str], list[list[Score]]], which: tuple[str, str, str]) -> str:
    """One measure as a Markdown table, in percent, with the standard deviation over seeds."""
    known = {each for pair in found for each in pair}
    methods, starts = (
        {**of_paper, **{key: title for key, title in own.items() if key in known}}
        for of_paper, own in ((METHODS, OWN_METHODS), (STARTS, OWN_STARTS))
    )
    rows = []
    for method, title in methods.items():
        cells = [cell(found.get((method, start), []), which) for start in starts]
        rows.append([title, *cells])
    return markdown_table(["", *starts.values()], rows)


def cell(seeds: list[list[Score]], which: tuple[str, str, str]) -> str:
    """Mean and spread of one measure, or a dash."""
    values = [
        100 * score.value
        for scores in seeds
        for score in scores
        if (score.protocol, score.metric, score.setting) == which
    ]
    return mean_and_spread(values) if values else "–"


def measures(found: dict[tuple[str, str], list[list[Score]]]) -> list[tuple[str, str, str]]:
    """All measures, in the order of measurement."""
    taken = (
        (score.protocol, score.metric, score.setting)
        for seeds in found.values()
        for scores in seeds
        for score in scores
    )
    return list(dict.fromkeys(taken))


def fine_tuning_tables(folder: Path) -> str:
    """One Markdown table per measure, each with the scores of the untrained network.

    Args:
        folder: with a ``results.json`` in METHOD/START/SEED/ for every network: method
            ``original``, ``dc``, ``odc`` or ``adapt``, start the experiment that the network comes
            from; and in ``untrained/none/SEED/``.

    Raises:
        ValueError: the folder has no evaluation.
    """
    scores = collect(folder)
    return "\n\n".join(
        f"{' '.join(filter(None, measure))} (%):\n\n{table(scores, measure)}\n\n"
        f"Untrained network: {cell(scores.get(UNTRAINED, []), measure)}"
        for measure in measures(scores)
    )
