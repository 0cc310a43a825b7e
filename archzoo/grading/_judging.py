"""Judging a module: it runs, its counts, the printed numbers, and whether it is the same function."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from archzoo.auditor import profiled
from archzoo.claims import MATCH, MISMATCH, Claim
from archzoo.comparison import Equivalence, compare, of_entry
from archzoo.errors import ArchzooError, ComparisonError
from archzoo.grading._grades import Check, Grade
from archzoo.options import in_a_line
from archzoo.profiler import Profile, profile
from archzoo.registry import Entry, all_claims, find

FUNCTION_POINTS = 5
# Counts of the whole network, which need no names of its parts.
WHOLE = ("params", "weights", "macs", "flops", "connections", "neurons", "depth", "bytes")
LIBRARIES = ("archzoo", "torchvision", "timm", "pytorchcv", "transformers")


def grade_module(module: nn.Module, name: str, **options: Any) -> Grade:
    """What is right and what is not in a module that should be the paper's network ``name`` with these options.

    It is run on the paper's input size, in eval mode and without values where that is possible, and is left as it is.
    Raises UnknownName or BadOption if there is no such network.
    """
    entry = find(name)
    ours = of_entry(entry, entry.checked(options), entry.name)
    size = (options.get("in_channels", entry.options["in_channels"]), *entry.input_size[1:])
    what = "x".join(map(str, size))
    try:
        theirs = profile(module, size)
    except Exception as error:  # whatever the code of a student raises
        return Grade(entry.name, (Check(f"runs on {what}", False, f"{type(error).__name__}: {in_a_line(error)}"),))
    checks = [Check(f"runs on {what}", True, "it returns " + _returned(theirs))]
    checks += _counts(theirs, profiled(entry.name, size, **options))
    checks += _printed(entry, options, theirs)
    checks.append(_function(module, ours.module, size, entry.name))
    return Grade(entry.name, tuple(checks), tuple(_notes(module)))


def _returned(counted: Profile) -> str:
    return "x".join(map(str, counted.modules[0].output or ())) or "no tensor"


def _counts(theirs: Profile, ours: Profile) -> Iterator[Check]:
    """The totals beside those of our network: a first hint where they differ."""
    for name, mine, yours in (
        ("parameters", ours.params, theirs.params),
        ("multiply-adds", ours.macs, theirs.macs),
        ("layers on the longest path", ours.depth, theirs.depth),
    ):
        beside = "" if mine == yours else f", {abs(yours - mine):,} too {'many' if yours > mine else 'few'}"
        yield Check(name, mine == yours, f"{yours:,}{beside}")


def _printed(entry: Entry, options: dict[str, Any], theirs: Profile) -> Iterator[Check]:
    """Each number that a paper prints about the whole network in this setting."""
    built = {**entry.options, **options}
    for _, _, claim in all_claims(entry.name):
        printed_about = {**entry.options, **claim.options} == built and claim.input_size in (None, entry.input_size)
        if claim.at or claim.quantity not in WHOLE or claim.counted.count is None or not printed_about:
            continue
        count = claim.counted.count(theirs, "", claim.conventions)
        verdict = claim.judge(count)
        asked = f"{claim.quantity} {claim.printed}, {claim.where}"
        yield Check(asked, verdict != MISMATCH, _met(claim, verdict, count))


def _met(claim: Claim, verdict: str, count: Any) -> str:
    counted = f"{count:,}" if isinstance(count, int) else str(count)
    if verdict == MATCH:
        return counted
    return f"{counted}, and no faithful network has the printed number: {claim.why}" if claim.why else counted


def _function(module: nn.Module, ours: nn.Module, size: tuple[int, ...], name: str) -> Check:
    """Whether it is the same function for any weights, and the first layer that differs."""
    asked = "the same function"
    try:
        comparison = compare(ours, module, size, names=(name, "yours"))
    except ComparisonError as error:
        return Check(asked, False, f"it cannot be compared: {error}", FUNCTION_POINTS)
    except ArchzooError:
        raise
    except Exception as error:
        return Check(asked, False, f"{type(error).__name__}: {in_a_line(error)}", FUNCTION_POINTS)
    return Check(asked, comparison.equal, _explain(comparison), FUNCTION_POINTS)


def _explain(comparison: Equivalence) -> str:
    difference = comparison.difference
    if difference is None:
        notes = "".join(f"; {note}" for note in comparison.notes)
        return f"{comparison.verdict}, with the weights carried over{notes}"
    where = f"at your {difference.second}" if difference.second else "outside of your modules"
    here = f" (ours: {difference.first})" if difference.first else ""
    notes = "".join(f"; {note}" for note in comparison.notes)
    moved = f"; {_yours(difference.moved)}" if difference.moved else ""
    return f"{difference.reason} {where}{here}: {_yours(difference.text)}{moved}{notes}"


def _yours(text: str) -> str:
    """A sentence about a first and a second network as one about the paper's and yours."""
    words = {"the first network": "the paper's network", "the second network": "yours"}
    for word, ours in words.items():
        text = text.replace(word, ours)
    before, against, after = text.partition(" against ")
    return f"{before} in the paper's network, and {after} in yours" if against else text


def _notes(module: nn.Module) -> Iterator[str]:
    """Classes that the file did not write: a network taken from a library is no implementation."""
    taken = {type(part).__module__.partition(".")[0] for part in module.modules()} & set(LIBRARIES)
    for library in sorted(taken):
        yield f"layers of {library} are in it: they are not written by hand"
