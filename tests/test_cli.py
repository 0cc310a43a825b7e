import csv
import io
import json
import re
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
    for expected in ("Densely Connected", "depth = 250  (fixed", "theta = 0.5", "  params 15.3M (Table 2)\n"):
        assert expected in out


def test_info_names_each_paper_once_above_what_it_prints(shell: Shell) -> None:
    out = shell("info", "resnet50")[1]
    headings = [line for line in out.splitlines() if line.startswith("printed in ")]
    assert headings == [
        "printed in Deep Residual Learning for Image Recognition:",
        "printed in Squeeze-and-Excitation Networks:",
        "printed in ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design:",
        "printed in Wide Residual Networks:",
    ]
    assert "no paper prints a number about it" in shell("info", "densenet_b")[1]


@pytest.mark.parametrize("spelling", ["VGG16", "vgg-d", "vgg_d"])
def test_list_and_audit_take_a_name_in_any_spelling(shell: Shell, spelling: str) -> None:
    assert shell("list", spelling)[1] == "vgg_d\n"
    assert {row["name"] for row in csv.DictReader(io.StringIO(shell("audit", spelling, "--format", "csv")[1]))} == {
        "vgg_d"
    }


def test_the_version_is_printed(shell: Shell) -> None:
    assert shell("--version") == (0, f"archzoo {archzoo.__version__}\n", "")
    assert shell("list", "-h")[0] == 0


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


@pytest.mark.slow
def test_profile_prints_conventions_and_memory(shell: Shell) -> None:
    net = archzoo.build("resnet20", device="meta")
    out = shell("profile", "resnet20", "--conventions")[1]
    assert f"fvcore: {archzoo.profile(net, (3, 32, 32)).under('fvcore'):,}" in out
    usage = json.loads(shell("profile", "resnet20", "--memory", "--batch", "4", "--format", "json")[1])
    assert usage["parameters"] == 4 * 269_722
    assert usage["training"] > usage["inference"] > usage["parameters"]


@pytest.mark.slow
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
    "command",
    [
        ("audit", "resnet20", "--output", "/proc/none/x"),
        ("report", "resnet20", "--output", "/proc/none/x.html"),
        ("diagram", "resnet20", "--output", "/proc/none/x.svg"),
        ("export", "resnet20", "--to", "pt2", "--output", "/proc/none/x.pt2"),
        ("figures", "cost", "--output", "/proc/none/x"),
        ("weights", "save", "resnet20", "/proc/none/x.safetensors", "--weights", "gone.pth"),
        ("weights", "convert", "resnet20", "gone.pth", "/proc/none/x.safetensors", "--to", "archzoo"),
        ("evaluate", "gone.safetensors", "--data", "digits", "--output", "/proc/none/x"),
        ("predict", "gone.safetensors", "x.png", "--output", "/proc/none/x"),
        ("train", "lenet5_textbook", "--data", "nowhere", "--output", "/proc/none/x"),
    ],
    ids=" ".join,
)
def test_output_that_cannot_be_written_is_refused_before_anything_else(shell: Shell, command: tuple[str, ...]) -> None:
    """Also before a weights file or a dataset that is not there is missed."""
    code, out, err = shell(*command)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert re.search(r"/proc/none/x\S* cannot be (written|a folder for output): No such file or directory", err)


@pytest.mark.parametrize("output", [("--output", "full"), ()])
def test_a_full_disk_is_a_line(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: tuple[str, ...]
) -> None:
    """By a link to /dev/full, and with standard output there."""
    monkeypatch.chdir(tmp_path)
    Path("full").symlink_to("/dev/full")
    with open("/dev/full", "w") as full:
        if not output:
            monkeypatch.setattr(sys, "stdout", full)
        code, out, err = shell("list", "vgg*") if not output else shell("audit", "lenet5_textbook", *output)
    assert (code, out) == (2, "")
    assert err.endswith("cannot be written: No space left on device\n")
    assert err.count("\n") == 1
    assert Path("full").is_symlink()


def test_a_dash_is_standard_output(shell: Shell) -> None:
    assert (
        shell("audit", "lenet5_textbook", "--format", "csv", "--output", "-")[1]
        == (shell("audit", "lenet5_textbook", "--format", "csv")[1])
    )


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("224", (3, 224, 224)),
        ("224x160", (3, 224, 160)),
        ("3x224x224", (3, 224, 224)),
        ("3,224,224", (3, 224, 224)),
        ("(1, 28, 28)", (1, 28, 28)),
        ("3X64X32", (3, 64, 32)),
    ],
)
def test_a_size_is_read_as_people_write_it(text: str, size: tuple[int, ...]) -> None:
    assert arguments.read_sizes(text, (3, 32, 32)) == size


