"""The keys of CONFIG.TRAIN with their defaults; see `defaults`, which puts the schema together."""

from yacs.config import CfgNode as Node


def train_defaults() -> Node:
    """A fresh section."""
    train = Node()
    train.EPOCH_NUM = 196  # epochs
    train.BATCH_SIZE = 8  # clips per process and step
    _optimizer(train)
    _learning_rate(train)
    _loss(train)
    _recipe(train)
    train.RESUME = ""  # (new) '': start anew; auto: go on from the newest whole checkpoint of the run; or a checkpoint file
    train.RESUME_EPOCH = -1  # go on from the checkpoint of this epoch of the run; -1: from the beginning
    train.MAX_HOURS = 0.0  # (new) hours from the start after which the run saves and stops, to go on later; 0: no limit
    train.REQUEUE = False  # (new) a run that is asked to stop puts its SLURM job into the queue again
    train.SEED = 0  # (new) of initialization, order, augmentation and dropout
    # (new) a loss or gradient that is not finite, on any process: stop: the run ends before the update; skip: the update is left out
    train.NAN_POLICY = "stop"
    train.NAN_SKIPS = 10  # (new) of NAN_POLICY skip: updates that may be left out in a row; one more ends the run
    train.NAN_LOSS = 1.0e6  # (new) a loss above this has gone wrong too; 0: whatever is finite is right
    train.NAN_GRAD_NORM = 0.0  # (new) the same for the norm of all gradients
    train.BN_SUB_BATCH = 0  # (new) clips over which BatchNorm takes its statistics; 0: BATCH_SIZE with MULTIGRID, else the whole batch
    train.MULTIGRID = Node()
    train.MULTIGRID.USE_LONG_CYCLE = False  # multigrid training (Wu et al., CVPR 2020): shapes of batches change at LONG_CYCLE_EPOCH
    train.MULTIGRID.USE_SHORT_CYCLE = False  # shapes change from step to step, with 4, 2 and 1 times BATCH_SIZE; LR stays
    train.MULTIGRID.LONG_CYCLE_EPOCH = [10, 20, 30]  # epochs at which the next of the shapes with 8, 4, 2, 1 times BATCH_SIZE and LR begins
    _speed(train)
    return train


def _optimizer(train: Node) -> None:
    train.OPTIMIZER = "SGD"  # (new) SGD, AdamW or LARS
    train.MOMENTUM = 0.9  # of SGD and LARS
    train.NESTEROV = False  # (new) SGD: Nesterov's momentum
    train.BETAS = [0.9, 0.999]  # (new) AdamW: how much of the mean and of the mean square of the gradients a step keeps
    train.EPS = 1e-8  # (new) AdamW: added to the root of the mean square
    train.TRUST = 0.001  # (new) LARS: how far a step moves a tensor, as a share of its norm, at LR 1
    train.W_DECAY = 1e-4  # weight decay
    train.DECAY_NORM_BIAS = True  # (new) False: no weight decay (and no adaptation of LARS) on norms and biases
    train.LAYER_DECAY = 1.0  # (new) factor on LR from each layer (stem, stage, neck, head) to the one before; 1.0: one LR everywhere
    train.HEAD_LR_MULT = 1.0  # (new) factor on LR in the head


def _recipe(train: Node) -> None:
    train.CLIP_NORM = 0.0  # (new) the gradients of a step are scaled down to this norm of all of them together; 0.0: never
    train.CLIP_VALUE = 0.0  # (new) every number of the gradients is cut to at most this size; 0.0: never
    train.HEAD_WARMUP_EPOCHS = 0  # (new) first epochs in which only the head trains
    # (new) DECAY: how much of the average of the weights a step keeps, 0.0 makes no average; WARMUP: keep less in the first steps;
    # VALIDATE: which weights are validated, both or ema
    train.EMA = Node({"DECAY": 0.0, "WARMUP": True, "VALIDATE": "both"})
    train.PRECISE_BN = 0  # (new) training batches by which BatchNorm's statistics are renewed before a validation and at the end; 0: never


