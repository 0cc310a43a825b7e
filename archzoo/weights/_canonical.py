"""The same tensors and metadata are the same bytes."""

import json
from pathlib import Path


def sort_metadata(path: Path) -> None:
    """Sort the metadata of a safetensors file in place: its writer has them in another order each time."""
    with path.open("rb+") as file:
        length = int.from_bytes(file.read(8), "little")
        head = json.loads(file.read(length))
        if "__metadata__" in head:
            head = {**head, "__metadata__": dict(sorted(head["__metadata__"].items()))}
        text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) <= length:  # as long as before, since only the order differs; spaces may end a head
            file.seek(8)
            file.write(text.ljust(length))
