import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

import archzoo
from archzoo.cli import _arguments as arguments
from archzoo.profiler import Profile
from tests.shell import Shell


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "archzoo", *arguments], capture_output=True, text=True, check=False)


def test_list_prints_what_the_registry_has(shell: Shell) -> None:
    code, out, err = shell("list", "densenet_bc*")
    assert (code, out.split(), err) == (0, archzoo.names("densenet_bc*"), "")


def test_info_prints_paper_options_and_claims(shell: Shell) -> None:
    code, out, _ = shell("info", "DenseNet-BC-250-24")
    assert code == 0
    for expected in ("Densely Connected", "depth = 250", "(fixed", "theta = 0.5", "params 15.3M (Table 2)"):
        assert expected in out


def test_profile_counts_with_options(shell: Shell) -> None:
    code, out, _ = shell("profile", "densenet_bc", "k=12", "depth=40", "num_classes=100", "--depth", "1")
    counted = archzoo.profile(archzoo.build("densenet_bc", depth=40, num_classes=100, device="meta"), (3, 32, 32))
    assert code == 0
    assert f"{counted.params:,}" in out
    assert f"{counted.macs:,}" in out
    assert "denseblock1" not in out


def test_profile_takes_another_input(shell: Shell) -> None:
    _, out, _ = shell("profile", "resnet20", "--input", "3x64x64", "--depth", "0")
    assert f"{archzoo.profile(archzoo.build('resnet20'), (3, 64, 64)).macs:,}" in out


def test_profile_sorts_chooses_columns_and_writes_every_format(shell: Shell) -> None:
    counted = archzoo.profile(archzoo.build("resnet20", device="meta"), (3, 32, 32))
    code, out, _ = shell("profile", "resnet20", "--format", "json")
    assert code == 0
    read = Profile.from_json(out)
    assert (read.model, read.rows) == ("resnet20", counted.modules)
    arguments = ("--sort", "macs", "--columns", "kind,macs", "--depth", "2")
    rows = list(csv.DictReader(io.StringIO(shell("profile", "resnet20", "--format", "csv", *arguments)[1])))
    macs = [int(row["macs"]) for row in rows]
    assert macs == sorted(macs, reverse=True)
    assert rows[0].keys() == {"part", "kind", "macs"}
    assert all(row["part"].count(".") < 2 for row in rows)
    table = shell("profile", "resnet20", "--format", "markdown", *arguments)[1].splitlines()
    assert table[0] == "| part | kind | macs |"
    assert len(table) == len(rows) + 2


