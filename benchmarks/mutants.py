"""Mutants of the networks, each with the verdict that ``archzoo.same`` must reach on it, and how many it got wrong.

    python benchmarks/mutants.py [--seed N] [--sites N] [--kinds PATTERN] [PATTERN ...]

A mutant is a network with one change: a stride moved, a pooling of another kind, a bias added. What is true of it does
not come from the comparison. A change of the function is seen with the same weights in the same places: the outputs
differ. A change that only training shows (momentum, dropout) is one by construction, and so is a permutation of
channels. Whether other shuffles of ShuffleNet are permutations is solved by following the life of every channel. Prints
a row for each kind of change; exits with 1 where a verdict is wrong, or a reason is none of those that name the change.
"""

import argparse
import sys
import time
from collections import Counter, defaultdict
from fnmatch import fnmatchcase

from mutations.networks import DIFFERENT, EQUAL, NETWORKS, PERMUTED
from mutations.trying import Outcome, outcomes


def main() -> int:
    """Try the mutants of the networks that match."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", default=["*"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sites", type=int, default=2, help="places of each kind of change in each network")
    parser.add_argument("--kinds", default="*", help="the kinds of change, by their names")
    arguments = parser.parse_args()
    labels = [label for label in NETWORKS if any(fnmatchcase(label, pattern) for pattern in arguments.patterns)]
    by_kind: dict[str, list[Outcome]] = defaultdict(list)
    for label in labels:
        started, tried = time.perf_counter(), 0
        for outcome in outcomes(label, arguments.sites, arguments.seed, arguments.kinds):
            by_kind[outcome.mutant.kind].append(outcome)
            tried += 1
            if outcome.wrong or outcome.misnamed:
                what = "WRONG" if outcome.wrong else "reason"
                print(
                    f"{what}: {outcome.mutant.kind} {label} {outcome.mutant.where}: {outcome.right!r} is right, "
                    f"said {outcome.verdict!r} {outcome.text}",
                    flush=True,
                )
        print(f"{label}: {tried} mutants, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    print(f"{'change':26}{'tried':>6}{'equal':>7}{'permuted':>9}{'different':>10}{'wrong':>7}{'reason':>8}")
    for name, rows in by_kind.items():
        counts = Counter(outcome.right for outcome in rows)
        numbers = f"{len(rows):6}{counts[EQUAL]:7}{counts[PERMUTED]:9}{counts[DIFFERENT]:10}"
        print(f"{name:26}{numbers}{sum(o.wrong for o in rows):7}{sum(o.misnamed for o in rows):8}")
    every = [outcome for rows in by_kind.values() for outcome in rows]
    wrong, misnamed = sum(o.wrong for o in every), sum(o.misnamed for o in every)
    print(f"{len(every)} mutants, {wrong} wrong verdicts, {misnamed} reasons that name another change")
    return int(bool(wrong or misnamed))


if __name__ == "__main__":
    sys.exit(main())
