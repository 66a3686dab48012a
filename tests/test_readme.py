"""What the documentation says of commands, files, names and keys is so."""

import configparser
import importlib
import itertools
import pkgutil
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import benchmarks.__main__
import benchmarks.gpu.__main__
import benchmarks.scale
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from packaging.requirements import Requirement

import odc_lightning
from benchmarks import cluster_page
from conftest import Compose, compose_command, composer
from helpers.paths import ROOT, TESTS
from odc_lightning import dashboard
from odc_lightning.callbacks.order import ORDER
from odc_lightning.cli import odc
from odc_lightning.cli.commands import COMMANDS
from odc_lightning.cli.completion import SHELLS
from odc_lightning.cli.recipe import ADAPT, AUTO
from odc_lightning.config import CONFIG_DIR
from odc_lightning.inference.viewer_files import ATLAS
from odc_lightning.report import argument_parser
from odc_lightning.search import check_trial, space_of

PAGES = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
)
TRAIN = ["python", "-m", "odc_lightning.train"]
EVALUATE = ["python", "-m", "odc_lightning.evaluate"]
WITH_CONFIG = [f"odc_lightning.{name}" for name in ("assign", "export", "extract")]
CLUSTERS = ["python", "-m", "odc_lightning.clusters"]
LABEL = ["python", "-m", "odc_lightning.label"]
# Where code in the text may start, for short names such as `memory.py`.
STARTS = ("", "docs", "src", "src/odc_lightning", "tests")
FILE_ENDINGS = (".py", ".md", ".yaml", ".cfg", ".toml", ".ipynb", ".sh")
OF_A_MODEL = (".onnx", ".safetensors")
# What is not in the checkout: files of a run, or of the reader.
ELSEWHERE = ("config.yaml", "best.yaml", "hparams.yaml", "my_conf/", "outputs/")
# Packages whose public names may stand in the text beside our own.
OTHERS = (
    "pytorch_lightning",
    "torch.optim",
    "torch.optim.lr_scheduler",
    "optuna.pruners",
    "builtins",
)
GROUPS = (
    *("data", "model", "algorithm", "optimizer", "scheduler", "callbacks", "logger", "trainer"),
    "protocol",
)


def fences(text: str, *languages: str) -> list[str]:
    """Contents of the fenced blocks of some languages."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [content for language, content in blocks if language in languages]


def code_spans(text: str) -> list[str]:
    """What stands in single backticks, outside of fenced blocks."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