def test_profile_counts_what_any_module_gives(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere.py").write_text("from torch import nn\ndef net(n=2): return nn.Conv2d(3, n, 3)\nsize = 3\n")
    monkeypatch.chdir(tmp_path)
    code, out, _ = shell("profile", "elsewhere:net", "n=5", "--input", "3x8x8", "--format", "csv")
    assert (code, out.splitlines()[1].split(",")[2]) == (0, str(5 * 28))
    for target, message in {
        "elsewhere:nothing": "has no attribute 'nothing'; write it as package.module:callable",
        "nowhere.at.all:net": "No module named",
        "elsewhere:size": "is a int, not a function or torch.nn.Module",
        "builtins:dict": "returns a dict, not a torch.nn.Module",
    }.items():
        code, out, err = shell("profile", target, "--input", "3x8x8")
        assert (code, out) == (2, "")
        assert message in err
    code, _, err = shell("profile", "elsewhere:net", "m=5", "--input", "3x8x8")
    assert code == 2
    assert "elsewhere:net(n=2): " in err
    assert "no paper gives the input size" in shell("profile", "elsewhere:net")[2]


def test_profile_prints_conventions_and_memory(shell: Shell) -> None:
    net = archzoo.build("resnet20", device="meta")
    out = shell("profile", "resnet20", "--conventions")[1]
    assert f"fvcore: {archzoo.profile(net, (3, 32, 32)).under('fvcore'):,}" in out
    usage = json.loads(shell("profile", "resnet20", "--memory", "--batch", "4", "--format", "json")[1])
    assert usage["parameters"] == 4 * 269_722
    assert usage["training"] > usage["inference"] > usage["parameters"]


def test_compare_prints_what_differs_and_what_it_costs(shell: Shell, tmp_path: Path) -> None:
    code, out, _ = shell("compare", "resnet50", "resnet50_v1_5", "--format", "json")
    comparison = json.loads(out)
    assert code == 0
    strides = {d["part"]: (d["first"], d["second"]) for d in comparison["differences"] if "stride" in d["first"]}
    assert len(strides) == 6
    assert strides["features.conv3_x.block1.layers.conv2"] == ("stride=(1, 1)", "stride=(2, 2)")
    assert comparison["params"] == [25_557_032] * 2
    assert "difference +231,211,008" in shell("compare", "resnet50", "resnet50_v1_5")[1]
    assert "difference +173,824" in shell("compare", "resnet18", "resnet18,option=B", "--format", "markdown")[1]
    file = str(tmp_path / "half.safetensors")
    state = archzoo.build("resnet20").state_dict()
    state["features.conv1.weight"] = state["features.conv1.weight"][:8].clone()
    save_file(state, file)
    part = "features.conv1.weight,16x3x3x3,8x3x3x3"
    assert shell("compare", "resnet20", file, "--format", "csv")[1].splitlines()[1:] == [part]
    code, _, err = shell("compare", "resnet20", str(tmp_path / "none.safetensors"))
    assert code == 2
    assert "cannot be read as a safetensors file" in err


def test_summary_is_torchinfos(shell: Shell) -> None:
    code, out, _ = shell("profile", "resnet20", "--summary")
    assert code == 0
    assert "Total params: 269,722" in out
    assert "Layer (type:depth-idx)" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("profile", "resnet5O"), "no network is called 'resnet5O': did you mean"),
        (("info", "nothing_like_it"), "no network is called 'nothing_like_it'"),
        (("list", "nothing*"), "no network is called 'nothing*'"),
        (("audit", "nothing*"), "no network is called 'nothing*'"),
        (("profile", "densenet_bc", "depth=30"), "depth must be 6n + 4, not 30: 28 or 34"),
        (("profile", "densenet_bc", "depth=deep"), "depth must be an integer, not 'deep'"),
        (("profile", "densenet_bc", "dept=40"), "no option 'dept': did you mean 'depth'"),
        (("profile", "densenet_bc", "40"), "'40' is not an option: write key=value"),
        (("profile", "vgg_d", "batch_norm=perhaps"), "batch_norm must be True or False, not 'perhaps'"),
        (("profile", "resnet18", "option=D"), "option must be 'A' or 'B' or 'C' or None, not 'D'"),
        (("profile", "densenet", "--input", "3x32"), "--input must be channels x height x width"),
        (("profile", "vgg_d", "--input", "3x32x32"), "an input of 3x32x32 fails"),
    ],
)
def test_a_wrong_request_is_one_line_on_stderr_and_exits_with_2(
    shell: Shell, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = shell(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "3", 3),
        (float, "1e-4", 1e-4),
        (bool, "true", True),
        (bool, "False", False),
        (str, "B(3,3)", "B(3,3)"),
        (tuple[int, ...], "64,128", (64, 128)),
        (tuple[float, ...] | None, "0.1,0.2", (0.1, 0.2)),
        (tuple[int, ...] | None, "None", None),
    ],
)
def test_an_option_is_read_as_its_type(kind: object, text: str, value: object) -> None:
    assert arguments.read_value(kind, text) == value


