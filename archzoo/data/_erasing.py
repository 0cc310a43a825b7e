"""Random erasing (Zhong et al. 2017)."""

from torch import Tensor

from archzoo.data._crops import draw_box_size
from archzoo.data._images import Images, stack
from archzoo.recipes import RandomErasing


def random_erasing(transform: RandomErasing, images: Images, numbers: Tensor) -> Tensor:
    """Set a box of each image to zero where its first number is below the probability."""
    batch = stack(images).clone()
    height, width = batch.shape[-2:]
    for image, drawn in zip(batch, numbers.tolist(), strict=True):
        size = draw_box_size(height, width, drawn[1:-2], transform.scale, transform.ratio)
        if drawn[0] < transform.p and size is not None:
            top, left = int(drawn[-2] * (height - size[0] + 1)), int(drawn[-1] * (width - size[1] + 1))
            image[:, top : top + size[0], left : left + size[1]] = 0
    return batch
