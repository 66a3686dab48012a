"""Files that run code or grow when they are read are read in one place each."""

import ast
from collections.abc import Iterator

import pytest

from helpers.paths import ROOT

PACKAGE = ROOT / "src" / "odc_lightning"
# Reading function -> the modules that may call it.
READERS = {
    "torch.load": {"checkpoints/read.py"},
    "pickle.load": {"checkpoints/read.py"},
    "safetensors.torch.load_file": {"checkpoints/read.py", "hub/export_folder.py"},
    "numpy.load": {"utils/arrays.py"},
    "omegaconf.OmegaConf.load": {"checkpoints/run_config.py", "config/automatic.py"},
    "torch.export.load": {"hub/torch_export.py"},  # what it just wrote
    "yaml.parse": {"checkpoints/run_config.py"},
    # Texts that are already in memory: `facts.json` of an output, our own text, and what the page
    # sends, whose length is limited.
    "json.loads": {
        "utils/json_file.py",
        "inference/table_parts.py",
        "runs/resume.py",
        "reporting/cluster_page/server.py",
    },
}
FORBIDDEN = ("loads", "load", "load_all", "unsafe_load", "full_load", "safe_load", "read_index")
MODULES = ("pickle", "torch", "numpy", "yaml", "json", "marshal", "shelve", "joblib", "faiss")


def calls() -> Iterator[tuple[str, str]]:
    """Module and full name of every call of an imported name."""
    for file in sorted([*PACKAGE.rglob("*.py"), *(ROOT / "scripts").glob("*.py")]):
        tree = ast.parse(file.read_text("utf-8"))
        names: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {each.asname or each.name: each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {e.asname or e.name: f"{node.module}.{e.name}" for e in node.names}
        where = file.relative_to(PACKAGE if PACKAGE in file.parents else ROOT).as_posix()
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                first, _, rest = ast.unparse(node.func).partition(".")
                if first in names:
                    yield where, ".".join(filter(None, [names[first], rest]))


def test_nothing_else_reads_such_files() -> None:
    found = {(where, name) for where, name in calls() if name in READERS}
    assert {name for _, name in found} == set(READERS)  # the test sees them
    assert {pair for pair in found if pair[0] not in READERS[pair[1]]} == set()
    others = {
        (where, name)
        for where, name in calls()
        if name.split(".")[0] in MODULES and name.split(".")[-1] in FORBIDDEN
    }
    assert {pair for pair in others if pair[1] not in READERS} == set()


@pytest.mark.parametrize("module", ["train.py", "evaluation/linear.py"])
def test_lightning_unpickles_no_objects_either(module: str) -> None:
    fits = [
        {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        for node in ast.walk(ast.parse((PACKAGE / module).read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "trainer.fit"
    ]
    assert fits
    assert all(each["weights_only"] == "True" for each in fits)
