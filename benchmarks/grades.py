"""What ``archzoo grade`` says of the deviations of public implementations, and of the paper's networks themselves.

    python benchmarks/grades.py [--seed N] [PATTERN ...]

Each deviation is a kind of change of ``mutants.py``, made at one place of a network where it is another function by the
outputs. Prints Markdown: the word with which the sentence of the grade begins, deviation by deviation; exits with 1
where a sentence begins with a word that names something else, or where a network is not found to be itself.
"""

import argparse
import copy
import sys
from fnmatch import fnmatchcase

from mutations.networks import DIFFERENT, NETWORKS, build
from mutations.trying import mutants, truth
from torch import nn

from archzoo.grading import Check
from archzoo.grading._judging import _function

GRADED = (
    *("resnet20", "vgg_a", "googlenet", "densenet", "mobilenet_v2", "inception_v3", "xception", "se_resnet"),
    *("condensenet", "shufflenet_v1", "shufflenet_v2", "bn_inception", "inception_v4", "inception_resnet_v2"),
)
# The kinds of change that are this deviation, the first that a network has a place for.
DEVIATIONS = {
    "stride moved": ("stride_moved", "stride"),
    "bias where there is none, or none": ("bias",),
    "max for average pooling, or average for max": ("pooling_kind",),
    "last batch normalization missing": ("last_norm_missing",),
    "padding": ("padding",),
    "a width": ("width",),
    "eps": ("eps",),
    "ReLU before batch normalization": ("norm_after_relu", "norm_before_convolution"),
    "another activation": ("activation",),
    "activation missing": ("activation_missing",),
    "shortcut missing": ("shortcut_missing",),
    "dropout missing": ("dropout_missing",),
    "momentum": ("momentum",),
    "ceil mode": ("ceil_mode",),
    "padding counted in averages": ("count_include_pad",),
    "padding alike on all sides": ("same_padding_symmetric",),
    "SE in another place": ("gate_moved",),
    "other units of SE": ("gate_reduction",),
    "factor of residuals": ("residual_scale",),
    "groups of a shuffle": ("shuffle_groups", "channel_shuffle"),
}
SITES = 4


def check(module: nn.Module, ours: nn.Module, label: str) -> Check:
    """Whether a module is the network, as the grade says it."""
    return _function(module, ours, NETWORKS[label][2], label)


def said(label: str, kinds: tuple[str, ...], seed: int) -> tuple[str, bool]:
    """The reason of the grade for the first mutant that is another function, and whether it names the change."""
    net = build(label)
    for kind in kinds:
        for mutant in mutants(label, SITES, seed, kind):
            if truth(net, mutant, NETWORKS[label][2]) != DIFFERENT:
                continue
            answer = check(mutant.net, net, label)
            reason = answer.text.partition(" at your ")[0].partition(" outside ")[0]
            if reason not in mutant.reasons or answer.passed:
                print(f"{label} {mutant.kind} {mutant.where}: {answer.text}", file=sys.stderr, flush=True)
            return reason, reason in mutant.reasons and not answer.passed
    return "", True


def main() -> int:
    """Grade each deviation of the networks that match."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", default=["*"])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    labels = [label for label in GRADED if any(fnmatchcase(label, pattern) for pattern in arguments.patterns)]
    failures, tried = 0, 0
    rows: dict[str, list[str]] = {"none": []}
    for label in labels:
        net = build(label)
        itself = check(copy.deepcopy(net), net, label)
        rows["none"].append("right" if itself.passed else itself.text)
        failures += not itself.passed
        for deviation, kinds in DEVIATIONS.items():
            reason, named = said(label, kinds, arguments.seed)
            rows.setdefault(deviation, []).append(reason if named else f"{reason} (not named)")
            failures += not named
            tried += bool(reason)
    print(f"| deviation | {' | '.join(labels)} |\n| --- |{' --- |' * len(labels)}")
    for deviation, reasons in rows.items():
        print(f"| {deviation} | {' | '.join(reasons)} |")
    print(f"{tried} deviations, {failures} failures")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
