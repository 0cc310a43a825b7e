"""Images and labels: datasets, folders, reading, augmentation, preprocessing, loading."""