def commands(text: str) -> list[list[str]]:
    """The words of each command line in bash and console blocks."""
    found = []
    for block in fences(text, "bash", "sh"):
        found += block.replace("\\\n", " ").splitlines()
    for block in fences(text, "console"):
        lines = block.replace("\\\n", " ").splitlines()
        found += [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [words for line in found if (words := shlex.split(line, comments=True))]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def everywhere() -> Iterator[tuple[str, list[str]]]:
    for name in PAGES:
        for words in commands(page(name)):
            yield name, written_out(words)


def written_out(words: list[str]) -> list[str]:
    """A command of ``odc`` as the one that it stands for."""
    match words:
        case ["odc", name, *arguments] if name in COMMANDS and "--help" not in arguments:
            words_of_python = odc.translated(name, arguments)
            adapting = [ADAPT if word == AUTO else word for word in words_of_python]
            return ["python", "-m", f"odc_lightning.{name}", *adapting]
    return words


TRAININGS = [(name, words[3:]) for name, words in everywhere() if words[:3] == TRAIN]
EVALUATIONS = [(name, words[3:]) for name, words in everywhere() if words[:3] == EVALUATE]
LOOKS = [(name, words[2:]) for name, words in everywhere() if words[:3] in (CLUSTERS, LABEL)]
OTHER_COMMANDS = [
    (name, words)
    for name, words in everywhere()
    if words[:3] not in (TRAIN, EVALUATE, CLUSTERS, LABEL)
]


def overrides_of(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Overrides, and the folders that ``--config-dir`` names; other flags must be known ones."""
    overrides, folders = [], []
    words = iter(arguments)
    for word in words:
        if word == "--config-dir":
            folders.append(next(words))
        elif word == "--cfg":
            assert next(words) in ("job", "hydra", "all")
        elif word.startswith("-"):
            assert word in ("-m", "--multirun", "--resolve", "--help"), f"unknown flag {word}"
        else:
            overrides.append(word)
    return overrides, folders


def single_runs(overrides: list[str], multirun: bool) -> list[list[str]]:
    """The overrides of each job; without ``-m`` there is one, and it may not sweep."""
    choices = []
    for override in OverridesParser.create().parse_overrides(overrides):
        line = str(override.input_line)
        assert multirun or not override.is_sweep_override(), f"{line} needs -m"
        if override.is_sweep_override():
            key = line.partition("=")[0]
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([line])
    return [list(job) for job in itertools.product(*choices)]


def write_own_configs(text: str, folder: Path) -> None:
    """Write yaml blocks that name their file in a comment, as ``# my_conf/data/faces.yaml``."""
    for block in fences(text, "yaml"):
        if named := re.search(r"^# (my_conf/\S+\.yaml)$", block, re.MULTILINE):
            path = folder / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)


def check_training(name: str, arguments: list[str], compose: Compose, folder: Path) -> None:
    """Whether a training command composes, with nothing left open."""
    overrides, own = overrides_of(arguments)
    write_own_configs(page(name), folder)
    for path in own:
        assert (folder / path).is_dir(), f"{name} has no yaml block for {path}"
    search = [f"hydra.searchpath=[{','.join(f'file://{folder / path}' for path in own)}]"]
    for job in single_runs(overrides, bool({"-m", "--multirun"} & set(arguments))):
        job = [each for each in job if not each.startswith(("hydra.", "hydra/"))]
        config = compose(*job, *(search if own else []))
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        assert isinstance(resolved, dict)
        check_targets(resolved)


def check_evaluation(arguments: list[str], compose: Compose) -> None:
    """Whether an evaluating command composes; what it leaves to the run is taken from elsewhere."""
    overrides, _ = overrides_of(arguments)
    given = {override.partition("=")[0] for override in overrides}
    of_the_run = {"model": "model=convnet"}
    if not given & {"data", "benchmark"}:
        of_the_run["data"] = "data=digits"
    for job in single_runs(overrides, bool({"-m", "--multirun"} & set(arguments))):
        missing = [value for group, value in of_the_run.items() if group not in given]
        resolved = OmegaConf.to_container(
            compose(*missing, *job), resolve=True, throw_on_missing=True
        )
        assert isinstance(resolved, dict)
        check_targets(resolved)


def check_targets(node: Any) -> None:
    """Whether everything that a config names can be imported."""
    if isinstance(node, dict):
        if "_target_" in node:
            get_object(node["_target_"])
        for child in node.values():
            check_targets(child)
    elif isinstance(node, list):
        for child in node:
            check_targets(child)


@pytest.mark.parametrize(("name", "arguments"), TRAININGS, ids=lambda value: str(value))
def test_every_training_command_composes(
    name: str, arguments: list[str], compose_config: Compose, tmp_path: Path
) -> None:
    check_training(name, arguments, compose_config, tmp_path)


@pytest.mark.parametrize(("name", "arguments"), EVALUATIONS, ids=lambda value: str(value))
def test_every_evaluating_command_composes(
    name: str, arguments: list[str], compose_evaluation: Compose
) -> None:
    check_evaluation(arguments, compose_evaluation)


@pytest.mark.parametrize(("name", "words"), LOOKS, ids=lambda value: str(value))
def test_every_command_that_looks_at_clusters_composes(
    name: str, words: list[str], tmp_path: Path
) -> None:
    module, *arguments = words
    overrides, _ = overrides_of(arguments)
    for job in single_runs(overrides, multirun=False):
        assert composer(tmp_path, module.rpartition(".")[2])(*job).run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["checkpoint=x", "protocol=no_such_protocol"], "Could not find 'protocol/no_such_pr"),
        (["checkpoint=x", "benchmark=voc07"], "full_key: data.root"),
        (["protocol=knn"], "full_key: checkpoint"),
        (["checkpoint=x", "protocol=knn", "protocol.svm.folds=2"], "Could not override"),
    ],
)
def test_a_wrong_evaluating_command_is_found(
    arguments: list[str], message: str, compose_evaluation: Compose
) -> None:
    with pytest.raises(Exception, match=re.escape(message)):
        check_evaluation(arguments, compose_evaluation)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["experiment=no_such_experiment"], "Could not find 'experiment/no_such_experiment'"),
        (["data.no_such_key=1"], "Could not override 'data.no_such_key'"),
        (["data=image_folder"], "full_key: data.root"),
        (["algorithm.num_clusters=20,50"], "needs -m"),
        (["--no-such-flag"], "unknown flag --no-such-flag"),
        (["+callbacks.mine._target_=odc_lightning.callbacks.NoSuch"], "callbacks.NoSuch"),
        (["--config-dir", "no_such_folder"], "no yaml block for no_such_folder"),
    ],
)
def test_a_wrong_training_command_is_found(
    arguments: list[str], message: str, compose_config: Compose, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match=re.escape(message)):
        check_training("README.md", arguments, compose_config, tmp_path)


