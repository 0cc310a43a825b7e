"""Worksheets: what is on them, and that the key is right."""

import csv
import io

import pytest

import archzoo
from archzoo.profiler import profile
from archzoo.report.tables import write_worksheet
from tests.networks import every_class_of_layer, on_meta
from tests.shell import Shell


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def sheet(name: str, *, key: bool) -> list[dict[str, str]]:
    net = on_meta(name)
    return rows(write_worksheet(net, archzoo.profile(net), "csv", key=key))


def test_the_key_of_vgg_is_that_of_its_paper() -> None:
    """By hand: 3x3x3x64 weights and 64 biases; each weight is used at each of 224x224 positions."""
    key = {row["layer"]: row for row in sheet("vgg_d", key=True)}
    first = key["features.conv1_1"]
    assert first["what it is"] == "3x3 convolution, 64 maps, padding 1"
    assert (first["output"], first["parameters"], first["multiply-adds"]) == ("64x224x224", "1792", "86704128")
    assert first["how: parameters"] == "3x3x3x64 + 64"
    assert first["how: multiply-adds"] == "3x3x3x64x224x224"
    assert key["features.pool1"]["what it is"] == "2x2 max pooling, stride 2"
    assert (key["classifier.fc6"]["parameters"], key["classifier.fc6"]["multiply-adds"]) == ("102764544", "102760448")
    assert (key["total"]["parameters"], key["total"]["multiply-adds"]) == ("138357544", "15470264320")
    assert len(key) == 13 + 5 + 3 + 1


def test_a_blank_sheet_has_the_same_layers_and_no_numbers_to_find() -> None:
    blank, key = (sheet("resnet20", key=key) for key in (False, True))
    assert [row["layer"] for row in blank] == [row["layer"] for row in key]
    assert [row["what it is"] for row in blank] == [row["what it is"] for row in key]
    assert {value for row in blank for name, value in row.items() if name not in ("layer", "what it is")} == {""}


@pytest.mark.slow
@every_class_of_layer
def test_the_layers_of_a_key_add_up_and_each_product_gives_its_count(name: str) -> None:
    *layers, total = sheet(name, key=True)
    for column in ("parameters", "multiply-adds"):
        assert sum(int(row[column]) for row in layers) == int(total[column])
        for row in layers:
            if product := row[f"how: {column}"]:
                assert eval(product.replace("x", "*")) == int(row[column])


def test_a_sheet_is_written_as_markdown_and_latex(shell: Shell) -> None:
    code, out, _ = shell("worksheet", "lenet5_textbook", "--key")
    assert code == 0
    assert "| classifier.F6 | linear layer, 84 units | 84 | 10,164 | 10,080 | 120x84 + 84 | 120x84 |" in out
    code, out, _ = shell("worksheet", "vgg_a", "--blank", "--format", "latex")
    assert code == 0
    assert r"features.conv1\_1 & 3x3 convolution, 64 maps, padding 1 &  &  &  \\" in out
    assert out.count(r"\begin{longtable}") == out.count(r"\end{longtable}") == 1
    assert shell("worksheet", "vgg_a")[0] == 2
    assert shell("worksheet", "vgg_a", "--blank", "--key")[0] == 2


def test_another_size_and_options_change_the_key(shell: Shell) -> None:
    _, out, _ = shell("worksheet", "resnet20", "num_classes=5", "--key", "--input", "3x64x64", "--format", "csv")
    key = {row["layer"]: row for row in rows(out)}
    assert key["classifier.fc"]["parameters"] == "325"
    assert key["features.conv1"]["output"] == "16x64x64"
    net = archzoo.build("resnet20", num_classes=5, device="meta")
    assert int(key["total"]["multiply-adds"]) == profile(net, (3, 64, 64)).macs
