"""What a finished run leaves in the table of results."""

from collections.abc import Mapping, Sequence
from typing import Any

from archzoo.results._measured import Measured


def describe_run(
    results: Sequence[Mapping[str, Any]],
    seconds: Sequence[float],
    *,
    recipe: str,
    network: str,
    options: Mapping[str, Any],
    changes: Mapping[str, str],
    command: str,
    commit: str,
    machine: str,
) -> Measured:
    """The entry of runs that differ in their seeds, from what their result.json hold."""
    first = results[0]
    return Measured(
        recipe=recipe,
        network=network,
        options=options,
        changes=changes,
        data=first.get("data_origin") or first["recipe"]["data"],
        images=first["images"],
        seeds=tuple(result["seed"] for result in results),
        errors=tuple(round(100 * (1 - result["test"]["top1"]), 4) for result in results),
        seconds=tuple(round(duration, 1) for duration in seconds),
        command=command,
        commit=commit,
        machine=machine,
        versions=first["versions"],
    )
