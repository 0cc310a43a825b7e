"""Values that are no sizes, batches or options, or far out of range: each is refused in a short line, and at once."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import archzoo
from archzoo.comparison import compare
from archzoo.errors import ArchzooError, ComparisonError, ExportError, OutputError, ProfileError
from archzoo.exporting import export
from archzoo.files import check_folder, check_writable
from archzoo.inference import fold_batch_norms, optimize
from archzoo.profiler import fits, measure, memory, profile, traffic
from archzoo.report.diagram import diagram
from archzoo.weights import normalization, transform

SIZE = (3, 8, 8)


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


def itself() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


def refused(call: Callable[..., object], *args: Any, **options: Any) -> str:
    """The message of the error: one short line."""
    with pytest.raises(ArchzooError) as error:
        call(*args, **options)
    text = str(error.value)
    assert len(text) < 500
    assert text.isprintable()
    return text


HUGE: tuple[Any, ...] = (1 << 63, 1 << 64, 10**400)
NO_COUNT: tuple[Any, ...] = (*HUGE, -1, 0, 1.5, float("nan"), "x" * 10_000, "\x1b[2J", Unprintable(), itself(), None)


@pytest.mark.parametrize("run", [profile, memory, traffic, measure, diagram, compare])
@pytest.mark.parametrize("value", [*HUGE, itself(), "x" * 10_000, float("inf")], ids=lambda value: str(type(value)))
def test_a_size_that_is_none_is_refused(run: Any, value: Any) -> None:
    before = (network(),) if run is compare else ()
    for size in (value, (3, value, 8)):
        refused(run, *before, network(), size)


@pytest.mark.parametrize("run", [profile, memory, traffic, measure])
def test_a_batch_that_is_none_is_refused(run: Any) -> None:
    for batch in NO_COUNT[:-1]:
        refused(run, network(), SIZE, batch=batch)
    assert "at least one input in its batch" in refused(run, network(), torch.zeros(0, *SIZE))


def test_a_memory_of_more_than_64_bits_is_refused() -> None:
    for size in (*HUGE, "1e300GB", -(10**400), float("nan")):
        assert "below 2^63" in refused(fits, network(), SIZE, size)
        assert "below 2^63" in refused(fits, network(), SIZE, "1GiB", context=size)


def test_what_an_option_of_another_kind_is_quoted_as_is_short() -> None:
    for value in ("x" * 10_000, Unprintable(), itself()):
        for option in ("device", "autocast", "draw"):
            refused(memory, network(), SIZE, **{option: value})
        for option in ("memory_format", "dtype", "compile", "engine", "device"):
            refused(optimize, network(), **{option: value})
        refused(diagram, network(), SIZE, layout=value)
        refused(diagram, network(), SIZE, depth=value)
    assert "nested too deep" in refused(archzoo.build, "resnet_cifar", depth=itself())


@pytest.mark.parametrize("value", [None, 1, "net", [], torch.zeros(1)], ids=lambda value: type(value).__name__)
def test_what_is_no_network_and_no_set_is_refused(value: Any) -> None:
    for rewrite in (optimize, fold_batch_norms):
        assert "expected a torch.nn.Module, not" in refused(rewrite, value)
    if not isinstance(value, str):
        for read in (normalization, transform):
            assert "must be the name of a set" in refused(read, "resnet18", value)


def test_an_export_of_images_that_are_none_or_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    for value in NO_COUNT:
        with pytest.raises(ExportError):
            export(network(), path, "pt2", (3, value, 8))
        with pytest.raises(ExportError):
            export(network(), path, "pt2", SIZE, batch=value)
    with pytest.raises(ExportError, match="have more than 1,073,741,824 numbers"):
        export(network(), path, "pt2", (3, 100_000, 100_000))
    assert not list(tmp_path.iterdir())


def test_a_comparison_on_images_that_fill_the_memory_is_refused() -> None:
    with pytest.raises(ComparisonError, match="has more than 67,108,864 numbers"):
        compare(network(), network(), (3, 100_000, 100_000))


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_file_has_cannot_be_written(name: str, tmp_path: Path) -> None:
    for check in (check_writable, check_folder):
        with pytest.raises(OutputError, match="cannot be"):
            check(tmp_path / name)


@pytest.mark.slow  # imports what fake tensors need
def test_a_size_that_does_not_fit_is_an_error_and_no_log(capfd: pytest.CaptureFixture[str]) -> None:
    """Torch logs the traceback of an operator that fails on fake tensors, which are the second way to count."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(5, 2))
    records: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger, handler = logging.getLogger("torch._subclasses.fake_tensor"), Kept()
    logger.addHandler(handler)
    try:
        with pytest.raises(ProfileError, match="an input of 3x8x8 fails in 1"):
            profile(net, SIZE)
        assert records == []
        logger.error("of others")
        assert len(records) == 1
    finally:
        logger.removeHandler(handler)
    assert "Traceback" not in capfd.readouterr().err


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    prepare = transform("resnet50_v1_5", "torchvision:IMAGENET1K_V2")  # a shorter side of 232
    (tmp_path / "text.png").write_text("text")
    values: tuple[Any, ...] = (None, 1, float("nan"), [], object(), Unprintable(), "x" * 10_000, "a\0b", "", tmp_path)
    for image in (*values, tmp_path / "none.png", tmp_path / "text.png"):
        refused(prepare, image)
    assert "is a folder, a device or a pipe" in refused(
        prepare, "/dev/zero" if Path("/dev/zero").exists() else tmp_path
    )
    for size in ((0, 5), (5, 0), (1, 10_000)):
        assert "or more than 268,435,456" in refused(prepare, torch.zeros(3, *size, dtype=torch.uint8))
    assert prepare(torch.zeros(3, 1, 100)).shape == (3, 224, 224)


def test_what_is_no_network_is_not_compared() -> None:
    for value in (None, 1, [], torch.zeros(1), itself()):
        assert "expected a torch.nn.Module" in refused(compare, network(), value, SIZE)
        assert "expected a torch.nn.Module" in refused(archzoo.same, network(), value, SIZE)
        assert "a pattern of names is a text" in refused(archzoo.names, value)
        assert "a pattern of names is a text" in refused(archzoo.audit, value)
        if value is not None:
            refused(archzoo.build, "lenet5", adapt_input=value)
