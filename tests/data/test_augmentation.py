"""Steps of augmentation: by hand, and in distribution."""

import math

import pytest
import torch
from torch import Tensor

from archzoo.data import ImageSet, Pipeline, derive_seed, multi_crop_144, resize_shorter_side, stack, ten_crops
from archzoo.data._augmentation import FUNCTIONS, apply, resolve
from archzoo.data._color import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from archzoo.data._crops import draw_box_size, draw_crop_box
from archzoo.data._fitting import principal_components
from archzoo.data._resizing import resize
from archzoo.errors import DataError
from archzoo.recipes import (
    CenterCrop,
    ColorJitter,
    Lambda,
    PCALighting,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomTenCrop,
    Resize,
    Transform,
)
from archzoo.recipes._transforms import IMAGENET_COMPONENTS, IMAGENET_EIGENVALUES, TRANSFORMS


def numbered(count: int, channels: int = 3, side: int = 8) -> Tensor:
    """Images in which no two pixels are alike."""
    return torch.arange(count * channels * side * side, dtype=torch.float32).view(count, channels, side, side)


def seeded(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def batch(transform: Transform, images: Tensor, numbers: Tensor) -> Tensor:
    return stack(apply(transform, images, numbers))


def test_a_padded_crop_is_a_shift_with_zeros() -> None:
    images = numbered(9) + 1
    places = torch.tensor([(top, left) for top in range(3) for left in range(3)])
    numbers = (places + 0.5) / 3  # of the three tops and lefts that a padding of 1 leaves
    crops = batch(RandomCrop(8, padding=1), images, numbers)
    for image, crop, (top, left) in zip(images, crops, places.tolist(), strict=True):
        padded = torch.zeros(3, 10, 10)
        padded[:, 1:9, 1:9] = image
        assert torch.equal(crop, padded[:, top : top + 8, left : left + 8])


def test_padding_by_reflection_repeats_no_edge() -> None:
    crop = batch(RandomCrop(12, padding=2, padding_mode="reflect"), numbered(1), torch.zeros(1, 2))
    assert crop[0, 0, 2, :4].tolist() == [2, 1, 0, 1]


def test_crops_of_a_list_and_of_a_batch_are_the_same() -> None:
    images, numbers = numbered(16), torch.rand(16, 2)
    assert torch.equal(batch(RandomCrop(5), images, numbers), stack(apply(RandomCrop(5), list(images), numbers)))


def test_every_place_is_drawn_equally_often() -> None:
    images = numbered(1).expand(20_000, -1, -1, -1)
    corners = batch(RandomCrop(6), images, seeded(20_000, 2))[:, 0, 0, 0]
    counts = torch.bincount(corners.long())
    counts = counts[counts > 0]
    assert len(counts) == 9
    assert (counts / 20_000 - 1 / 9).abs().max() < 5 * math.sqrt(1 / 9 / 20_000)


@pytest.mark.parametrize("p", [0.5, 0.2, 0.0, 1.0])
def test_the_share_p_of_images_is_flipped(p: float) -> None:
    images = numbered(1000)
    flipped = batch(RandomHorizontalFlip(p), images, torch.arange(1000).unsqueeze(1) / 1000)
    same = (flipped == images).flatten(1).all(1)
    assert (~same).sum() == 1000 * p
    assert torch.equal(flipped[~same], images[~same].flip(-1))


def test_resized_crops_have_the_areas_and_ratios_of_the_paper() -> None:
    """GoogLeNet, Sec. 6: 8% to 100% of the area, aspect ratios 3/4 to 4/3, both uniform."""
    boxes = torch.tensor(
        [draw_crop_box(RandomResizedCrop(16), 400, 400, drawn) for drawn in seeded(4000, 22).tolist()],
        dtype=torch.float64,
    )
    top, left, height, width = boxes.unbind(1)
    area, ratio = height * width / 400**2, width / height
    assert ((top >= 0) & (left >= 0) & (top + height <= 400) & (left + width <= 400)).all()
    assert area.min() > 0.075
    assert area.max() > 0.95
    assert 0.74 < ratio.min() < 0.76
    assert 1.32 < ratio.max() < 1.345
    assert abs(ratio.log().mean()) < 0.02
    assert ((height - 400 * 0.4).abs() > 0).any()


def test_jitter_of_no_strength_changes_nothing_and_strength_changes_what_it_says() -> None:
    images = torch.rand(12, 3, 4, 4)
    numbers = torch.rand(12, 4)
    torch.testing.assert_close(batch(ColorJitter(0, 0, 0), images, numbers), images)
    brighter = adjust_brightness(images / 2, torch.full((12,), 1.5))
    torch.testing.assert_close(brighter, images * 0.75)
    flat = adjust_contrast(images, torch.zeros(12))
    assert flat.flatten(1).std(dim=1).max() < 1e-6
    gray = adjust_saturation(images, torch.zeros(12))
    torch.testing.assert_close(gray[:, 0], gray[:, 2])


def test_jitter_without_a_limit_goes_beyond_white() -> None:
    """fb.resnet.torch limits no value; torchvision does after each adjustment."""
    images, numbers = torch.full((1, 3, 2, 2), 0.9), torch.tensor([[0.75, 0.75, 0.75, 0.0]])
    torch.testing.assert_close(batch(ColorJitter(clamp=False), images, numbers), images * 1.2)
    torch.testing.assert_close(batch(ColorJitter(), images, numbers), torch.ones(1, 3, 2, 2))


def test_hue_turns_the_circle_of_colors() -> None:
    red, green, cyan, gray = (
        torch.tensor(color).view(1, 3, 1, 1) for color in ([1.0, 0, 0], [0, 1.0, 0], [0, 1.0, 1.0], [0.3, 0.3, 0.3])
    )
    torch.testing.assert_close(adjust_hue(red, torch.tensor([1 / 3])), green)
    torch.testing.assert_close(adjust_hue(green, torch.tensor([-1 / 3])), red)
    torch.testing.assert_close(adjust_hue(red, torch.tensor([0.5])), cyan)
    torch.testing.assert_close(adjust_hue(gray, torch.tensor([0.2])), gray)
    jitter = ColorJitter(0, 0, 0, hue=0.5)
    assert (ColorJitter().draws, jitter.draws) == (4, 5)
    turned = batch(jitter, red.repeat(24, 1, 1, 1), torch.cat([torch.full((24, 4), 5 / 6), torch.rand(24, 1)], 1))
    torch.testing.assert_close(turned, green.repeat(24, 1, 1, 1))  # 5/6 draws a share of 1/3, in any order


def test_jitter_scales_each_property_by_its_own_strength() -> None:
    images, numbers = torch.rand(6, 3, 4, 4) / 4, torch.full((6, 4), 0.75)
    torch.testing.assert_close(batch(ColorJitter(0.4, 0, 0), images, numbers), images * 1.2)
    contrasts = adjust_contrast(images, torch.full((6,), 1.2)).clamp(0, 1)
    torch.testing.assert_close(batch(ColorJitter(0, 0.4, 0), images, numbers), contrasts)
    saturations = adjust_saturation(images, torch.full((6,), 1.2)).clamp(0, 1)
    torch.testing.assert_close(batch(ColorJitter(0, 0, 0.4), images, numbers), saturations)


def test_pca_lighting_has_the_deviation_of_the_paper_along_each_component() -> None:
    """AlexNet, Sec. 4.1: components times eigenvalues times Gaussians of deviation 0.1."""
    components = torch.tensor(IMAGENET_COMPONENTS)
    torch.testing.assert_close(components.T @ components, torch.eye(3), atol=2e-3, rtol=0)
    colors = batch(PCALighting(0.1), torch.zeros(50_000, 3, 1, 1), seeded(50_000, 3))
    along = (colors.view(-1, 3) @ components).std(0)
    torch.testing.assert_close(along, 0.1 * torch.tensor(IMAGENET_EIGENVALUES), rtol=0.02, atol=0)


def test_eigenvalues_of_imagenet_are_variances_along_its_components() -> None:
    """Deviations of all pixels by channel, as pytorch/vision measured them on the whole training set (issue 1439)."""
    components, variances = torch.tensor(IMAGENET_COMPONENTS), torch.tensor(IMAGENET_EIGENVALUES)
    deviations = (components.square() @ variances).sqrt()
    torch.testing.assert_close(deviations, torch.tensor([0.2806, 0.2736, 0.2877]), rtol=0.015, atol=0)


def test_principal_components_are_found() -> None:
    direction = torch.tensor([0.6, 0.8, 0.0])
    colors = 0.5 + 0.1 * torch.randn(4000, 1, generator=torch.Generator().manual_seed(0)) * direction
    pixels = (colors * 255).round().clamp(0, 255).to(torch.uint8).view(40, 10, 10, 3).permute(0, 3, 1, 2)
    images = ImageSet.from_tensor("flat", pixels, torch.zeros(40, dtype=torch.long), ["class"])
    variances, components = principal_components(images)
    assert variances[0] == pytest.approx(0.1**2, rel=0.1)
    first = torch.tensor(components)[:, 0]
    assert abs(float(first @ direction)) == pytest.approx(1, abs=1e-3)


def test_erasing_leaves_zeros_in_one_box_for_its_share_of_images() -> None:
    images = torch.ones(2000, 1, 20, 20)
    erased = batch(RandomErasing(0.5), images, seeded(2000, 23))
    shares = (erased == 0).flatten(1).float().mean(1)
    assert 0.45 < (shares > 0).float().mean() < 0.55
    assert 0.01 < shares[shares > 0].min() < 0.04
    assert 0.3 < shares.max() < 0.36
    for image in erased[shares > 0][:50, 0]:
        rows, columns = (image == 0).any(1), (image == 0).any(0)
        assert (image[rows][:, columns] == 0).all()
    assert torch.equal(images, torch.ones_like(images))


def test_aspects_of_fb_resnet_torch_are_uniform_and_turned_by_a_coin() -> None:
    """RandomSizedCrop of datasets/transforms.lua: width / height from 3/4 to 4/3, then exchanged for one in two."""
    half = 3 / 4 + 0.5 * (4 / 3 - 3 / 4)
    for number, aspect in ((0.0, 3 / 4), (0.25, half), (0.5, 4 / 3), (0.75, 1 / half)):
        box = draw_box_size(1000, 1000, [0.25, number], (0.0, 1.0), (3 / 4, 4 / 3), is_log=False)
        assert box is not None
        assert box[1] / box[0] == pytest.approx(aspect, abs=0.005)
        assert box[0] * box[1] == pytest.approx(250_000, rel=0.005)
    logs = draw_box_size(1000, 1000, [0.25, 0.25], (0.0, 1.0), (3 / 4, 4 / 3))
    assert logs is not None
    assert logs[1] / logs[0] == pytest.approx((3 / 4) ** 0.5, abs=0.005)


def test_splines_of_torch7_are_as_by_hand() -> None:
    """Half-way between two pixels the weights are -1/16, 9/16, 9/16, -1/16; corners stay; edges go on straight."""
    line = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]).view(1, 1, 5)
    expected = [0, -1 / 16, 0, 9 / 16, 1, 9 / 16, 0, -1 / 16, 0]
    torch.testing.assert_close(resize(line, 1, 9, "torch7_bicubic").flatten(), torch.tensor(expected))
    ramp = torch.linspace(0, 1, 7).view(1, 7, 1).expand(1, 7, 4)
    for size in (3, 5, 20):
        torch.testing.assert_close(resize(ramp, size, 9, "torch7_bicubic")[0, :, 4], torch.linspace(0, 1, size))
    assert resize(torch.full((3, 1, 1), 0.5), 2, 3, "torch7_bicubic").unique().tolist() == [0.5]


