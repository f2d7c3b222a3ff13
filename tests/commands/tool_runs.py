"""A config for a tiny network on demo data, and running the files of tools/ as a user would."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN_2 = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")

CONFIG = """
CONFIG:
  TRAIN: {EPOCH_NUM: 2, BATCH_SIZE: 4, OPTIMIZER: AdamW, LR: 0.01, SEED: 3}
  VAL: {FREQ: 1, BATCH_SIZE: 4}
  DATA:
    TRAIN_ANNO_PATH: {data}/train.txt
    VAL_ANNO_PATH: {data}/val.txt
    CLASS_NAMES: {data}/classes.txt
    NUM_CLASSES: 8
    CLIP_LEN: 4
    FRAME_RATE: 2
    CROP_SIZE: 32
    SHORT_SIDE_SIZE: 32
    KEEP_ASPECT_RATIO: True
    FLIP_PROB: 0
    TEST_NUM_SEGMENT: 3
    TEST_NUM_CROP: 3
    NUM_WORKERS: 1
  MODEL:
    BACKBONE: {TYPE: I3DResNet, STAGE_BLOCKS: [1, 1], BLOCK: basic, WIDTH: 4, STEM_TEMPORAL_KERNEL: 3,
               STEM_STRIDE: [1, 2, 2], POOL_STRIDE: [], TEMPORAL_KERNELS: [[3], [3]], TEMPORAL_POOLS: [1, 1]}
    HEAD: {TYPE: PoolHead, DROPOUT: 0.5}
    PRETRAINED_BASE: False
  LOG: {BASE_PATH: {runs}, EXP_NAME: run, DISPLAY_FREQ: 2, LEVEL: INFO}
"""


def write_config(path, data, runs):
    """Writes the config for a data folder and a folder of runs, and returns its path."""
    path.write_text(CONFIG.replace("{data}", str(data)).replace("{runs}", str(runs)))
    return path


def run_here(main, *arguments, check=True):
    """Runs the `main` of a command in this process, which has imported torch already, and returns what run_tool does."""
    out, error, status = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(error):
        try:
            status = main([str(word) for word in arguments])
        except SystemExit as ended:
            status = ended.code
    assert not check or status == 0, error.getvalue()
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), error.getvalue())


def run_tool(tool, *arguments, launcher=(sys.executable,), check=True):
    """Runs a file of tools/ as a user would and returns the finished process."""
    command = [*launcher, str(ROOT / "tools" / tool), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert not check or done.returncode == 0, done.stderr
    return done


def make_run(config, *overrides):
    """The folder of a run of a config as training leaves it (config.yaml, checkpoints/best.pth), with random weights."""
    import torch

    from vidrec import build_model, load_config
    from vidrec.commands.runs import base_folder, save_config
    from vidrec.engine.checkpoint_file import write_checkpoint

    cfg = load_config(config, [str(word) for word in overrides])
    folder = base_folder(cfg) / cfg.CONFIG.LOG.EXP_NAME
    (folder / "checkpoints").mkdir(parents=True)
    save_config(cfg, folder)
    torch.manual_seed(7)
    content = {"model": build_model(cfg).state_dict(), "optimizer": {}, "extras": {}, "epoch": 1, "step": 0, "best": 0.5, "seed": 3}
    content |= {"config": cfg.dump(), "world_size": 1, "clips_per_step": 4, "versions": {}}
    write_checkpoint(folder / "checkpoints" / "best.pth", content)
    return folder
