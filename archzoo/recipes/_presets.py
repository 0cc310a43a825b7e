"""Values that the recipes of several papers share. Imports no torch."""

from archzoo.recipes._optimizers import sgd
from archzoo.recipes._preprocessing import Normalize
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

# ImageNet: the constants of fb.resnet.torch and of torchvision's weights.
IMAGENET_NORMALIZATION = Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))

# ImageNet: crops and mirror images of the central 256x256 pixels (AlexNet, Sec. 2 and 4.1).
ALEXNET_AUGMENTATION = (Resize(256), CenterCrop(256), RandomCrop(), RandomHorizontalFlip())

# ImageNet: the defaults of fb.resnet.torch (datasets/imagenet.lua), which several later papers train with. Test images
# are resized by the same interpolation.
FB_RESNET_TORCH_AUGMENTATION = (
    RandomResizedCrop(aspect="uniform", interpolation="torch7_bicubic"),
    ColorJitter(clamp=False),
    PCALighting(),
    RandomHorizontalFlip(),
)
