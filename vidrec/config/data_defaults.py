"""The keys of CONFIG.DATA with their defaults; see `defaults`, which puts the schema together."""

from yacs.config import CfgNode as Node


def data_defaults() -> Node:
    """A fresh section."""
    data = Node()
    _lists(data)
    data.NUM_CLASSES = 400  # classes; labels are numbers from 0 to one below
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
    data.NEW_WIDTH = 340  # pixels; see NEW_HEIGHT
    data.KEEP_ASPECT_RATIO = False  # False: frames are brought to NEW_HEIGHT x NEW_WIDTH before anything else; True: they keep their shape
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


def _augment() -> Node:
    """Probabilities and alphas of 0 are off. What each does, and its paper, is in docs/augmentation.md."""
    aug = Node()
    aug.CROP = "short_side"  # short_side (SHORT_SIDE_SIZE and SCALE_RANGE), resized (RESIZED_CROP) or corners (CORNER_CROP)
    # AREA: share of the frame; ASPECT: width over height
    aug.RESIZED_CROP = Node({"AREA": [0.08, 1.0], "ASPECT": [0.75, 1.3333333333333333]})
    # SCALES: sides of the box, as shares of the short side; MAX_DISTORT: places of SCALES that width and height may lie apart
    aug.CORNER_CROP = Node({"SCALES": [1.0, 0.875, 0.75, 0.66], "MAX_DISTORT": 1})
    # PROB: probability that a clip is jittered; BRIGHTNESS: span v of the factor, from 1 - v to 1 + v; CONTRAST: the same; SATURATION: the
    # same; HUE: largest turn of the color circle, in turns, to either side
    aug.COLOR_JITTER = Node({"PROB": 0.0, "BRIGHTNESS": 0.4, "CONTRAST": 0.4, "SATURATION": 0.4, "HUE": 0.1})
    # PROB: probability that a clip is changed; NUM_OPS: operations one after the other; MAGNITUDE: their strength, of 30
    aug.RAND_AUGMENT = Node({"PROB": 0.0, "NUM_OPS": 2, "MAGNITUDE": 9.0})
    # PROB: probability that a clip is changed; SEVERITY: highest strength of an operation, of 10; WIDTH: chains that are mixed; DEPTH:
    # operations of a chain, 0 draws 1 to 3; ALPHA: of the Dirichlet and Beta distributions of the shares
    aug.AUGMIX = Node({"PROB": 0.0, "SEVERITY": 3.0, "WIDTH": 3, "DEPTH": 0, "ALPHA": 1.0})
    # PROB: probability that a box is erased from a clip; AREA: its share of the frame; ASPECT: its width over height; FILL: noise or mean
    aug.ERASING = Node({"PROB": 0.0, "AREA": [0.02, 0.33], "ASPECT": [0.3, 3.3], "FILL": "noise"})
    # MIXUP_ALPHA: of mixup's Beta distribution, 0 is off; CUTMIX_ALPHA: of cutmix's, 0 is off; PROB: probability that a pair of clips is
    # mixed; CUTMIX_PROB: probability of cutmix where both alphas are above 0
    aug.MIX = Node({"MIXUP_ALPHA": 0.0, "CUTMIX_ALPHA": 0.0, "PROB": 1.0, "CUTMIX_PROB": 0.5})
    return aug


def _lists(data: Node) -> None:
    data.TRAIN_ANNO_PATH = ""  # list (text, csv, tsv, json), folder of class folders, or shard index by path or URL
    data.VAL_ANNO_PATH = ""  # the same, for validation and test
    data.TRAIN_DATA_PATH = ""  # folder put before each relative path; '': the annotation file's folder
    data.VAL_DATA_PATH = ""  # the same, for validation and test
    data.CONFINE = False  # (new) True: refuse lists with absolute paths, or with `..` or links that leave the data folder
    data.MANIFEST = ""  # (new) manifest.csv of tools/check_dataset.py; training leaves out the videos it calls bad; '': none


def _decoding(data: Node) -> None:
    data.DECODER = "auto"  # (new) auto (exact for every file; a folder is read as frames), decord, frames, opencv, pyav or torchcodec
    data.FRAME_TEMPLATE = "img_%05d.jpg"  # (new) name of a frame in a folder of frames
    data.FRAME_OFFSET = 1  # (new) number of the first frame in it
    data.MAX_PIXELS = 67108864  # (new) pixels in one frame; a video with more counts as one that cannot be read. 8192 x 8192, above 8k
    data.MAX_FRAMES = 1000000  # (new) frames in one video; one with more counts as one that cannot be read
    data.MAX_CLIP_FRAMES = 8192  # (new) frames kept of one video for a sample or a test; where its views need more it cannot be read
    data.MAX_CLIP_GB = 8.0  # (new) the same in gigabytes of resized frames; the 320 frames of 10 clips of 32 are 0.1 GB at 340x256
    data.MAX_SECONDS = 300.0  # (new) seconds by the clock that decoding one video may take; after that it cannot be read. 0: no limit
    data.MAX_BAD_SHARE = 0.01  # (new) training stops when more than this share of the list's videos cannot be read
    data.READ_TIMEOUT = 600.0  # (new) seconds that a loader process may take for one video; then the run ends with its name; 0: no limit
    data.NUM_WORKERS = 0  # loader processes per process; 0: as many as there are cores to share