def test_opencv_reads_the_four_nearest_pixels_alone() -> None:
    """A side of 8 to 2: positions 1.5 and 5.5, whatever lies between them."""
    image = torch.tensor([0, 40, 80, 0, 255, 20, 60, 255], dtype=torch.uint8).view(1, 1, 8).expand(1, 8, 8)
    assert resize(image, 2, 2, "opencv_bilinear").tolist() == [[[60, 40], [60, 40]]]


def test_a_shorter_side_keeps_proportions() -> None:
    assert resize_shorter_side(torch.rand(3, 30, 45), 20).shape == (3, 20, 30)
    assert resize_shorter_side(torch.rand(3, 45, 30), 20).shape == (3, 30, 20)
    resized = apply(Resize(8, 12), [torch.rand(1, 10, 15)] * 500, torch.rand(500, 1))
    assert {min(image.shape[1:]) for image in resized} == {8, 9, 10, 11, 12}


def test_ten_crops_are_corners_center_and_mirror_images() -> None:
    images = numbered(2, side=6)
    crops = ten_crops(images, 4)
    assert crops.shape == (10, 2, 3, 4, 4)
    assert torch.equal(crops[0], images[..., :4, :4])
    assert torch.equal(crops[3], images[..., 2:, 2:])
    assert torch.equal(crops[4], images[..., 1:5, 1:5])
    assert torch.equal(crops[5], images.flip(-1)[..., :4, :4])


