"""How many operators of a pass have a formula: what the last line says."""

import json

import torch
from torch import Tensor, nn

import archzoo
from archzoo.profiler import Coverage, Profile
from tests.shell import Shell


class Spectrum(nn.Module):
    """A convolution twice, a Fourier transform, which is estimated, and an inverse, which has no formula."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.conv(self.conv(x))
        spectrum = torch.fft.fft(maps).real
        return torch.linalg.inv(spectrum.view(-1, 2, 2))


def test_operators_are_told_apart_by_how_they_are_counted() -> None:
    coverage = archzoo.profile(Spectrum(), (1, 4)).coverage
    assert coverage.counted == {"aten.convolution": 2}
    assert "aten.view" in coverage.free
    assert sum(coverage.estimated.values()) == 1
    assert coverage.uncounted == {"aten.linalg_inv_ex": 1}


def test_the_last_line_tells_the_coverage() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.ReLU(), nn.Flatten())
    counted = archzoo.profile(net, (3, 8, 8))
    assert str(counted).splitlines()[-1] == "3 operators in 4 calls: 2 with a formula, 1 without arithmetic"
    assert counted._repr_html_().endswith("<p>3 operators in 4 calls: 2 with a formula, 1 without arithmetic</p>")
    notes = archzoo.profile(Spectrum(), (1, 4)).notes()
    assert notes[0] == "not counted: aten.linalg_inv_ex, 1 times; the multiply-adds are a lower bound"
    assert notes[-1].endswith(", 1 estimated (_fft_r2c), 1 not counted (linalg_inv_ex)")


def test_a_stored_profile_keeps_its_coverage_and_an_older_one_what_it_has() -> None:
    counted = archzoo.profile(Spectrum(), (1, 4))
    assert Profile.from_json(counted.to_json()).coverage == counted.coverage
    values = json.loads(counted.to_json())
    del values["coverage"]
    values["uncounted_ops"] = {"aten.mystery": 2}
    assert Profile.from_json(json.dumps(values)).coverage == Coverage(uncounted={"aten.mystery": 2})


def test_the_command_ends_with_the_coverage(shell: Shell) -> None:
    _, out, err = shell("profile", "lenet5_textbook")
    expected = str(archzoo.profile(archzoo.build("lenet5_textbook", device="meta"), (1, 32, 32)).coverage)
    assert err == f"archzoo: {expected}\n"
    assert "operators" not in out
    assert shell("profile", "lenet5_textbook", "--format", "csv")[2] == ""
