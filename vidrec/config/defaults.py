"""Every config key with its default, unit and effect. The tree is the reference zoo's; keys marked (new) are additions.

Nodes are closed (an unknown key is a mistake) except COMPONENT_SECTIONS, whose keys are the constructor arguments, in
upper case, of the class that their TYPE names.
"""

from yacs.config import CfgNode as Node

from vidrec.config.node import Config

COMPONENT_SECTIONS = (
    "CONFIG.MODEL.BACKBONE",
    "CONFIG.MODEL.NECK",
    "CONFIG.MODEL.HEAD",
    "CONFIG.DATA.TRAIN_DATASET",
    "CONFIG.DATA.VAL_DATASET",
    "CONFIG.DATA.TRAIN_SAMPLER",
    "CONFIG.DATA.VAL_SAMPLER",
)

# Accepted because every YAML of the reference zoo sets them; the devices and processes present decide instead.
DERIVED_KEYS = ("DDP_CONFIG.GPU_WORLD_SIZE", "DDP_CONFIG.GPU_WORLD_RANK")


def _ddp() -> Node:
    ddp = Node()
    ddp.AUTO_RANK_MATCH = True  # with several nodes: find WORLD_RANK by this machine's addresses in WORLD_URLS
    ddp.WORLD_SIZE = 1  # number of nodes (machines)
    ddp.WORLD_RANK = 0  # rank of this node, from 0; used when AUTO_RANK_MATCH is False
    ddp.GPU_WORLD_SIZE = 8  # derived: number of processes over all nodes; the devices present decide
    ddp.GPU_WORLD_RANK = 0  # derived: rank of a process
    ddp.NPROC_PER_NODE = 0  # (new) processes on this node; 0: one per CUDA device, one where there is none
    ddp.DIST_URL = "tcp://127.0.0.1:10001"  # rendezvous address of node 0; used with several nodes only
    ddp.WORLD_URLS = ["127.0.0.1"]  # addresses of all nodes in order of rank (the spelling WOLRD_URLS is accepted too)
    ddp.DIST_BACKEND = "nccl"  # nccl or gloo; gloo is taken, and said, where there is no CUDA
    ddp.MAX_RESTARTS = 0  # (new) times that all processes are started again after one has failed; above 0 RESUME is auto
    ddp.JOIN_TIMEOUT = 600.0  # (new) seconds in which all nodes and processes must come to the run
    ddp.GROUP_TIMEOUT = 900.0  # (new) seconds that a process may wait for the others in a step; then the run ends, naming who hangs
    ddp.STRAGGLER_STEPS = 50  # (new) steps between looks for a process that is slower than the others; 0: never
    ddp.GPU = 0  # index of the CUDA device used when DISTRIBUTED is False
    ddp.DISTRIBUTED = True  # one process per device; False: one process on GPU
    return ddp


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


def _train() -> Node:
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
    # (new) an average of the weights: decay per step (0.0: none), whether it is less at first, and which weights are validated: both or ema
    train.EMA = Node({"DECAY": 0.0, "WARMUP": True, "VALIDATE": "both"})
    train.PRECISE_BN = 0  # (new) training batches by which BatchNorm's statistics are renewed before a validation and at the end; 0: never


def _learning_rate(train: Node) -> None:
    train.LR = 0.01  # learning rate for the batch as written; never scaled silently
    train.LR_SCALE_BATCH = (
        0  # (new) clips of a step, over all processes, that LR, LR_END and WARMUP_TO_LR are meant for; 0: they are taken as is
    )
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


def _val() -> Node:
    val = Node()
    val.FREQ = 2  # validate every FREQ epochs, and after the last; 0: never
    val.BATCH_SIZE = 8  # clips (views, when testing) per forward
    val.NUM_SEGMENT, val.NUM_CROP = 1, 1  # (new) temporal clips of a validation video, and crops of each; 1 is the center
    # (new) what best.pth is best by: map, top1, top5, mean_class or loss, or ema_ and one of them; '': map for several labels, else top1
    val.BEST_METRIC = ""
    val.PATIENCE = 0  # (new) training ends after so many validations in a row without a better one; 0: never
    val.PRECISION = "fp32"  # (new) fp32, bf16 or fp16 of validation and test
    val.MEMORY_FORMAT = "contiguous"  # (new) contiguous or channels_last_3d of a test; validation has that of TRAIN
    return val


