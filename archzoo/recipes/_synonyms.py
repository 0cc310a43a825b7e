"""What other libraries call a value of a recipe."""

import difflib
from collections.abc import Iterable

SYNONYMS = {
    other: ours
    for ours, others in {
        "lr": "learning_rate learningrate base_lr lrate init_lr initial_lr lr0 rate",
        "batch_size": "bs batch batchsize train_batch_size batch_size_train per_device_train_batch_size",
        "epochs": "epoch n_epochs num_epochs nb_epochs max_epochs num_train_epochs nepochs",
        "iterations": "steps iters max_steps num_steps max_iters n_iters max_iter",
        "weight_decay": "wd l2 weightdecay decay weight_decay_rate",
        "schedule": "scheduler sched lr_scheduler lr_schedule lr_policy",
        "optimizer": "opt optim optimiser",
        "augmentation": "transform transforms augment aug augmentations data_augmentation train_transform",
        "preprocessing": "normalize normalization norm",
        "regularizers": "regularizer regularization drop_path mixup cutmix",
        "label_smoothing": "smoothing label_smooth",
        "grad_clip_norm": "clip clip_grad clip_grad_norm max_norm max_grad_norm gradient_clip_val grad_clip",
        "ema": "ema_decay model_ema ema_rate",
        "select": "best selection",
    }.items()
    for other in others.split()
}


def value_hint(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The value of a recipe that is meant by a name, or nothing.

    ``cutoff`` is difflib's: with 1, no name is near that other libraries do not use.
    """
    known, lower = list(known), name.lower().replace("-", "_")
    if lower in known:
        return lower
    if SYNONYMS.get(lower) in known:
        return SYNONYMS[lower]
    return next(iter(difflib.get_close_matches(lower, known, n=1, cutoff=cutoff)), "")