@pytest.mark.parametrize("text", ["1x3x224x224", "3x32", "0", "3,,32", "big", "1x1x1x1x1"])
def test_another_size_is_refused(text: str) -> None:
    with pytest.raises(archzoo.ArchzooError, match="--input"):
        arguments.read_sizes(text, (3, 32, 32))


def test_a_module_of_another_library_takes_several_inputs() -> None:
    assert arguments.read_sizes("3x224x224,10", None) == [(3, 224, 224), (10,)]


def test_the_usual_input_has_the_channels_of_the_network(shell: Shell) -> None:
    """The first convolution of ResNet-20 has 16 filters of 3x3: two channels less are 288 weights less."""
    out = shell("profile", "resnet20", "in_channels=1", "--depth", "0", "--format", "csv", "--columns", "params")[1]
    assert out.splitlines()[1] == f"resnet20,{269_722 - 288}"


def test_list_has_columns_filters_and_numbers(shell: Shell) -> None:
    columns = ("--columns", "name,year,params,input,weights")
    rows = json.loads(shell("list", "VGG1*", *columns, "--format", "json")[1])
    assert rows[0] == {
        "name": "vgg_a",
        "year": 2014,
        "params": 132_863_336,  # torchvision's vgg11
        "input": [3, 224, 224],
        "weights": ["torchvision", "timm", "pytorchcv"],
    }
    assert shell("list", "VGG1*", *columns, "--format", "csv")[1].splitlines()[1] == (
        "vgg_a,2014,132863336,3 224 224,torchvision timm pytorchcv"
    )
    assert shell("list", "VGG1*", "--long")[1].splitlines()[1].split() == (
        ["vgg_a", "2014", "132,863,336", "3x224x224", "torchvision", "timm", "pytorchcv"]
    )
    assert shell("list", "lenet5*", "--max-params", "60K", "--input", "32")[1] == "lenet5\n"
    assert shell("list", "--until", "1998")[1].split() == ["lenet5", "lenet5_textbook"]
    assert set(shell("list", "resnet*", "--weights", "timm")[1].split()) <= set(archzoo.names("resnet*"))
    for request, message in {
        ("--columns", "yaer"): "no column is called 'yaer': did you mean 'year'?",
        ("--weights", "keras"): "timm or torchdistill or torchvision, not 'keras'",
        ("--until", "1900"): "is left by these filters",
        ("--max-params", "few"): "--max-params must be a count such as 5M",
    }.items():
        code, _, err = shell("list", *request)
        assert code == 2
        assert message in err


@pytest.mark.parametrize("form", ["csv", "markdown"])
def test_a_recipe_is_printed_in_every_format(shell: Shell, form: str) -> None:
    out = shell("recipe", "resnet20", "lr=0.05", "--format", form)[1]
    assert ("lr,0.05" if form == "csv" else "| lr | 0.05 |") in out.splitlines()


def test_recipes_and_networks_are_found_in_any_spelling(shell: Shell) -> None:
    assert shell("recipe", "ResNet-CIFAR10")[1] == shell("recipe", "resnet_cifar10")[1]


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ("lrr=0.1", "did you mean 'lr'?"),
        ("bs=3", "did you mean 'batch_size'?"),
        ("in_chans=1", "did you mean 'in_channels'?"),
        ("seed=1", "write --seed"),
        ("pretrained=True", "pretrained weights are weights='torchvision'"),
        ("schedule=cosine", "did you mean Cosine? choose from Constant, Cosine, InverseTime, LinearDecay, "),
    ],
)
def test_a_change_that_nothing_has_leads_to_the_one_that_is_meant(shell: Shell, change: str, hint: str) -> None:
    code, _, err = shell("train", "resnet20", change)
    assert code == 2
    assert hint in err


def test_csv_holds_numbers(shell: Shell) -> None:
    rows = list(csv.DictReader(io.StringIO(shell("audit", "lenet5", "--format", "csv")[1])))
    ours = {(row["quantity"], row["at"]): row["ours"] for row in rows}
    assert ours["params", ""] == "60000"
    assert ours["connections", ""] == "340908"
    assert ours["sizes", ""] == "28-14-10-5-1"


def test_a_short_training_takes_no_hours(shell: Shell) -> None:
    out = shell("estimate", "lenet5_textbook")[1]
    assert "0.00" not in out
    assert re.search(r"H200 SXM +[\d.]+ ms in bfloat16, [\d.]+ ns a step", out)


