"""The table of results: what was run and nothing else, its verdicts, and the command that runs a row."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archzoo.data._hub import HUB
from archzoo.errors import RecipeError, ReportError
from archzoo.registry import find_recipe, recipes_of
from archzoo.results import MEASURED, Measured, Row, find_row, model_index, read_measured, rows, text_of
from archzoo.results._model_index import DATASETS
from tests.shell import Shell
from tools.record import record

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads(MEASURED.with_name("schema.json").read_text(encoding="utf-8"))


def measured(*errors: float, **values: Any) -> Measured:
    given: dict[str, Any] = {
        "recipe": "random_erasing_fashion_mnist_baseline",
        "network": "resnet20",
        "options": {"option": "B"},
        "data": "fashion_mnist from nowhere",
        "images": {"train": 54_000, "validation": 6_000, "test": 10_000},
        "seeds": tuple(range(len(errors))),
        "errors": errors,
        "seconds": (1.5,) * len(errors),
        "command": "archzoo reproduce random_erasing_fashion_mnist_baseline resnet20 --seed 0",
        "commit": "0123456789abcdef",
        "machine": "none",
        "versions": {"torch": "0"},
    }
    return Measured(**(given | values))


def only(run: Measured) -> Row:
    """The row of these runs."""
    (row,) = (row for row in rows(measured=[run]) if row.measured is not None)
    return row


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [((4.47,), "met"), ((4.48,), "not met"), ((4.40, 4.54), "met"), ((3.0,), "met"), ((4.4, 4.55), "not met")],
)
def test_an_error_is_met_within_the_printed_deviation(errors: tuple[float, ...], verdict: str) -> None:
    """ResNet-20 on Fashion-MNIST is printed as 4.39 +- 0.08."""
    row = only(measured(*errors))
    assert row.printed is not None
    assert (row.printed.error, row.printed.spread) == (4.39, 0.08)
    assert row.verdict == verdict


@pytest.mark.parametrize(
    ("network", "recipe", "error", "verdict"),
    [
        ("wide_resnet_40_4", "fashion_mnist_wide_resnet_40_4", 3.35, "met"),  # 3.3, of an accuracy of 0.967
        ("wide_resnet_40_4", "fashion_mnist_wide_resnet_40_4", 3.36, "not met"),
        ("wide_resnet_28_10", "random_erasing_cifar10_baseline", 3.805, "met"),  # 3.80
        ("wide_resnet_28_10", "random_erasing_cifar10_baseline", 3.81, "not met"),
    ],
)
def test_without_a_deviation_the_digits_are_the_tolerance(
    network: str, recipe: str, error: float, verdict: str
) -> None:
    assert only(measured(error, network=network, recipe=recipe, options={})).verdict == verdict


def test_a_changed_recipe_or_one_without_a_printed_error_is_not_compared() -> None:
    short = measured(4.0, changes={"epochs": "3"})
    assert only(short).verdict == "not comparable"
    assert len(rows(measured=[short])) == len(rows(measured=[])) + 1  # the paper's row stays, as not tried
    assert {row.verdict for row in rows(measured=[])} == {"not tried"}
    assert only(measured(1.0, recipe="fashion_mnist_lenet5", network="lenet5", options={})).verdict == "not comparable"
    assert only(measured(1.0, options={"option": "A"})).printed is None  # another network than the printed one


def test_a_row_is_of_an_error_that_a_run_measures_and_stands_once() -> None:
    """BN-Inception's Fig. 4 prints 25.2, 7.82 of five classes, 21.99 and 5.82 of 144 crops; Fig. 3 has 25.2 again."""
    printed = [row.printed for row in rows("bn_inception", "bn_inception_x30", [])]
    assert [result.error for result in printed if result] == [25.2]
    for row in rows(measured=[]):
        assert row.printed is not None
        assert row.printed.protocol == "single crop"
        assert not row.printed.data.endswith("top-5")
    run = measured(25.1, recipe="bn_inception_x30", network="bn_inception", options={})
    assert [row.verdict for row in rows("bn_inception", "bn_inception_x30", [run])] == ["met"]


def test_every_row_says_how_it_is_run(shell: Shell) -> None:
    for row in rows(measured=[]):
        words = row.command.split()
        assert words[:4] == ["archzoo", "reproduce", row.recipe.name, row.network]
        chosen = find_row(words[2], words[3]).options  # by the command itself, beside those that it is given
        given = {name: value for name, value in row.options.items() if f"{name}={value}" in words}
        assert {**chosen, **given} == row.options
        assert find_recipe(row.recipe.name) in recipes_of(row.network)


