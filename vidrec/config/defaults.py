"""Every config key with its default, unit and effect; those of TRAIN and DATA are in the files beside this one.

The tree is the reference zoo's; keys marked (new) are additions.

Nodes are closed (an unknown key is a mistake) except COMPONENT_SECTIONS, whose keys are the constructor arguments, in
upper case, of the class that their TYPE names.
"""

from yacs.config import CfgNode as Node

from vidrec.config.data_defaults import data_defaults
from vidrec.config.node import Config
from vidrec.config.training_defaults import train_defaults

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


def _val() -> Node:
    val = Node()
    val.FREQ = 2  # validate every FREQ epochs, and after the last; 0: never
    val.BATCH_SIZE = 8  # clips (views, when testing) per forward
    val.NUM_SEGMENT = 1  # (new) temporal clips of a validation video; 1 is the center
    val.NUM_CROP = 1  # (new) crops of each of them along the long side; 1 is the center
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


def _inference() -> Node:
    inference = Node()
    inference.FEAT = False  # the model returns pooled features instead of scores
    inference.EMA = False  # (new) test the average of the weights that a checkpoint holds
    inference.CHECKPOINTS = []  # (new) weights files, patterns of files and epochs of the run to test as one; []: the best checkpoint
    inference.COMBINE = "scores"  # (new) what several CHECKPOINTS give the mean of: scores (of all networks) or weights (of one)
    inference.BN_BATCHES = 0  # (new) training batches that BatchNorm's statistics of averaged weights come from; 0: they are averaged too
    return inference


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
    log.LOG_FILENAME = "log.txt"  # what the console says, below the run's folder
    # (new) where numbers and pictures go beside metrics.jsonl: tensorboard, wandb, mlflow, or a package's entry point (docs/logging.md)
    log.LOGGERS = ["tensorboard"]
    log.CLIP_FREQ = 10  # (new) epochs between pictures of the first training clips as the network sees them, in LOGGERS; 0: never
    return log


def get_cfg_defaults() -> Config:
    """A fresh copy of the whole schema with its defaults, not frozen; `merge_from_file` and `merge_from_list` work on it."""
    cfg = Config()
    cfg.DDP_CONFIG = _ddp()
    cfg.CONFIG = Node()
    cfg.CONFIG.TRAIN = train_defaults()
    cfg.CONFIG.VAL = _val()
    cfg.CONFIG.TEST = _test()
    cfg.CONFIG.INFERENCE = _inference()
    cfg.CONFIG.DATA = data_defaults()
    cfg.CONFIG.MODEL = _model()
    cfg.CONFIG.LOG = _log()
    return cfg