@pytest.mark.parametrize("width", [40, 60, 100])
def test_in_a_terminal_of_any_width_a_profile_cuts_no_digit(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    command = ("profile", "densenet_bc", "depth=22", "--sort", "macs")
    rows = list(csv.DictReader(io.StringIO(shell(*command, "--format", "csv")[1])))
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    _, out, err = shell(*command)
    head, *lines = [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in out.splitlines()]
    shown = head.split()
    assert all(len(line) <= max(width, 20 + 12) for line in lines)
    for row, line in zip(rows, lines, strict=True):
        name, *cells = line.split()
        assert cells == [f"{int(row[at]):,}" if row[at].isdigit() else row[at] for at in shown]
        assert row["part"].endswith(name.removeprefix("\N{HORIZONTAL ELLIPSIS}"))
    others = err.partition("--columns: ")[2].partition("\n")[0]
    assert set(shown) | set(others.split(", ")) >= {"params", "macs", "stride"}


def test_a_piped_audit_fits_a_page(shell: Shell) -> None:
    out = shell("audit", "wide_resnet18")[1]
    claims = out.partition("\n\n")[0].splitlines()
    assert max(map(len, claims)) <= 120
    results = archzoo.audit("wide_resnet18")
    assert sum(line.startswith(("match", "explained")) for line in claims) == len(results)
    assert all(result.why in out for result in results)


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
    assert {"name", "paper", "quantity", "where", "printed", "ours", "verdict", "why", "confirmed"} <= results[0].keys()
    assert {result["verdict"] for result in results} == {"match", "explained"}
    assert len(results) == len(archzoo.audit("densenet*"))


def test_csv_and_markdown_have_every_claim(shell: Shell) -> None:
    results = archzoo.audit("resnet20")
    rows = list(csv.DictReader(io.StringIO(shell("audit", "resnet20", "--format", "csv")[1])))
    claims = [row for row in rows if row["verdict"] != "differs"]
    assert [row["printed"] for row in claims] == [result.printed for result in results]
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


FORMATS = ("table", "markdown", "latex", "csv")
DIFFERENCE = "Batch-norm scales start at 1. The released code draws them from U(0, 1)."


@pytest.fixture
def unlike(monkeypatch: pytest.MonkeyPatch) -> None:
    """resnet20 and its family, as if they differed from the release."""
    constructor = archzoo.find("resnet20").constructor
    monkeypatch.setattr(constructor, "__doc__", f"A network.\n\nDiffers from the release:\n    - {DIFFERENCE}\n")


@pytest.mark.usefixtures("unlike")
def test_differences_from_the_release_come_after_the_claims_in_every_format(shell: Shell, tmp_path: Path) -> None:
    table = [line.rstrip() for line in shell("audit", "resnet20")[1].splitlines()]
    assert table[-4].split(maxsplit=1) == ["network", "differs from the release"]
    assert table[-3].split(maxsplit=1) == ["resnet20", DIFFERENCE]
    assert table[-1].startswith("3 claims: 3 match")
    shell("audit", "resnet20", "--output", str(tmp_path / "audit.txt"))
    written = [line.rstrip() for line in (tmp_path / "audit.txt").read_text().splitlines()]
    assert written[:-1] == table[:-1]
    assert f"| resnet20 | {DIFFERENCE} |" in shell("audit", "resnet20", "--format", "markdown")[1].splitlines()
    assert rf"resnet20 & {DIFFERENCE} \\" in shell("audit", "resnet20", "--format", "latex")[1].splitlines()
    row = list(csv.DictReader(io.StringIO(shell("audit", "resnet20", "--format", "csv")[1])))[-1]
    assert {key: value for key, value in row.items() if value} == {
        "name": "resnet20",
        "paper": "Deep Residual Learning for Image Recognition",
        "verdict": "differs",
        "why": DIFFERENCE,
    }
    claims = json.loads(shell("audit", "resnet20", "--format", "json")[1])
    assert [claim["differences"] for claim in claims] == [[DIFFERENCE]] * 3
    assert f"differs from the release:\n  - {DIFFERENCE}\n" in shell("info", "resnet20")[1]


@pytest.mark.slow
@pytest.mark.usefixtures("unlike")
def test_networks_that_share_a_constructor_share_a_line_on_differences(shell: Shell) -> None:
    lines = [line.strip() for line in shell("audit", "resnet[25]*")[1].splitlines() if DIFFERENCE in line]
    assert lines == [f"resnet20, resnet56  {DIFFERENCE}"]
    [line] = [line for line in shell("audit", "resnet*")[1].splitlines() if DIFFERENCE in line]
    assert line.startswith("resnet_cifar, resnet20, resnet32 and 4 more  ")


def test_a_network_that_follows_the_release_prints_nothing_about_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archzoo.find("resnet20").constructor, "__doc__", "A network.")
    for command in (("info", "resnet20"), *(("audit", "resnet20", "--format", form) for form in FORMATS)):
        out = shell(*command)[1]
        assert "differs" not in out.lower()
    assert not any(claim["differences"] for claim in json.loads(shell("audit", "resnet20", "--format", "json")[1]))