def _test() -> Node:
    test = Node()
    # (new) whose way of testing: reference, reference_mxnet, pyslowfast, pyslowfast_offset, mmaction2, mmaction2_tsn, tsm, pytorchvideo,
    # torchvision, videomae or videomae_sthsthv2. It decides what the keys below leave at '' or 0; docs/protocols.md has the table.
    test.PROTOCOL = "reference"
    test.CLIP_STARTS = ""  # (new) where the TEST_NUM_SEGMENT clips lie: a name of the table in docs/protocols.md
    test.TARGET_FPS = 0.0  # (new) frames per second that FRAME_RATE counts; -1: the file's own; 0: the protocol's, else DATA.TARGET_FPS
    test.SHORT_VIDEO = ""  # (new) where a clip outlasts its video: repeat_last, loop or center
    # (new) frames are brought to: config: what DATA says; short_side or crop_size: this short side, aspect kept; 256: the same in pixels;
    # 128x171: this height and width
    test.RESIZE = ""
    test.CROP_SIZE = 0  # (new) side of the square crops, pixels
    test.CROPS = ""  # (new) where the TEST_NUM_CROP crops lie: slides, uniform, corners (10: with flips) or steps
    test.AVERAGE = ""  # (new) of the views: logits_mean, prob_mean, prob_sum, or feature_mean (before the classifier)
    return test


def _augment() -> Node:
    """Probabilities and alphas of 0 are off. What each does, and its paper, is in docs/augmentation.md."""
    aug = Node()
    aug.CROP = "short_side"  # short_side (SHORT_SIDE_SIZE and SCALE_RANGE), resized (RESIZED_CROP) or corners (CORNER_CROP)
    aug.RESIZED_CROP = Node({"AREA": [0.08, 1.0], "ASPECT": [0.75, 1.3333333333333333]})  # shares of the frame; width over height
    aug.CORNER_CROP = Node({"SCALES": [1.0, 0.875, 0.75, 0.66], "MAX_DISTORT": 1})  # of the short side; places that the sides lie apart
    aug.COLOR_JITTER = Node({"PROB": 0.0, "BRIGHTNESS": 0.4, "CONTRAST": 0.4, "SATURATION": 0.4, "HUE": 0.1})  # spans of factors; turns
    aug.RAND_AUGMENT = Node({"PROB": 0.0, "NUM_OPS": 2, "MAGNITUDE": 9.0})  # MAGNITUDE from 0 to 30
    aug.AUGMIX = Node({"PROB": 0.0, "SEVERITY": 3.0, "WIDTH": 3, "DEPTH": 0, "ALPHA": 1.0})  # SEVERITY to 10; DEPTH 0: 1 to 3, drawn
    aug.ERASING = Node({"PROB": 0.0, "AREA": [0.02, 0.33], "ASPECT": [0.3, 3.3], "FILL": "noise"})  # FILL: noise or mean
    # alphas of Beta distributions; PROB: of mixing a pair of clips; CUTMIX_PROB: of cutmix where both alphas are above 0
    aug.MIX = Node({"MIXUP_ALPHA": 0.0, "CUTMIX_ALPHA": 0.0, "PROB": 1.0, "CUTMIX_PROB": 0.5})
    return aug


def _lists(data: Node) -> None:
    data.TRAIN_ANNO_PATH = ""  # list (text, csv, tsv, json), folder of class folders, or shard index by path or URL
    data.VAL_ANNO_PATH = ""  # the same, for validation and test
    data.TRAIN_DATA_PATH = ""  # folder put before each relative path; '': the annotation file's folder
    data.VAL_DATA_PATH = ""
    data.CONFINE = False  # (new) True: refuse lists with absolute paths, or with `..` or links that leave the data folder
    data.MANIFEST = ""  # (new) manifest.csv of tools/check_dataset.py; training leaves out the videos it calls bad; '': none