def test_a_random_ten_crop_is_the_one_of_ten_that_is_drawn() -> None:
    images = numbered(1, side=6).expand(10, -1, -1, -1)
    crops = batch(RandomTenCrop(4), images, (torch.arange(10).unsqueeze(1) + 0.5) / 10)
    assert torch.equal(crops, ten_crops(images[0], 4))


def test_googlenet_has_144_crops_of_an_image() -> None:
    """Sec. 7: 4 scales x 3 squares x 6 x 2."""
    image = torch.rand(3, 40, 90)  # long enough for squares whose crops are all different
    crops = multi_crop_144(image, 24, (28, 31, 35, 38))
    assert crops.shape == (144, 3, 24, 24)
    assert len({crop.numpy().tobytes() for crop in crops}) == 144


def test_seeds_of_neighbors_differ_in_many_bits() -> None:
    seeds = {derive_seed("x", seed, epoch) for seed in range(30) for epoch in range(30)}
    assert len(seeds) == 900
    assert bin(derive_seed("x", 0, 0) ^ derive_seed("x", 0, 1)).count("1") > 10


def test_every_transform_of_a_recipe_has_a_function() -> None:
    assert set(FUNCTIONS) == {*TRANSFORMS, Lambda}


def test_an_open_size_becomes_the_input_side() -> None:
    assert resolve(RandomCrop(padding=4), 32) == RandomCrop(32, padding=4)
    assert resolve(CenterCrop(256), 224) == CenterCrop(256)
    assert resolve(RandomHorizontalFlip(0.3), 32) == RandomHorizontalFlip(0.3)


