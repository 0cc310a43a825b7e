"""What the metadata of a safetensors file says about its network: its name and its options."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archzoo.errors import BadOption, WeightsError
from archzoo.registry import Entry, find


@dataclass(frozen=True)
class Description:
    """The registered name of a network, and the options that build it."""

    name: str
    options: Mapping[str, Any]


def write_metadata(description: Description) -> dict[str, str]:
    """The metadata from which ``read_metadata`` makes this description."""
    return {"archzoo": description.name, "options": json.dumps(dict(description.options))}


def read_metadata(metadata: Mapping[str, str], source: str) -> Description | None:
    """The description in the metadata of the file ``source``, or None. Raises WeightsError if it cannot be read."""
    if "archzoo" not in metadata:
        return None
    try:
        options = json.loads(metadata.get("options", "{}"))
    except ValueError as error:
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
    described = find(description.name)
    if described.constructor is not entry.constructor:
        raise BadOption(f"{source} holds {description.name}, not {entry.name}")
    options = {**described.options, **description.options}
    for name, value in {**entry.fixed, **given}.items():
        if name not in ("num_classes", "in_channels") and options.get(name, value) != value:
            raise BadOption(f"{source} holds {description.name} with {name}={options[name]!r}, not {value!r}")
    return {**{name: value for name, value in options.items() if name not in entry.fixed}, **given}