def test_what_was_measured_is_what_its_files_say() -> None:
    """Nothing enters the table but what was run."""
    validate = pytest.importorskip("jsonschema").validate
    validate(json.loads(MEASURED.read_text(encoding="utf-8")), SCHEMA)
    for run in read_measured():
        assert find_row(run.recipe, run.network, run.options).recipe.name == run.recipe
        assert len(run.files) == len(run.seeds)
        for file, seed, error in zip(run.files, run.seeds, run.errors, strict=True):
            result = json.loads((ROOT / file).read_text(encoding="utf-8"))
            assert (result["seed"], result["network"], result["data_origin"]) == (seed, run.network, run.data)
            assert 100 * (1 - result["test"]["top1"]) == pytest.approx(error, abs=1e-3)
            assert result["images"] == run.images
            recipe = find_recipe(run.recipe).to_dict()
            changed = {name for name, value in recipe.items() if result["recipe"].get(name) != value}
            assert changed <= {*run.changes, "epochs", "iterations"}
            assert bool(changed) == bool(run.changes)


def test_the_schema_has_what_a_run_has() -> None:
    item = SCHEMA["properties"]["runs"]["items"]
    assert set(item["properties"]) == set(item["required"]) == set(measured(1.0).to_dict())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"is no table of runs"),
        ("[]", r"is no table of runs"),
        ('{"runs": [1]}', r"a run has changes, command, .*|is no table of runs"),
        ('{"runs": [{"recipe": "x"}]}', r"a run is not complete: .*missing"),
        ('{"runs": [{"speed": 1}]}', r"a run has changes, command, .*, not speed"),
    ],
)
def test_a_damaged_table_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text(content)
    with pytest.raises(ReportError, match=message):
        read_measured(tmp_path / "runs.json")
    with pytest.raises(ReportError, match=r"nowhere.json cannot be read"):
        read_measured(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    "values", [{"seeds": (0, 0), "errors": (1.0, 2.0)}, {"seeds": (0,), "errors": (1.0, 2.0)}, {"errors": (101.0,)}]
)
def test_runs_that_contradict_themselves_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ReportError, match=r"each run has a seed of its own|errors are from 0 to 100 percent"):
        measured(1.0, **values)


def test_the_hub_reads_the_model_index() -> None:
    yaml = pytest.importorskip("yaml")
    repocard = pytest.importorskip("huggingface_hub.repocard_data")
    changed = {"lr": "1", "epochs": "2"}
    lenet: dict[str, Any] = {"recipe": "fashion_mnist_lenet5", "network": "lenet5", "options": {}}
    runs = [measured(4.40, 4.50), measured(5.0, **lenet, changes=changed)]
    text = model_index(rows(measured=runs))
    results = {}
    for model in yaml.safe_load(text)["model-index"]:
        name, evaluations = repocard.model_index_to_eval_results([model])
        results[name] = evaluations
    (resnet,), (short,) = results["resnet20"], results["lenet5"]
    assert (resnet.task_type, resnet.dataset_type) == ("image-classification", "zalando-datasets/fashion_mnist")
    assert (resnet.metric_type, resnet.metric_value) == ("accuracy", 95.55)
    assert resnet.source_url == "https://arxiv.org/abs/1708.04896"
    assert resnet.source_name == "recipe random_erasing_fashion_mnist_baseline"
    assert (short.metric_value, short.source_name) == (95.0, "recipe fashion_mnist_lenet5 with lr=1, epochs=2")
    assert yaml.safe_load(model_index(rows(measured=[]))) == {"model-index": []}
    assert {name: path for name, (path, _) in DATASETS.items()} == {name: data.path for name, data in HUB.items()}


def test_the_command_lists_the_rows(shell: Shell, tmp_path: Path) -> None:
    code, out, _ = shell("results", "resnet20", "--recipe", "random_erasing_fashion_mnist*")
    assert code == 0
    head, *lines = out.splitlines()
    assert head.split() == [
        "network",
        "options",
        "recipe",
        "error",
        "deviation",
        "runs",
        "printed",
        "spread",
        "verdict",
    ]
    names = [("resnet20", "option=B", f"random_erasing_fashion_mnist{end}") for end in ("_baseline", "")]
    assert {tuple(line.split()[:3]) for line in lines} == {*names}  # one with results has several
    _, out, _ = shell("results", "--format", "json")
    table = json.loads(out)
    assert {"where", "data", "command", "commit", "machine"} < set(table[0])
    code, _, _ = shell("results", "--model-index", "--output", str(tmp_path / "card.yaml"))
    assert (code, (tmp_path / "card.yaml").read_text().partition(":")[0]) == (0, "model-index")


