"""A trained network on other images: new classifiers, frozen parts, features, fine-tuning."""
