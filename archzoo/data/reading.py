"""Image files: which are read, and how one becomes a tensor."""

# The suffixes of files that are read as images.
IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
