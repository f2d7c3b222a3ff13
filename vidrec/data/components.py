"""Datasets and samplers by name, and the arguments that the build functions supply to them."""

from vidrec.registry import Registry

DATASETS = Registry(
    "dataset",
    {"ClipDataset": "vidrec.data.datasets:ClipDataset", "MultiViewDataset": "vidrec.data.multiview:MultiViewDataset"},
    base="torch.utils.data:Dataset",
)
SAMPLERS = Registry(
    "sampler",
    {
        "TrainSampler": "vidrec.data.samplers:TrainSampler",
        "ClassBalancedSampler": "vidrec.data.samplers:ClassBalancedSampler",
        "EvalSampler": "vidrec.data.samplers:EvalSampler",
    },
    base="torch.utils.data:Sampler",
)

# Arguments that build_dataset and build_sampler supply, for whoever checks a section without building it.
DATASET_GIVEN = ("table", "clip_len", "frame_stride", "short_side", "squeeze_to", "decoder", "reading")
SAMPLER_GIVEN = ("num_samples", "batch_size", "labels", "rank", "world_size", "seed")
