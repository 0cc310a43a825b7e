"""Values that the recipes of several papers share. Imports no torch."""

from archzoo.recipes._optimizers import sgd
from archzoo.recipes._transforms import (
    CenterCrop,
    ColorJitter,
    PCALighting,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
)

NESTEROV_SGD = sgd(nesterov=True)

# CIFAR: images are padded by 4 pixels, cropped, and mirrored (ResNet, Sec. 4.2; "C10+" in DenseNet, Sec. 4.1).
CIFAR_AUGMENTATION = (RandomCrop(padding=4), RandomHorizontalFlip())

# ImageNet: crops and mirror images of the central 256x256 pixels (AlexNet, Sec. 2 and 4.1).
ALEXNET_AUGMENTATION = (Resize(256), CenterCrop(256), RandomCrop(), RandomHorizontalFlip())

# ImageNet: the transforms of fb.resnet.torch (datasets/imagenet.lua), with which several later papers train. Its
# bicubic resizing has no antialiasing.
FB_RESNET_TORCH_AUGMENTATION = (
    RandomResizedCrop(log_ratio=False, interpolation="bicubic"),
    ColorJitter(),
    PCALighting(),
    RandomHorizontalFlip(),
)