def _decoding(data: Node) -> None:
    data.DECODER = "auto"  # (new) auto (exact for every file; a folder is read as frames), decord, frames, opencv, pyav or torchcodec
    data.FRAME_TEMPLATE = "img_%05d.jpg"  # (new) name of a frame in a folder of frames
    data.FRAME_OFFSET = 1  # (new) number of the first frame in it
    data.MAX_PIXELS = 67108864  # (new) pixels in one frame; a video with more counts as one that cannot be read. 8192 x 8192, above 8k
    data.MAX_FRAMES = 1000000  # (new) frames in one video; one with more counts as one that cannot be read
    # (new) frames, and gigabytes of them once resized, kept of one video for a sample or a test; where its views need more the video cannot
    # be read. The 320 frames of 10 clips of 32 are 0.1 GB at 340x256
    data.MAX_CLIP_FRAMES = 8192
    data.MAX_CLIP_GB = 8.0
    data.MAX_SECONDS = 300.0  # (new) seconds by the clock that decoding one video may take; after that it cannot be read. 0: no limit
    data.MAX_BAD_SHARE = 0.01  # (new) training stops when more than this share of the list's videos cannot be read
    data.READ_TIMEOUT = 600.0  # (new) seconds that a loader process may take for one video; then the run ends with its name; 0: no limit
    data.NUM_WORKERS = 0  # loader processes per process; 0: as many as there are cores to share


def _data() -> Node:
    data = Node()
    _lists(data)
    data.NUM_CLASSES = 400
    data.CLASS_NAMES = ""  # (new) file, a class name a line in order of label (or json), or a data set of the zoo (kinetics400); '': none
    data.CLIP_LEN = 16  # frames in a clip (in each segment)
    data.FRAME_RATE = 2  # distance between frames of a clip, in frames (the frame stride)
    # (new) how training and validation choose frames: reference, dense (exact stride), segments (a dense clip in each of NUM_SEGMENT
    # shares), uniform (single frames, one in each of NUM_SEGMENT * CLIP_LEN shares), dense_sample (so many frames spread over 64)
    data.SAMPLING = "reference"
    data.TARGET_FPS = 0.0  # (new) frames per second that FRAME_RATE counts, frames being chosen by their time; 0: the file's own
    data.SHORT_VIDEO = "repeat_last"  # (new) where a clip of training or validation outlasts its video: repeat_last, loop or center
    data.NUM_SEGMENT = 1  # temporal segments of a training sample; a sample has NUM_SEGMENT * CLIP_LEN frames
    data.NUM_CROP = 1  # crops of a training sample; only 1 has a meaning
    data.TEST_NUM_SEGMENT = 10  # temporal clips of a test video
    data.TEST_NUM_CROP = 3  # spatial crops of each; views = the product
    data.CROP_SIZE = 224  # side of the square crop in training and validation, pixels
    data.SHORT_SIDE_SIZE = 256  # short side after the resize, and side of the square test crop, pixels
    data.NEW_HEIGHT = 256  # with KEEP_ASPECT_RATIO False: frames are first brought to NEW_HEIGHT x NEW_WIDTH, pixels
    data.NEW_WIDTH = 340
    data.KEEP_ASPECT_RATIO = False
    data.SCALE_RANGE = [1.0, 1.25]  # (new) training: the short side is SHORT_SIDE_SIZE times a factor drawn from this range
    data.FLIP_PROB = 0.5  # (new) training: probability of a horizontal flip; 0 wherever left and right are classes
    data.FLIP_LABEL_MAP = []  # (new) training: pairs of labels or class names that change places in a flipped clip: [[left, right]]
    data.CLIPS_PER_VIDEO = 1  # (new) training: clips of each video in a batch, from one decode; BATCH_SIZE counts clips
    data.AUG = _augment()  # (new) training: augmentation; all off by default
    data.AUG_DEVICE = "cpu"  # (new) where AUG's pixels are made: cpu (loader processes) or device (batches, beside the network)
    data.MEAN = [0.485, 0.456, 0.406]  # (new) RGB mean, of values in [0, 1]
    data.STD = [0.229, 0.224, 0.225]  # (new) RGB standard deviation
    _decoding(data)
    data.MULTIGRID = False  # read by nothing; True is refused: TRAIN.MULTIGRID is meant
    data.TRAIN_DATASET = Node({"TYPE": "ClipDataset"})  # (new) component
    data.VAL_DATASET = Node({"TYPE": "MultiViewDataset"})  # (new) component, for validation and test
    data.TRAIN_SAMPLER = Node({"TYPE": "TrainSampler"})  # (new) component
    data.VAL_SAMPLER = Node({"TYPE": "EvalSampler"})  # (new) component
    return data


