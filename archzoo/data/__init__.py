"""Images and labels: datasets, folders, reading, augmentation, preprocessing, loading."""

from archzoo.data._augmentation import Pipeline, derive_seed
from archzoo.data._augmented import augmented_views
from archzoo.data._crops import multi_crop_144, ten_crops
from archzoo.data._dataset import ImageSet
from archzoo.data._described import describe_prepared, fit_size, imagenet_preparation, restore_prepared
from archzoo.data._describing import describe
from archzoo.data._digits import load_digits
from archzoo.data._formats import image_suffixes
from archzoo.data._images import Images, stack
from archzoo.data._loading import Batch, EpochBatches, check_batch_size, load_batches, load_crops, take_crops
from archzoo.data._pictures import has_colors, load_photographs, load_pictures, read_picture
from archzoo.data._preprocessing import RESIZE_RATIO, Prepared, prepare
from archzoo.data._reading import OnCorrupt, read_image, read_or_skip
from archzoo.data._resident import why_not_resident
from archzoo.data._resizing import center_crop, resize_shorter_side
from archzoo.data._scanning import find_images
from archzoo.data._sources import NORMALIZATION, SOURCES, load
from archzoo.data._splits import Splits, sample_per_class, split
from archzoo.data._workers import watched_workers

__all__ = [
    "NORMALIZATION",
    "RESIZE_RATIO",
    "SOURCES",
    "Batch",
    "EpochBatches",
    "ImageSet",
    "Images",
    "OnCorrupt",
    "Pipeline",
    "Prepared",
    "Splits",
    "augmented_views",
    "center_crop",
    "check_batch_size",
    "derive_seed",
    "describe",
    "describe_prepared",
    "find_images",
    "fit_size",
    "has_colors",
    "image_suffixes",
    "imagenet_preparation",
    "load",
    "load_batches",
    "load_crops",
    "load_digits",
    "load_photographs",
    "load_pictures",
    "multi_crop_144",
    "prepare",
    "read_image",
    "read_or_skip",
    "read_picture",
    "resize_shorter_side",
    "restore_prepared",
    "sample_per_class",
    "split",
    "stack",
    "take_crops",
    "ten_crops",
    "watched_workers",
    "why_not_resident",
]