def test_each_step_takes_its_own_numbers_in_order() -> None:
    """Two numbers crop, the third flips: the numbers that a batch of CIFAR gets."""
    images = numbered(4)
    numbers = torch.tensor([[0.0, 0.0, 0.9], [0.0, 0.0, 0.1], [0.99, 0.99, 0.9], [0.99, 0.0, 0.1]])
    crops = Pipeline((RandomCrop(6), RandomHorizontalFlip()))(images, numbers)
    first, second, third, fourth = images
    expected = [first[:, :6, :6], second[:, :6, :6].flip(-1), third[:, 2:, 2:], fourth[:, 2:, :6].flip(-1)]
    assert torch.equal(crops, torch.stack(expected))


def test_steps_that_do_not_fit_say_why() -> None:
    with pytest.raises(DataError, match=r"a crop of 9x9 does not fit in an image of 8x8: resize or pad it first"):
        apply(RandomCrop(9), numbered(1), torch.zeros(1, 2))
    with pytest.raises(DataError, match=r"RandomCrop\(.*\) has no size: set it, or call resolve"):
        apply(RandomCrop(), numbered(1), torch.zeros(1, 2))
    with pytest.raises(DataError, match="PCALighting takes images of 3 channels, not 1"):
        apply(PCALighting(0.1), torch.zeros(1, 1, 2, 2), torch.zeros(1, 3))
    with pytest.raises(DataError, match="images differ in size, 8x10 and 8x12: .*must end in one size"):
        Pipeline((Resize(8),))([torch.rand(1, 8, 10), torch.rand(1, 8, 12)])
    with pytest.raises(DataError, match="no augmentation 'RandomCrop': use the transforms of archzoo.recipes"):
        apply("RandomCrop", numbered(1), torch.zeros(1, 0))
    with pytest.raises(DataError, match="takes 2 numbers per image, not 0"):
        Pipeline((RandomCrop(4),))(numbered(1))
