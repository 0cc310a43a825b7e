"""What other libraries call an option of a network, and what it is here."""

import difflib
from collections.abc import Iterable

# Our names, the likelier one first, by the names of others.
SYNONYMS = {
    other: ours
    for ours, others in {
        ("in_channels",): "in_chans in_chan input_channels n_channels num_channels channels in_planes c_in",
        ("num_classes",): "classes n_classes nb_classes num_class n_class nclasses num_labels out_features",
        ("k",): "growth_rate growthrate growth widen_factor widening_factor width_factor",
        ("k", "width"): "widen width_mult width_multiplier width_scale width_per_group",
        ("theta",): "compression compression_rate compression_factor reduction",
        ("drop",): "drop_rate dropout dropout_rate droprate p_drop",
        ("drop_path", "survival"): "drop_path_rate stochastic_depth_prob survival_prob prob_survival",
        ("depth",): "layers num_layers n_layers nb_layers block_config num_blocks",
        ("config",): "cfg vgg_name",
        ("batch_norm",): "bn use_bn batchnorm norm norm_layer",
        ("auxiliary",): "aux aux_logits",
        ("option",): "shortcut shortcut_type shortcut_option",
        ("memory_efficient",): "efficient checkpointing grad_checkpointing",
        ("columns",): "c num_columns n_columns",
        ("squeeze_ratio",): "sr",
        ("block",): "block_type block_fn",
    }.items()
    for other in others.split()
}
# Options of no network here, and what is there instead.
INSTEAD = {
    other: text
    for others, text in {
        "pretrained weights checkpoint checkpoint_path state_dict": (
            "pretrained weights are weights='torchvision', 'timm' or a file, --weights on the command line"
        ),
        "features_only out_indices feature_extract": (
            "archzoo.build(...).backbone(out_indices) returns the maps of each stage, archzoo.transfer.feature_maps "
            "those of any part"
        ),
        "global_pool": "with num_classes=0 a network returns what its final layer would read",
        "input_size img_size image_size size": (
            "a network takes every size of images that fits; counts are for the one in profile(net, size), --input on "
            "the command line"
        ),
        "adapt_input": "it is an argument of archzoo.build and archzoo.training.run, --adapt-input on the command line",
        "progress": "downloads print where they are without it",
        "dtype": "archzoo.build(...).to(dtype) converts a network",
        "seed": "torch.manual_seed sets the seed of the weights",
        "num_init_features bn_size groups zero_init_residual replace_stride_with_dilation init_weights act_layer "
        "transform_input activation": "networks are as their papers describe them, without this option",
    }.items()
    for other in others.split()
}


def option_hint(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """``: did you mean 'k'?``, or what there is instead of an option; nothing where no known name is near.

    ``cutoff`` is difflib's: with 1, no name is near that other libraries do not use.
    """
    known, lower = list(known), name.lower().replace("-", "_")
    meant = [ours for ours in (lower, *SYNONYMS.get(lower, ())) if ours in known]
    if not meant and lower in INSTEAD:
        return f": {INSTEAD[lower]}"
    meant = meant or difflib.get_close_matches(lower, known, n=1, cutoff=cutoff)
    return f": did you mean {meant[0]!r}?" if meant else ""
