"""What the metadata of a safetensors file says about its network: its name and its options."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archzoo.errors import BadOption, UnknownName, WeightsError
from archzoo.registry import Entry, find

LONGEST_NAME, LONGEST_OPTIONS = 100, 10_000  # characters


@dataclass(frozen=True)
class Description:
    """The registered name of a network, and the options that build it."""

    name: str
    options: Mapping[str, Any]


def write_metadata(description: Description) -> dict[str, str]:
    """The metadata from which ``read_metadata`` makes this description; the same options are the same text."""
    try:
        options = json.dumps(dict(description.options), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"these options cannot be written to a file: {error}") from error
    return {"archzoo": description.name, "options": options}


def read_metadata(metadata: Mapping[str, str], source: str) -> Description | None:
    """The description in the metadata of the file ``source``, or None. Raises WeightsError if it cannot be read."""
    if "archzoo" not in metadata:
        return None
    if len(metadata["archzoo"]) > LONGEST_NAME or len(metadata.get("options", "")) > LONGEST_OPTIONS:
        raise WeightsError(f"{source}: the name and the options in its metadata are longer than those of any network")
    try:
        options = json.loads(metadata.get("options", "{}"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{source}: the options in its metadata cannot be read: {error}") from error
    if not isinstance(options, dict):
        raise WeightsError(f"{source}: the options in its metadata are a {type(options).__name__}, not a table")
    # JSON has no tuples, and options no lists.
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    return Description(metadata["archzoo"], values)


def options_of_file(entry: Entry, description: Description, given: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The options of a described file, updated with those given.

    Raises BadOption if the file holds another network, or an option other than ``num_classes`` and ``in_channels``
    differs.
    """
    try:
        described = find(description.name)
    except UnknownName as error:
        raise WeightsError(f"{source} describes a network that is not here: {error}") from error
    if described.constructor is not entry.constructor:
        raise BadOption(f"{source} holds {description.name}, not {entry.name}")
    options = {**described.options, **description.options}
    for name, value in {**entry.fixed, **given}.items():
        if name not in ("num_classes", "in_channels") and options.get(name, value) != value:
            raise BadOption(f"{source} holds {description.name} with {name}={options[name]!r}, not {value!r}")
    return {**{name: value for name, value in options.items() if name not in entry.fixed}, **given}