def test_literals_are_read_as_what_they_are() -> None:
    assert arguments.read_value(archzoo.find("resnet").types["depth"], "50") == 50
    assert arguments.read_value(archzoo.find("resnet").types["option"], "B") == "B"
    assert arguments.read_value(archzoo.find("resnet").types["option"], "None") is None
    assert arguments.read_value(archzoo.find("fractalnet").types["drop"], "0.2") == 0.2
    assert arguments.read_value(archzoo.find("fractalnet").types["drop"], "0,0.1") == (0.0, 0.1)
    assert arguments.read_value(archzoo.find("fractalnet").types["drop"], "None") is None


def test_the_audit_in_json_has_the_promised_keys(shell: Shell) -> None:
    code, out, _ = shell("audit", "densenet*", "--format", "json")
    results = json.loads(out)
    assert code == 0
    assert {"name", "paper", "quantity", "where", "printed", "ours", "verdict", "why"} <= results[0].keys()
    assert {result["verdict"] for result in results} == {"match", "explained"}
    assert len(results) == len(archzoo.audit("densenet*"))


def test_csv_and_markdown_have_every_claim(shell: Shell) -> None:
    results = archzoo.audit("resnet20")
    rows = list(csv.DictReader(io.StringIO(shell("audit", "resnet20", "--format", "csv")[1])))
    assert [row["printed"] for row in rows] == [result.printed for result in results]
    table = shell("audit", "resnet20", "--format", "markdown")[1].splitlines()
    assert sum(line.startswith("| match") for line in table) == len(results)


def test_a_mismatch_exits_with_1(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from archzoo import auditor as module
    from archzoo.claims import params

    entry = archzoo.find("resnet20")
    wrong = params("0.28M", "Table 6")
    monkeypatch.setattr(module, "all_claims", lambda pattern: [(entry.paper, entry, wrong)])
    code, out, _ = shell("audit", "resnet20")
    assert code == 1
    assert "mismatch" in out


def test_what_is_not_audited_is_listed_with_the_reason(shell: Shell) -> None:
    code, out, _ = shell("audit", "--not-countable")
    assert code == 0
    assert "74 epochs" in out


def test_completion_imports_no_torch() -> None:
    assert arguments.complete_name("VGG-a") == ["vgg_a", "vgg_a_lrn"]
    code = "import sys, archzoo.cli._arguments as c; c.complete_name('res'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_a_reader_that_stops_early_gets_no_traceback() -> None:
    command = f"{sys.executable} -m archzoo audit 'densenet*' | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("verdict")


@pytest.mark.slow
def test_a_usage_error_exits_with_2_and_a_piped_table_is_not_cut() -> None:
    assert run("no_such_command").returncode == 2
    assert run("audit", "densenet264").stdout.count("by the rule that gives the names of 121, 161, 169 and 201") == 1


def test_the_audit_writes_a_file_atomically(shell: Shell, tmp_path: Path) -> None:
    target = tmp_path / "audit.json"
    code, out, _ = shell("audit", "resnet20", "--format", "json", "--output", str(target))
    assert (code, out) == (0, "")
    assert [result["name"] for result in json.loads(target.read_text())] == ["resnet20"] * 3
    assert list(tmp_path.iterdir()) == [target]
    code, _, err = shell("audit", "resnet20", "--output", str(tmp_path / "no" / "audit.txt"))
    assert (code, "cannot be written" in err) == (2, True)
    for form in ("latex", "table"):
        shell("audit", "resnet20", "--format", form, "--output", str(tmp_path / form))
        assert "0.27M" in (tmp_path / form).read_text()


@pytest.mark.slow
@pytest.mark.xdist_group("profiles")
def test_the_audit_in_json_has_numbers(shell: Shell) -> None:
    results = json.loads(shell("audit", "--format", "json")[1])
    assert {type(result["ours"]) for result in results} == {int, float, list}
    for result in results:
        assert isinstance(result["ours"], list) == (result["quantity"] in ("size", "sizes")), result
        assert isinstance(result["ours"], float) <= result["quantity"].startswith("ratio"), result
        assert not isinstance(result["ours"], list) or {type(side) for side in result["ours"]} == {int}
    assert next(result["ours"] for result in results if result["name"] == "resnet20") == 269_722
