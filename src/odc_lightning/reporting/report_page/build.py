"""Render a report as one HTML file that needs no other file and no network."""

import base64
import hashlib
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from PIL import Image

from odc_lightning.reporting.page_parts import page_scripts, page_style, page_template
from odc_lightning.reporting.report_page.facts import (
    closing_table,
    difference_table,
    facts,
    figures,
    run_table,
)
from odc_lightning.reporting.report_page.find_runs import SHEET, FoundRun, ReportInputs
from odc_lightning.reporting.report_page.measures import final_values, measures_of
from odc_lightning.reporting.report_page.panels import panels, set_apart
from odc_lightning.reporting.report_page.parallel import axes
from odc_lightning.reporting.report_page.settings import Group, differences, group_seeds, value_text
from odc_lightning.reporting.tables.table_layout import (
    group_evaluations,
    score_tables,
    skipped_protocols,
    unique_names,
)
from odc_lightning.utils.text import first_line

# In the order of execution.
SCRIPTS = ("base.js", "chart.js", "curves.js", "parallel.js", "tables.js")
MAX_SHEETS, SHEET_WIDTH = 4, 1400


def build_report(inputs: ReportInputs, output: Path, title: str | None = None) -> None:
    """Write the report.

    Args:
        inputs: runs, evaluations and cluster pages.
        output: the HTML file.
        title: at the top of the report; None: the run's name, or the names of several runs.
    """
    html = render(inputs, output.parent, title)
    output.parent.mkdir(parents=True, exist_ok=True)
    # A name may hold what is not UTF-8.
    output.write_bytes(html.encode("utf-8", "replace"))


def render(inputs: ReportInputs, folder: Path, title: str | None = None) -> str:
    """The report as text; links are relative to the folder."""
    runs = inputs.runs
    package = str(__package__)
    script = "\n".join(page_scripts(package, SCRIPTS).values())
    style = page_style(package)
    return page_template(package, "report.html").render(
        title=title or common_title([run.name for run in runs]),
        figures=figures(runs),
        single=len(runs) == 1,
        **_comparison(inputs),
        evaluations=[
            _evaluation(group) for group in group_evaluations(e for _, e in inputs.evaluations)
        ],
        sheets=_sheets(inputs, folder),
        problems=inputs.problems,
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
    )


def _comparison(inputs: ReportInputs) -> dict[str, Any]:
    """The template's values for runs: facts of each, tables of all, and data of the curves."""
    runs = inputs.runs
    settings = differences([run.config for run in runs])
    names = _names(runs)
    groups = group_seeds(names, settings)
    values = [
        final_values(
            run, [e for place, e in inputs.evaluations if run.has_made(place, e.checkpoint)]
        )
        for run in runs
    ]
    measures = measures_of(values)
    singles = [Group(name, (run,)) for run, name in enumerate(names)]
    moving, constant = set_apart(panels(runs, groups))
    data = {
        "panels": moving,
        "groups": [group.label for group in groups],
        "runs": names,
        "axes": axes(settings, measures, values),
    }
    return {
        "runs": [_run(name, run) for name, run in zip(names, runs, strict=True)],
        "groups": run_table(groups, settings, measures, values),
        "singles": run_table(singles, settings, measures, values)
        if len(singles) > len(groups)
        else None,
        "differences": difference_table(settings),
        "constant": [(panel, value_text(value)) for panel, value in constant],
        "has_axes": bool(data["axes"]),
        "has_curves": bool(moving),
        "data": _json(data),
    }


def _run(name: str, run: FoundRun) -> dict[str, Any]:
    return {
        "name": name,
        "facts": facts(run),
        "closing": closing_table(run),
        "start": "starting" if run.summary and run.summary["pretrained"] else "untrained",
        "warnings": run.warnings,
    }


def _names(runs: Sequence[FoundRun]) -> list[str]:
    """The runs' names, with a remark where a run has not finished."""
    names = run_names([run.folder for run in runs])
    return [
        name if run.summary else f"{name} (not finished)"
        for name, run in zip(names, runs, strict=True)
    ]


def common_title(names: Sequence[str]) -> str:
    """The name of all runs if they share one, else all names."""
    different = list(dict.fromkeys(names))
    if len(different) > 3:
        return f"{len(different)} kinds of runs"
    return ", ".join(different) or "Evaluation"


def run_names(folders: Sequence[Path]) -> list[str]:
    """Each folder relative to the deepest folder above all of them."""
    absolute = [folder.absolute() for folder in folders]
    if len(absolute) < 2:
        return [folder.name for folder in absolute]
    common = Path(os.path.commonpath([folder.parent for folder in absolute]))
    return [str(folder.relative_to(common)) for folder in absolute]


def _evaluation(group: Sequence[Any]) -> dict[str, Any]:
    return {
        "title": f"Evaluation on {group[0].data}, {group[0].backbone}",
        "networks": list(zip(unique_names(group), [e.checkpoint for e in group], strict=True)),
        "tables": score_tables(group),
        "skipped": skipped_protocols(group),
    }


def _sheets(inputs: ReportInputs, folder: Path) -> list[dict[str, Any]]:
    """The first contact sheets; a damaged one becomes a problem."""
    sheets = []
    for place in inputs.cluster_pages[:MAX_SHEETS]:
        try:
            sheets.append(_sheet(place, folder))
        except Exception as error:  # Pillow's decoders raise anything from OSError to struct.error
            inputs.problems.append(f"{place / SHEET}: {first_line(error)}")
    return sheets


def _sheet(place: Path, folder: Path) -> dict[str, Any]:
    """The contact sheet as a data URL, and a link to the cluster page if it exists."""
    with Image.open(place / SHEET) as image:
        picture = image.convert("RGB")
    if picture.width > SHEET_WIDTH:
        picture = picture.resize((SHEET_WIDTH, round(picture.height * SHEET_WIDTH / picture.width)))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=82)
    index = place / "index.html"
    relative = os.path.relpath(index.absolute(), folder.absolute())
    return {
        "name": place.name,
        "source": f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}",
        "width": picture.width,
        "height": picture.height,
        "link": quote_from_bytes(os.fsencode(relative)) if index.is_file() else None,
    }


def _json(value: Any) -> str:
    """JSON without characters that could end the HTML element around it."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    """Hash of the text as a Content-Security-Policy has it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