def test_there_are_commands_to_check() -> None:
    assert len([name for name, _ in TRAININGS if name == "README.md"]) >= 10
    assert {"README.md", "docs/configs.md", "docs/data.md"} <= {name for name, _ in TRAININGS}


@pytest.mark.parametrize(("name", "words"), OTHER_COMMANDS, ids=lambda value: str(value))
def test_every_other_command_is_known(name: str, words: list[str]) -> None:
    check_command(words)


def check_command(words: list[str]) -> None:
    """Whether what a command that is no training starts or installs is there."""
    match words:
        case ["make", *arguments]:
            targets = [word for word in arguments if "=" not in word]
            assert targets
            assert set(targets) <= make_targets()
        case ["pip", "install", *what]:
            assert all(is_installable(requirement) for requirement in what)
        case ["python", path, *_] if path.endswith(".py"):
            assert (ROOT / path).is_file(), path
        case ["python", "-m", "odc_lightning.doctor", *_]:
            pass
        case ["python", "-m", "benchmarks", *arguments]:
            benchmarks.__main__.parse(arguments)
        case ["python", "-m", "benchmarks.gpu", *arguments]:
            benchmarks.gpu.__main__.parse(arguments)
        case ["python", "-m", "benchmarks.scale", *arguments]:
            benchmarks.scale.parse(arguments)
        case ["python", "-m", module, *arguments] if module in WITH_CONFIG:
            config = compose_command(module.rpartition(".")[2], *overrides_of(arguments)[0])
            OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        case ["odc", *names, "--help"]:
            assert set(names) <= set(COMMANDS)
        case ["odc", "completion", shell] | ["eval", shell]:
            assert shell.removeprefix("$(odc completion ").removesuffix(")") in SHELLS
        case ["python", "-m", "benchmarks.cluster_page", *arguments]:
            cluster_page.parse(arguments)
        case ["python", "-m", "odc_lightning.search", *overrides]:
            check_search(overrides)
        case ["python", "-m", "odc_lightning.dashboard", *arguments]:
            dashboard.parse(arguments)
        case ["wandb", "login" | "sync", *_] | ["tensorboard", "--logdir", _]:
            pass
        case ["embedding-atlas", file, "--vector", "features", "--image", "image", *others]:
            assert Path(file).name == ATLAS
            assert others[:-1] in ([], ["--query"])
        case ["python", "-m", "odc_lightning.report", *arguments]:
            argument_parser().parse_args(arguments)
        case [".venv/bin/python", "-m", module, *arguments]:
            assert module in developer_tools(), module
            assert all((ROOT / word).exists() for word in arguments if "/" in word)
        case [tool, *_] if tool.startswith(".venv/bin/"):
            assert tool.removeprefix(".venv/bin/") in developer_tools(), tool
        case _:
            raise AssertionError(f"no check for the command {shlex.join(words)}")