def test_unconfirmed_claims_are_marked_in_every_format_and_counted_with_the_meaning(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archzoo import auditor as module
    from archzoo.claims import params

    entry = archzoo.find("resnet20")
    claims = [params("0.27M", "Table 6", confirmed=False), params("269,722", "Sec. 9")]
    monkeypatch.setattr(module, "all_claims", lambda pattern: [(entry.paper, entry, claim) for claim in claims])
    for form in ("table", "markdown", "latex"):
        out = shell("audit", "resnet20", "--format", form)[1]
        assert (
            "2 claims: 2 match, 0 explained, 0 mismatch. 1 is unconfirmed: quoted from memory, not read in the" in out
        )
        assert "Table 6, unconfirmed" in out
        assert "Sec. 9, unconfirmed" not in out
    rows = csv.DictReader(io.StringIO(shell("audit", "resnet20", "--format", "csv")[1]))
    assert [(row["where"], row["confirmed"]) for row in rows if row["verdict"] == "match"] == [
        ("Table 6", "False"),
        ("Sec. 9", "True"),
    ]
    results = json.loads(shell("audit", "resnet20", "--format", "json")[1])
    assert [(result["where"], result["confirmed"]) for result in results] == [("Table 6", False), ("Sec. 9", True)]
    monkeypatch.setattr(module, "all_claims", lambda pattern: [(entry.paper, entry, claims[1])])
    assert "1 claim: 1 match, 0 explained, 0 mismatch. " in shell("audit", "resnet20")[1]
    assert "unconfirmed" not in shell("audit", "resnet20")[1]


def test_what_is_not_audited_is_listed_with_the_reason(shell: Shell) -> None:
    code, out, _ = shell("audit", "--not-countable")
    assert code == 0
    assert "74 epochs" in out
    lines = shell("audit", "vgg_d", "--not-countable")[1].splitlines()
    assert lines
    assert all(line.startswith("Very Deep Convolutional Networks") for line in lines)
    last = shell("audit", "vgg_d")[1].splitlines()[-1]
    assert last.endswith(f"{len(lines)} printed numbers are not countable: archzoo audit --not-countable vgg_d")


def test_a_ratio_names_the_network_that_it_is_to(shell: Shell) -> None:
    assert "ratio of params to alexnet" in shell("audit", "vgg_d")[1]
    assert "difference of layers (option=C) to resnet34 (option=B)" in shell("audit", "resnet34")[1]
    assert "ratio of params to alexnet about 3x more" in shell("info", "vgg_d")[1]


def test_a_piped_table_has_no_spaces_at_the_ends_of_lines(shell: Shell) -> None:
    out = shell("audit", "vgg_d")[1] + shell("profile", "lenet5")[1] + shell("compare", "vgg_a", "vgg_b")[1]
    assert not [line for line in out.splitlines() if line != line.rstrip()]


@pytest.mark.parametrize("width", [80, 110, 150])
def test_in_a_terminal_of_any_width_an_audit_leaves_nothing_out(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    from archzoo import auditor as module
    from archzoo.claims import macs, sizes

    entry = archzoo.find("lenet5")
    why = "332,824 multiply-adds with the subsampling, 326,520 without, 340,908 connections"
    claims = [sizes("28-14-10-5-1", "Fig. 2", confirmed=False), macs("401K", "Fig. 11", ours="333K", why=why)]
    monkeypatch.setattr(module, "all_claims", lambda pattern: [(entry.paper, entry, claim) for claim in claims])
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    words = re.sub(r"\x1b\[[\d;]*m", "", shell("audit", "lenet5")[1]).split()
    assert {"28-14-10-5-1", "unconfirmed", "332,824", "subsampling,", "--not-countable"} <= set(words)
    assert not [word for word in words if "\N{HORIZONTAL ELLIPSIS}" in word]


@pytest.mark.slow
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
    code, _, err = shell("audit", "resnet20", "--output", str(target / "audit.txt"))
    assert (code, err) == (2, f"archzoo: {target / 'audit.txt'} cannot be written: {target} is a file\n")
    assert shell("audit", "resnet20", "--output", str(tmp_path / "new" / "audit.txt"))[0] == 0
    assert (tmp_path / "new" / "audit.txt").is_file()
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