def _learning_rate(train: Node) -> None:
    train.LR = 0.01  # learning rate for the batch as written; never scaled silently
    train.LR_SCALE_BATCH = 0  # (new) clips of a step, over all processes, that LR, LR_END and WARMUP_TO_LR are meant for; 0: as is
    train.LR_POLICY = "Step"  # Step, Cosine, Linear, Poly or Constant (the last three are new)
    train.LR_PER = "epoch"  # (new) epoch: one LR for each; step: it moves with every step
    train.LR_MILESTONE = [40, 80]  # Step: epochs at which LR is multiplied by STEP
    train.STEP = 0.1  # Step: the factor
    train.LR_END = 0.0  # (new) Cosine, Linear, Poly: LR at the end of the run
    train.POLY_POWER = 2.0  # (new) Poly: LR falls with this power of the share of the run that is left
    train.USE_WARMUP = False  # rise linearly from WARMUP_START_LR before the policy starts
    train.WARMUP_EPOCHS = 34  # epochs of warm-up
    train.WARMUP_START_LR = 0.0  # LR of the first epoch or step; 0.0: the ramp starts at 0 one of them earlier, so that the first learns
    train.WARMUP_TO_LR = 0.0  # (new) LR that the ramp arrives at, where the policy takes over with its own; 0.0: with the same
    train.WARMUP_END_LR = 0.1  # ignored, as in the reference: WARMUP_TO_LR is meant


def _loss(train: Node) -> None:
    train.LOSS = "softmax"  # (new) softmax (one label a video), bce (sigmoid for each class, any number of labels) or focal (bce by gamma)
    train.LABEL_SMOOTHING = 0.0  # (new) share of each label that is spread evenly over all classes
    train.CLASS_WEIGHTS = []  # (new) a factor for the clips of each class; balanced: from the counts of the training list; []: 1
    train.FOCAL_GAMMA = 2.0  # (new) of focal: the higher, the less count clips that are nearly right; 0 is bce


def _speed(train: Node) -> None:
    """How a step of training is computed; what each key does and costs is in docs/speed.md."""
    train.PRECISION = "fp32"  # (new) fp32, bf16 or fp16 (with loss scaling) of forward and backward pass; weights stay fp32
    train.TF32 = True  # (new) CUDA: fp32 products and convolutions may shorten their factors to 10 bits of mantissa
    train.MEMORY_FORMAT = "contiguous"  # (new) contiguous or channels_last_3d (2-D convolutions: channels_last)
    train.COMPILE = ""  # (new) backend of torch.compile: inductor (needs a C++ compiler), aot_eager or cudagraphs; '': none
    train.CHECKPOINT_STAGES = []  # (new) parts that are computed again in the backward pass, for less memory; 0: the stem, n: stage n
    train.FUSED_OPTIMIZER = False  # (new) one kernel updates all weights
    train.ACCUMULATE = 1  # (new) batches of BATCH_SIZE clips whose gradients make one step
    train.PREFETCH = True  # (new) CUDA: the next batch is copied to the device while this one is computed
    train.CUDNN_BENCHMARK = True  # (new) CUDA: try cuDNN's kernels on the first batch; off with DETERMINISTIC or multigrid
    train.DETERMINISTIC = False  # (new) the same bits in every run on the same kind of device; an operator that cannot ends the run
    train.DDP = Node()  # of several processes
    train.DDP.BUCKET_VIEW = True  # (new) gradients live in the buffers that are sent
    train.DDP.STATIC_GRAPH = False  # (new) every step uses the same weights in the same order
    train.DDP.FIND_UNUSED = "auto"  # (new) look for weights without gradient in every step: auto (where there are any), always or never
    train.DDP.COMPRESSION = ""  # (new) bf16: gradients are sent with 16 bits; '': as they are