@pytest.mark.slow
def test_a_row_is_run_resumed_and_recorded(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("reproduce", "digits", "lenet5_textbook", "epochs=1", "--seed", "0,1", "--device", "cpu")
    code, out, err = shell(*command)
    assert code == 0, err
    assert out.startswith("lenet5_textbook by digits: ")
    assert out.endswith(" of 2 runs, not comparable, as no error is printed for it\n")
    folder = tmp_path / "runs" / "digits-lenet5_textbook"
    (run,) = read_measured(folder / "reproduction.json")
    results = [json.loads((folder / f"seed-{seed}" / "result.json").read_text()) for seed in (0, 1)]
    assert run.errors == tuple(round(100 - 100 * result["test"]["top1"], 4) for result in results)
    assert run.command == "archzoo reproduce digits lenet5_textbook epochs=1 --seed 0,1"
    assert run.images == {"train": 1294, "validation": 144, "test": 359}
    weights = (folder / "seed-0" / "net.safetensors").read_bytes()
    code, again, err = shell(*command)
    assert (code, again) == (0, out)
    assert "resuming from iteration 40 of 40" in err
    parts = ("--accumulate", "2", "--output", "parts")
    assert shell(*command[:4], *parts)[0] == 0
    (in_parts,) = read_measured(Path("parts/reproduction.json"))
    assert in_parts.command == "archzoo reproduce digits lenet5_textbook epochs=1 --seed 0 --accumulate 2"
    assert (folder / "seed-0" / "net.safetensors").read_bytes() == weights
    table = tmp_path / "measured.json"
    table.write_text(text_of([measured(4.0)]))
    for _ in range(2):  # the second time in place of the first
        record(replace(run, commit="0123abc"), folder, "a machine", measured=table, kept=tmp_path / "kept")
    other, entry = read_measured(table)
    assert (other.network, entry.network, entry.machine) == ("resnet20", "lenet5_textbook", "a machine")
    assert entry.files == tuple(f"docs/results/digits-lenet5_textbook-epochs_1-{seed}.json" for seed in (0, 1))
    kept = tmp_path / "kept" / "digits-lenet5_textbook-epochs_1-1.json"
    assert json.loads(kept.read_text())["seed"] == 1
    others: list[dict[str, Any]] = [{"changes": {"schedule": "MultiStep((1, 2))"}}, {"changes": {}}]
    for values in (*others, {"changes": {}, "options": {"a": 1}}):
        record(replace(run, commit="0123abc", **values), folder, measured=table, kept=tmp_path / "kept")
    files = [file for run in read_measured(table) for file in run.files]
    assert len(set(files)) == len(files) == 8  # none in place of another's
    assert "docs/results/digits-lenet5_textbook-schedule_MultiStep_1_2-0.json" in files
    for commit in ("0.1", "0123abc+changes"):
        with pytest.raises(ReportError, match=r"was run by 0.*, which is no commit: run it in a clone"):
            record(replace(run, commit=commit), folder, measured=table, kept=tmp_path / "kept")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("random_erasing_fashion_mnist", "resnet18"), "does not train resnet18: its recipes are resnet_imagenet"),
        (("random_erasing", "resnet20"), "no recipe is called 'random_erasing'"),
        (("digits", "resnet20", "--classes", "0-4"), "--classes is for train: a printed error is that of all classes"),
        (("digits", "resnet20", "--per-class", "5"), "--per-class is for train and finetune: a printed error is that"),
        (("digits", "resnet20", "validation=0.01"), "validation is an option of the command: write --validation 0.01"),
        (("digits", "resnet20", "epoch=1"), "neither resnet20 nor recipe digits has 'epoch'"),
    ],
)
def test_requests_that_cannot_be_met_say_why(arguments: tuple[str, ...], message: str, shell: Shell) -> None:
    code, _, err = shell("reproduce", *arguments)
    assert code == 2
    assert message in err


def test_what_is_no_file_for_its_record_is_refused_before_a_run(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "reproduction.json"
    command = ("reproduce", "digits", "lenet5_textbook", "epochs=1", "--output", str(tmp_path))
    file.mkdir()
    assert shell(*command) == (2, "", f"archzoo: {file} cannot be written: it is a folder\n")
    file.rmdir()
    os.mkfifo(file)
    code, _, err = shell(*command)
    assert (code, err) == (
        2,
        f"archzoo: {file} is no regular file: remove it, or choose another folder with --output\n",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["reproduction.json"]


def test_a_row_is_of_a_recipe_that_trains_the_network() -> None:
    with pytest.raises(RecipeError, match=r"recipe lenet5_mnist does not train resnet20: its recipes are resnet_cifar"):
        find_row("lenet5_mnist", "resnet20")
    printed = find_row("lenet5_mnist", "lenet5").printed
    assert printed is not None
    assert (printed.error, printed.text) == (0.95, "0.95%")
    texts = {row.printed.text for row in rows("wide_resnet*", measured=[]) if row.printed}
    assert {"3.3%", "3.80%", "17.73%"} < texts
    assert {row.printed.text for row in rows("resnet20", "*fashion*", []) if row.printed} == {
        *("4.39% +- 0.08%", "4.02% +- 0.07%")
    }
