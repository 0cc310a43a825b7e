"""Values that the recipes of several papers share. Imports no torch."""

from archzoo.recipes._optimizers import Optimizer, sgd
from archzoo.recipes._parameter_groups import ParameterGroup
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

# ImageNet: inception_preprocessing.py of TF-slim, and what it does otherwise than is written here.
SLIM_AUGMENTATION = (
    RandomResizedCrop(scale=(0.05, 1.0), ratio=(0.75, 1.33)),
    RandomHorizontalFlip(),
    ColorJitter(brightness=32 / 255, contrast=0.0, saturation=0.5),
)
SLIM_UNSPECIFIED = (
    "crops: those of TF-slim's inception_preprocessing.py, without the boxes of objects that ImageNet has for some",
    "brightness: scaled, where the code adds up to 32 / 255",
    "test images: the code squeezes the central 87.5% of each side into a square",
)
SLIM_RMSPROP = Optimizer("tensorflow_rmsprop", {"alpha": 0.9, "momentum": 0.9, "eps": 1.0})
# The MobileNets: no weight decay of depthwise filters.
DEPTHWISE_WITHOUT_DECAY = (ParameterGroup("*.depthwise.conv.weight", decay_mult=0),)