def check_search(overrides: list[str]) -> None:
    """Whether a search's command composes, and what it says of its trainings does."""
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        config = compose("search", ["run_dir=/nowhere", *overrides])
        check_trial(config, space_of(config))


@pytest.mark.parametrize(
    "command",
    [
        "make no-such-target",
        "python -m odc_lightning.search no_such_key=1",
        "python -m odc_lightning.search 'space={no.such.key: {low: 1, high: 2}}'",
        "pip install '.[no_such_extra]'",
        "pip install no-such-package",
        "python scripts/no_such_script.py",
        ".venv/bin/no-such-tool install",
        ".venv/bin/python -m pytest tests/no_such_folder",
        "odc no_such_command",
        "odc completion no_such_shell",
        "embedding-atlas features.parquet --vector features --image image",
    ],
)
def test_a_wrong_command_is_found(command: str) -> None:
    with pytest.raises((AssertionError, HydraException, ValueError)):
        check_command(shlex.split(command))


def targets_of(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z-]+):", page(makefile), re.MULTILINE))


def studies() -> set[str]:
    """Targets of the studies, which the Makefile includes."""
    paths = (ROOT / "scripts" / "experiments").glob("*.mk")
    return {target for path in paths for target in targets_of(str(path.relative_to(ROOT)))}


def make_targets() -> set[str]:
    return targets_of("Makefile") | studies()


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def packages_in(requirements: str) -> set[str]:
    """Names of the packages in lines of requirements."""
    lines = [line for line in requirements.splitlines() if not line.startswith("#")]
    return {match[0] for line in lines if (match := re.match(r"[\w-]+", line.strip()))}


def is_installable(argument: str) -> bool:
    """Whether it is ``.``, ``.[extra]`` or ``odc-lightning[extra]``, of one extra or of several."""
    if argument == ".":
        return True
    requirement = Requirement(re.sub(r"^\.\[", "odc-lightning[", argument))
    known = requirement.extras <= set(setup_cfg()["options.extras_require"])
    plain = not (requirement.specifier or requirement.url or requirement.marker)
    return requirement.name == "odc-lightning" and bool(requirement.extras) and known and plain


def developer_tools() -> set[str]:
    return packages_in(setup_cfg()["options.extras_require"]["dev"])


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page(name))
    missing = [link for link in links if not link_exists(link, (ROOT / name).parent)]
    assert not missing


def link_exists(link: str, folder: Path) -> bool:
    """Whether a relative link leads to a file, and its anchor to a heading there."""
    if link.startswith(("https://", "http://")):
        return True
    path, _, anchor = link.partition("#")
    target = folder / path
    if not path or not target.exists():
        return False
    text = target.read_text(encoding="utf-8") if anchor else ""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    slugs = [re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings]
    return not anchor or anchor in slugs


@pytest.mark.parametrize("name", PAGES)
def test_files_that_are_named_exist(name: str) -> None:
    spans = [span for span in code_spans(page(name)) if names_a_file(span)]
    assert not [span for span in spans if not file_exists(span)]


def names_a_file(span: str) -> bool:
    if " " in span or "=" in span or span.startswith(ELSEWHERE):
        return False
    starts = ("src/", "conf/", "docs/", "tests/", "scripts/", "benchmarks/", "callbacks/", ".ci/")
    return span.endswith(FILE_ENDINGS) or span.startswith(starts)


def file_exists(span: str) -> bool:
    return any((ROOT / start / span).exists() for start in STARTS)


def test_a_wrong_link_or_file_is_found() -> None:
    assert not link_exists("docs/no_such_page.md", ROOT)
    assert not link_exists("docs/metrics.md#no-such-heading", ROOT)
    assert link_exists("docs/metrics.md#every-epoch", ROOT)
    for span in ("src/odc_lightning/no_such.py", "no_such.py", "conf/no_such_group/"):
        assert names_a_file(span)
        assert not file_exists(span)


