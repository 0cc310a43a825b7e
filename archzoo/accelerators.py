"""Accelerators as their data sheets describe them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Accelerator:
    """An accelerator as its data sheet describes it, without sparsity, with its connections to others.

    ``float32`` and ``bfloat16`` are peak FLOP/s (float32 in TF32 where available, PyTorch's default for convolutions).
    ``bandwidth`` of the memory, ``link`` to accelerators on the same board and ``network`` to other machines are in
    bytes/s; ``memory`` is in bytes.
    """

    title: str
    float32: float
    bfloat16: float
    bandwidth: float
    memory: float
    link: float
    network: float


ACCELERATORS = {
    "h200": Accelerator("NVIDIA H200 SXM", 494.7e12, 989.5e12, 4.8e12, 141e9, 450e9, 50e9),
    "h100": Accelerator("NVIDIA H100 SXM", 494.7e12, 989.5e12, 3.35e12, 80e9, 450e9, 50e9),
    "a100": Accelerator("NVIDIA A100 80GB SXM", 156e12, 312e12, 2.039e12, 80e9, 300e9, 25e9),
    "v100": Accelerator("NVIDIA V100 16GB SXM2", 15.7e12, 125e12, 0.9e12, 16e9, 150e9, 12.5e9),
}
# What the drivers call them: other forms of a chip (on a PCIe card, or cut down) have lower peaks.
DRIVER_NAMES = {
    "h200": ("NVIDIA H200",),
    "h100": ("NVIDIA H100 80GB HBM3",),
    "a100": ("NVIDIA A100-SXM4-80GB", "NVIDIA A100-SXM4-40GB"),
    "v100": ("Tesla V100-SXM2-16GB", "Tesla V100-SXM2-32GB"),
}


def accelerator_named(driver_name: str) -> Accelerator | None:
    """The accelerator that a driver calls so, as ``torch.cuda.get_device_name`` has it; None where it is not known."""
    known = (key for key, names in DRIVER_NAMES.items() if driver_name in names)
    return next((ACCELERATORS[key] for key in known), None)
