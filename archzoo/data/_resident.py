"""Which images live on an accelerator as bytes, to be augmented there: those of small data sets of one size."""

import torch

from archzoo.data import _steps as steps
from archzoo.data._augmentation import Pipeline
from archzoo.data._dataset import ImageSet
from archzoo.recipes import CenterCrop, RandomCrop, RandomErasing, RandomHorizontalFlip

# Steps that compute the same bits on every device, and never wait for one. A matrix product, as in whitening, sums in
# another order; the other steps look at each number by itself.
EXACT_STEPS = (CenterCrop, RandomCrop, RandomErasing, RandomHorizontalFlip, steps.Normalize, steps.Pad, steps.Scale)
MEMORY_SHARE = 0.25  # of what is free on the device


def why_not_resident(images: ImageSet, pipeline: Pipeline, device: torch.device) -> str | None:
    """Why these images cannot live on a device and be augmented there; None where they can."""
    if images.is_encoded:
        return "its images stay encoded"
    if images.size is None:
        return "its images differ in size"
    others = [type(step).__name__ for step in pipeline.steps if not isinstance(step, EXACT_STEPS)]
    if others:
        return f"{', '.join(others)} is computed on the CPU"
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        if len(images.pixels) > MEMORY_SHARE * free:
            return f"its {len(images.pixels):,} bytes are more than a quarter of the {free:,} that are free"
    return None