@pytest.mark.parametrize("name", PAGES)
def test_make_targets_and_packages_that_are_named_exist(name: str) -> None:
    spans = code_spans(page(name))
    for span in spans:
        if span.startswith("make "):
            check_command(shlex.split(span))
    faiss = {span for span in spans if re.fullmatch(r"faiss-\w+", span)}
    assert faiss <= packages_in(setup_cfg()["options"]["install_requires"])


@pytest.mark.parametrize("name", PAGES)
def test_classes_and_functions_that_are_named_exist(name: str) -> None:
    spans = code_spans(page(name))
    dotted = [span for span in spans if re.fullmatch(r"(odc_lightning|torch)(\.\w+)+", span)]
    for span in dotted:
        get_object(span)
    camel = [s for s in spans if re.fullmatch(r"[A-Z]+[a-z]+[A-Z]\w*(\.\w+)*(\(\w+\))?", s)]
    assert not [span for span in camel if not is_known(span.partition("(")[0])]


def is_known(name: str) -> bool:
    """Whether ``Class`` or ``Class.attribute`` is something of ours or of Lightning and torch."""
    first, *attributes = name.split(".")
    for module in modules():
        found = getattr(module, first, None)
        for attribute in attributes:
            found = found and (
                getattr(found, attribute, None)
                or attribute in getattr(found, "__annotations__", {})
                or f"{attribute}:" in (found.__doc__ or "")
            )
        if found:
            return True
    return False


def modules() -> list[Any]:
    ours = pkgutil.walk_packages(odc_lightning.__path__, "odc_lightning.")
    names = [info.name for info in ours if not info.name.startswith("odc_lightning.conf")]
    return [importlib.import_module(name) for name in (*names, *OTHERS)]


def test_a_wrong_name_is_found() -> None:
    assert is_known("ClusterMemory.propose")
    assert is_known("SamplesMemory.step_completed")
    assert not is_known("NoSuchCallback")
    assert not is_known("ClusterMemory.no_such_method")


def test_config_keys_that_are_named_exist(
    compose_config: Compose, compose_evaluation: Compose
) -> None:
    defaults = [compose_config(), compose_evaluation("data=digits", "model=convnet")]
    named = {
        key: name
        for name in PAGES
        for span in code_spans(page(name))
        if (key := config_key(span)) is not None
    }
    assert not {
        key: name
        for key, name in named.items()
        if not any(has_key(config, key) for config in defaults)
        and not any(has_key(compose_config(option), key) for option in options_for(key))
    }


def config_key(span: str) -> str | None:
    """``data.root`` of ``data.root=/path`` or ``~data.root``; None if the text is no such key."""
    match = re.fullmatch(rf"~?((?:{'|'.join((*GROUPS, 'head_optimizer'))})\.[\w.]+)(=.*)?", span)
    return None if match is None or match[1].endswith((*FILE_ENDINGS, *OF_A_MODEL)) else match[1]