def _model() -> Node:
    model = Node()
    model.NAME = ""  # zoo name, alone or as torch/NAME or mxnet/NAME; stands for the BACKBONE, NECK and HEAD of the model zoo's row
    model.ZOO = ""  # (new) section of the zoo: torch or mxnet; '': that of the hashtag in PRETRAINED, else torch where it has NAME
    model.BACKBONE = Node()  # (new) component; written here it changes or replaces the row's
    model.NECK = Node()  # (new) component, optional
    model.HEAD = Node()  # (new) component
    model.LOAD = False  # load PRETRAINED_PATH before training or testing
    model.PRETRAINED_PATH = ""  # weights file, of vidrec or of the reference zoo
    model.RESET_HEAD = False  # (new) keep the fresh classifier when loading weights (fine-tuning with other classes)
    model.PRETRAINED = False  # True, or a hashtag (first digits of the file's SHA-1): load the zoo's published weights for NAME
    model.PRETRAINED_BASE = True  # initialize from 2-D ImageNet weights, inflated where the network is 3-D
    model.BN_EVAL = False  # BatchNorm uses its running statistics while training
    model.PARTIAL_BN = False  # BN_EVAL and BN_FROZEN for all BatchNorm layers but the first
    model.BN_FROZEN = False  # scale and bias of BatchNorm are not trained
    model.SYNC_BN = False  # (new) BatchNorm over the clips of all processes instead of each one's own
    model.USE_AFFINE = False  # a fixed scale and bias per channel in place of BatchNorm
    model.FROZEN_STAGES = -1  # (new) not trained, BatchNorm keeps its statistics: 0: the stem; n: the stem and the first n stages; -1: none
    return model


def _log() -> Node:
    log = Node()
    log.BASE_PATH = ""  # folder of all runs; '': runs
    log.EXP_NAME = "use_time"  # folder of this run below BASE_PATH; a name ending in use_time gets the start time there
    log.LOG_DIR = "tb_log"  # files of LOGGERS (TensorBoard events), below the run's folder
    log.SAVE_DIR = "checkpoints"  # below the run's folder
    log.EVAL_DIR = ""  # results of a test, below the run's folder; '': eval
    log.SAVE_FREQ = 1  # epochs between checkpoints; the last epoch and the best are always kept
    log.SAVE_STEPS = 0  # (new) steps of the run between checkpoints within epochs, of which the newest two are kept; 0: none
    log.SAVE_MINUTES = 0.0  # (new) minutes between checkpoints within epochs; 0: none
    log.KEEP_LAST = 0  # (new) newest checkpoints that are kept, of epochs and within them; the best is kept beside them. 0: all of epochs
    log.DISPLAY_FREQ = 1  # iterations between log lines
    log.LEVEL = "DEBUG"  # DEBUG, INFO, WARNING or ERROR
    log.LOG_FILENAME = "log.txt"
    # (new) where numbers and pictures go beside metrics.jsonl: tensorboard, wandb, mlflow, or a package's entry point (docs/logging.md)
    log.LOGGERS = ["tensorboard"]
    log.CLIP_FREQ = 10  # (new) epochs between pictures of the first training clips as the network sees them, in LOGGERS; 0: never
    return log


def get_cfg_defaults() -> Config:
    """A fresh copy of the whole schema with its defaults, not frozen; `merge_from_file` and `merge_from_list` work on it."""
    cfg = Config()
    cfg.DDP_CONFIG = _ddp()
    cfg.CONFIG = Node()
    cfg.CONFIG.TRAIN = _train()
    cfg.CONFIG.VAL = _val()
    cfg.CONFIG.TEST = _test()
    # FEAT: the model returns pooled features instead of scores; EMA (new): test the average of the weights that a checkpoint holds
    cfg.CONFIG.INFERENCE = Node({"FEAT": False, "EMA": False})
    cfg.CONFIG.DATA = _data()
    cfg.CONFIG.MODEL = _model()
    cfg.CONFIG.LOG = _log()
    return cfg
