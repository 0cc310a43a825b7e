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

# ImageNet: the defaults of fb.resnet.torch, which several later papers train with.
FB_RESNET_TORCH_AUGMENTATION = (RandomResizedCrop(), ColorJitter(), PCALighting(), RandomHorizontalFlip())