def has_key(config: DictConfig, key: str) -> bool:
    """Whether the key is there, whatever its value."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, dict | DictConfig) or part not in node.keys():  # noqa: SIM118
            return False
        node = node._get_node(part) if isinstance(node, DictConfig) else node[part]
    return True


def options_for(key: str) -> list[str]:
    """Every option of the groups that have options of different keys; the likely ones first."""
    files = [
        path
        for group in ("data", "model", "algorithm", "scheduler", "logger")
        for path in sorted(Path(CONFIG_DIR, group).glob("*.yaml"))
        if path.stem != "base"
    ]
    files.sort(key=lambda path: key.rpartition(".")[2] not in path.read_text(encoding="utf-8"))
    return [f"{path.parent.name}={path.stem}" for path in files]


def test_a_wrong_key_is_found(compose_config: Compose) -> None:
    config = compose_config("data=image_folder")
    assert config_key("~algorithm.small_clusters") == "algorithm.small_clusters"
    assert config_key("algorithm.small_clusters.threshold=19")
    assert config_key("data/scan.py") is None
    assert has_key(config, "data.root")  # though it is left open
    assert has_key(config, "data.subset")  # though it is null
    assert not has_key(config, "data.no_such_key")
    assert not has_key(config, "data.root.no_such_key")


@pytest.mark.parametrize(
    "group",
    sorted(
        {
            path.parent.relative_to(CONFIG_DIR).as_posix()
            for path in Path(CONFIG_DIR).rglob("*.yaml")
            if path.parent != Path(CONFIG_DIR)
        }
    ),
)
def test_every_option_of_every_group_is_described(group: str) -> None:
    (row,) = re.findall(rf"^\| `{group}` \|.*$", page("docs/configs.md"), re.MULTILINE)
    options = {p.stem for p in Path(CONFIG_DIR, group).glob("*.yaml")} - {"base"}
    assert set(code_spans(row)) - {group} == options


def test_every_data_set_is_described() -> None:
    rows = "\n".join(re.findall(r"^\| `.*$", page("docs/data.md"), re.MULTILINE))
    options = {p.stem for p in Path(CONFIG_DIR, "data").glob("*.yaml")} - {"base"}
    assert options <= set(code_spans(rows))


def test_every_make_target_is_described() -> None:
    rows = re.findall(r"^\| `make ([a-z-]+)` \|", page("CONTRIBUTING.md"), re.MULTILINE)
    assert set(rows) == targets_of("Makefile") - {"help"}


def test_every_study_is_described() -> None:
    assert studies() <= {words[1] for _, words in everywhere() if words[0] == "make"}


def test_make_help_explains_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert set(re.findall(r"^  make ([a-z-]+) +\w", done.stdout, re.MULTILINE)) == make_targets()


def test_the_readme_table_has_the_callbacks_in_their_order() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*`on_train", page("README.md"), re.MULTILINE)
    assert tuple(rows) == ORDER


@pytest.mark.parametrize("name", ["README.md", "docs/architecture.md"])
def test_the_tree_has_every_folder_of_the_package(name: str) -> None:
    (tree,) = [
        block for block in fences(page(name), "text") if "\nsrc/odc_lightning/" in f"\n{block}"
    ]
    _, _, tree = tree.partition("src/odc_lightning/\n")
    named = re.findall(r"^  (\w+)/", tree, re.MULTILINE)
    folders = [path.parent.name for path in (ROOT / "src/odc_lightning").glob("*/__init__.py")]
    assert sorted(named) == sorted(folders)
    nested = re.findall(r"^    (\w+)/", tree, re.MULTILINE)
    assert all((ROOT / "src/odc_lightning/callbacks" / each).is_dir() for each in nested)


def test_defaults_in_the_method_are_those_of_the_configs(compose_config: Compose) -> None:
    text, _, deepcluster_v2 = page("docs/method.md").partition("\n## DeepCluster-v2\n")
    text, _, deepcluster = text.partition("\n## DeepCluster\n")
    odc, _, odc_small = text.partition("\n## ODC for small data sets\n")
    check_defaults(odc, compose_config(), at_least=15)
    check_defaults(odc_small, compose_config("algorithm=odc_small"), at_least=14)
    check_defaults(deepcluster, compose_config("algorithm=deepcluster"), at_least=6)
    check_defaults(deepcluster_v2, compose_config("algorithm=deepcluster_v2"), at_least=7)


def check_defaults(text: str, config: DictConfig, at_least: int) -> None:
    stated = re.findall(r"`([\w.]+)`: `?(\[?[\w.,-]+\]?)`?", text)
    values = {key: value.replace(",", "") for key, value in stated if config_key(key)}
    assert len(values) >= at_least
    values.pop("data.batch_size", None)  # of the experiments on ImageNet
    for key, value in values.items():
        found = OmegaConf.select(config, key)
        said = OmegaConf.create(f"value: {value.rstrip('.')}").value
        said = float(said) if re.fullmatch(r"[\d.e-]+", str(said)) else said
        assert found == said, key


@pytest.mark.parametrize("name", PAGES)
def test_tests_that_are_named_exist(name: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", page(name)))
    tests = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    defined = set(re.findall(r"^\s*def (test_\w+)", tests, re.MULTILINE))
    assert named <= defined, named - defined
