"""Loading: order of the layers, `_BASE_`, types, the zoo's rows, and every mistake at once."""

import pytest

from vidrec import get_cfg_defaults, load_config
from vidrec.config.load import config_difference
from vidrec.config.source import read_layers
from vidrec.utils.errors import ConfigError

NETWORK = "CONFIG:\n  MODEL:\n    BACKBONE: {TYPE: I3DResNet, DEPTH: 50}\n    HEAD: {TYPE: PoolHead}\n"


def write(folder, text, name="run.yaml"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def mistakes_of(path, *overrides):
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return caught.value.mistakes


def test_defaults_yaml_and_command_line_win_in_this_order(tmp_path):
    path = write(tmp_path, NETWORK + "  TRAIN: {LR: 0.5, BATCH_SIZE: 4}\n")
    cfg = load_config(path, ["CONFIG.TRAIN.LR", "0.02"])
    assert (cfg.CONFIG.TRAIN.LR, cfg.CONFIG.TRAIN.BATCH_SIZE, cfg.CONFIG.TRAIN.MOMENTUM) == (0.02, 4, 0.9)


def test_loaded_config_is_frozen(tmp_path):
    cfg = load_config(write(tmp_path, NETWORK))
    with pytest.raises(AttributeError):
        cfg.CONFIG.TRAIN.LR = 1.0


def test_bases_are_relative_to_their_file_and_later_ones_win(tmp_path):
    write(tmp_path, "CONFIG: {TRAIN: {LR: 0.1, STEP: 0.2, BATCH_SIZE: 2}}", "bases/first.yaml")
    write(tmp_path, "_BASE_: first.yaml\nCONFIG: {TRAIN: {STEP: 0.3}}", "bases/second.yaml")
    write(tmp_path, "CONFIG: {TRAIN: {BATCH_SIZE: 3}}", "third.yaml")
    path = write(tmp_path, "_BASE_: [bases/second.yaml, third.yaml]\n" + NETWORK + "  VAL: {FREQ: 1}\n")
    train = load_config(path).CONFIG.TRAIN
    assert (train.LR, train.STEP, train.BATCH_SIZE) == (0.1, 0.3, 3)


def test_base_that_leads_back_is_named(tmp_path):
    write(tmp_path, "_BASE_: run.yaml", "other.yaml")
    (mistake,) = mistakes_of(write(tmp_path, "_BASE_: other.yaml\n" + NETWORK))
    assert "leads back" in mistake and "other.yaml" in mistake


def test_missing_base_names_both_files(tmp_path):
    (mistake,) = mistakes_of(write(tmp_path, "_BASE_: gone.yaml\n" + NETWORK))
    assert "gone.yaml" in mistake and "run.yaml" in mistake and "No such file" in mistake


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("TRAIN: {LR: 1}", "TRAIN.LR", 1.0),
        ("TRAIN: {W_DECAY: 1e-5}", "TRAIN.W_DECAY", 1e-5),
        ("TRAIN: {W_DECAY: '1e-5'}", "TRAIN.W_DECAY", 1e-5),
        ("TRAIN: {LR_MILESTONE: [3, 7]}", "TRAIN.LR_MILESTONE", [3, 7]),
        ("LOG: {EXP_NAME: 0012}", "LOG.EXP_NAME", "0012"),
        ("LOG: {BASE_PATH: }", "LOG.BASE_PATH", ""),
        ("TRAIN:", "TRAIN.LR", 0.01),
    ],
)
def test_values_take_the_type_of_their_key(tmp_path, line, key, value):
    cfg = load_config(write(tmp_path, f"{NETWORK}  {line}\n"))
    node = cfg.CONFIG
    for part in key.split("."):
        node = node[part]
    assert node == value and type(node) is type(value)


@pytest.mark.parametrize(("text", "value"), [("True", True), ("False", False), ("'05203231'", "05203231"), ("05203231", "05203231")])
def test_pretrained_is_a_switch_or_a_hashtag(tmp_path, text, value):
    path = write(tmp_path, f"CONFIG: {{MODEL: {{NAME: slowfast_16x8_resnet50_sthsthv2, PRETRAINED: {text}}}}}")
    assert value == load_config(path).CONFIG.MODEL.PRETRAINED
    assert value == load_config(path, ["CONFIG.MODEL.PRETRAINED", text.strip("'")]).CONFIG.MODEL.PRETRAINED


@pytest.mark.parametrize("switch", [True, False])
def test_pretrained_is_switched_over_a_hashtag_of_an_earlier_layer(tmp_path, switch):
    path = write(tmp_path, "CONFIG: {MODEL: {NAME: i3d_resnet50_v1_kinetics400, PRETRAINED: '18545497'}}")
    assert load_config(path, ["CONFIG.MODEL.PRETRAINED", str(switch)]).CONFIG.MODEL.PRETRAINED is switch


def test_every_mistake_of_file_and_command_line_is_reported_at_once(tmp_path):
    text = NETWORK + "    LR: 3\n  TRAIN: {LR: fast, BATCH_SIZE: 0, OPTIMIZER: Adam}\n  DATA:\n    CLIP_LENGHT: 3\n    MULTIGRID: True\n"
    found = mistakes_of(write(tmp_path, text), "EPOCH_NUM", "3", "CONFIG.TRAIN.RESUME")
    expected = [
        "ends with 'CONFIG.TRAIN.RESUME', which has no value",
        "run.yaml:5: CONFIG.MODEL.LR is not a config key. It belongs at CONFIG.TRAIN.LR.",
        "run.yaml:6: CONFIG.TRAIN.LR is 'fast' (str); it must be a number.",
        "run.yaml:8: CONFIG.DATA.CLIP_LENGHT is not a config key. Did you mean 'CLIP_LEN'",
        "command line: EPOCH_NUM is not a config key. It belongs at CONFIG.TRAIN.EPOCH_NUM.",
        "run.yaml:6: CONFIG.TRAIN.BATCH_SIZE is 0; it must be at least 1 clip.",
        "run.yaml:6: CONFIG.TRAIN.OPTIMIZER is 'Adam'; it must be one of SGD, AdamW, LARS.",
        "run.yaml:9: CONFIG.DATA.MULTIGRID is True; it must be False: it is read by nothing; CONFIG.TRAIN.MULTIGRID is meant.",
    ]
    assert len(found) == len(expected)
    for mistake, words in zip(found, expected, strict=True):
        assert words in mistake


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("TRAIN: {USE_WARMUP: True, WARMUP_EPOCHS: 9, EPOCH_NUM: 9}", "WARMUP_EPOCHS is 9 of 9 epochs"),
        ("TRAIN: {RESUME: auto}", "a new folder at every start"),
        ("LOG: {EXP_NAME: x}\n  TRAIN: {RESUME: auto, RESUME_EPOCH: 2}", "set one of them"),
        ("TRAIN: {LR_MILESTONE: [7, 3]}", "epochs from 1 in rising order"),
        ("TRAIN: {BATCH_SIZE: 2.5}", "it must be a whole number"),
        ("TRAIN: {USE_WARMUP: 1}", "it must be True or False"),
        ("TRAIN: {LR_MILESTONE: 7}", "a list, such as [40, 80]"),
        ("TRAIN: {LR: .nan}", "it must be a number"),
        ("TRAIN: 3", "it must be a section with the keys"),
        ("DATA: {CROP_SIZE: 300}", "the crop must fit"),
        ("DATA: {FLIP_LABEL_MAP: [[1, 2, 3]]}", "a list of pairs of labels or class names"),
        ("DATA: {FLIP_LABEL_MAP: left}", "it must be a list"),
        ("DATA: {AUG: {RESIZED_CROP: {AREA: [0, 1]}}}", "two numbers above 0 to 1 in rising order"),
        ("DATA: {AUG: {ERASING: {ASPECT: [2, 1]}}}", "two numbers above 0 in rising order"),
        ("DATA: {AUG: {CORNER_CROP: {SCALES: [1.5]}}}", "factors above 0 and at most 1"),
        ("DATA: {AUG: {MIX: {PROB: 2}}}", "CONFIG.DATA.AUG.MIX.PROB is 2.0; it must be from 0 to 1"),
        ("DATA: {AUG_DEVICE: gpu}", "one of cpu, device"),
        ("DATA: {CLIPS_PER_VIDEO: 3}", "BATCH_SIZE is 8 clips; the batch must be a multiple of it"),
        ("DATA: {CLIPS_PER_VIDEO: 8, AUG: {MIX: {CUTMIX_ALPHA: 1}}}", "a batch has 1 videos (BATCH_SIZE over CLIPS_PER_VIDEO)"),
        ("TRAIN: {MULTIGRID: {USE_LONG_CYCLE: True, LONG_CYCLE_EPOCH: [20, 10]}}", "epochs from 1 in rising order"),
        ("TRAIN: {EPOCH_NUM: 30, MULTIGRID: {USE_LONG_CYCLE: True}}", "LONG_CYCLE_EPOCH is [10, 20, 30] of 30 epochs"),
        ("TRAIN: {MULTIGRID: {USE_LONG_CYCLE: True}}\n  DATA: {CLIP_LEN: 6}", "it must be a multiple of 4"),
        ("TRAIN: {MULTIGRID: {USE_SHORT_CYCLE: True}}\n  DATA: {CROP_SIZE: 182}", "and from 160 on of 32"),
        ("DATA: {STD: [1, 1, 0]}", "three numbers above 0"),
        ("DATA: {SCALE_RANGE: [1.5, 1.0]}", "two factors"),
        ("DATA: {FLIP_PROB: 2}", "from 0 to 1"),
        ("DATA: {VAL_DATASET: MultiViewDataset}", "must be a section with TYPE"),
        ("VAL: {FREQ: 1, FREQ: 2}", "stands there twice (first in line 5)"),
    ],
)
def test_types_ranges_and_rules_between_keys(tmp_path, line, words):
    (mistake,) = mistakes_of(write(tmp_path, f"{NETWORK}  {line}\n"))
    assert words in mistake and "run.yaml:" in mistake


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("{}", "no network is named: CONFIG.MODEL.BACKBONE.TYPE and CONFIG.MODEL.HEAD.TYPE are missing"),
        ("{BACKBONE: {TYPE: I3DResNet}}", "no network is named: CONFIG.MODEL.HEAD.TYPE is missing"),
        ("{NAME: i3d_resnet50_v1_kinetics400, LOAD: True}", "PRETRAINED_PATH is empty"),
        ("{BACKBONE: {TYPE: I3DResNet}, HEAD: {TYPE: PoolHead}, PRETRAINED: True}", "published weights belong to a zoo name"),
    ],
)
def test_rules_about_the_network(tmp_path, model, words):
    (mistake,) = mistakes_of(write(tmp_path, f"CONFIG:\n  MODEL: {model}\n"))
    assert words in mistake


def test_multigrid_and_pairs_of_labels_are_taken(tmp_path):
    text = f"{NETWORK}  TRAIN: {{MULTIGRID: {{USE_LONG_CYCLE: True}}}}\n  DATA: {{FLIP_LABEL_MAP: [[3, 4], [left, right]]}}\n"
    cfg = load_config(write(tmp_path, text), ["CONFIG.TRAIN.MULTIGRID.USE_SHORT_CYCLE", "True"]).CONFIG
    assert cfg.TRAIN.MULTIGRID.USE_LONG_CYCLE and cfg.TRAIN.MULTIGRID.USE_SHORT_CYCLE
    assert [list(pair) for pair in cfg.DATA.FLIP_LABEL_MAP] == [[3, 4], ["left", "right"]]
    assert list(load_config(write(tmp_path, NETWORK), ["CONFIG.DATA.FLIP_LABEL_MAP", "[[0, 1]]"]).CONFIG.DATA.FLIP_LABEL_MAP[0]) == [0, 1]


def test_unknown_zoo_name_gets_close_names(tmp_path):
    found = mistakes_of(write(tmp_path, "CONFIG: {MODEL: {NAME: i3d_resnet50_v1_kinetic400}}"))
    assert "i3d_resnet50_v1_kinetics400" in found[0] and "run.yaml:1" in found[0]


def test_zoo_name_expands_and_yaml_changes_the_row(tmp_path):
    path = write(tmp_path, "CONFIG: {MODEL: {NAME: i3d_resnet50_v1_sthsthv2, HEAD: {DROPOUT: 0.8}}}")
    cfg = load_config(path).CONFIG
    assert (cfg.MODEL.BACKBONE.TYPE, cfg.MODEL.HEAD.TYPE, cfg.MODEL.HEAD.DROPOUT) == ("I3DResNet", "PoolHead", 0.8)
    assert cfg.DATA.NUM_CLASSES == 174


def test_component_of_another_type_replaces_the_rows(tmp_path):
    path = write(tmp_path, "CONFIG: {MODEL: {NAME: i3d_resnet50_v1_kinetics400, BACKBONE: {TYPE: SlowFast, ALPHA: 8}}}")
    assert dict(load_config(path).CONFIG.MODEL.BACKBONE) == {"TYPE": "SlowFast", "ALPHA": 8}
    overrides = ["CONFIG.MODEL.BACKBONE.TYPE", "ResNet2D", "CONFIG.MODEL.BACKBONE.DEPTH", "18"]
    assert dict(load_config(path, overrides).CONFIG.MODEL.BACKBONE) == {"TYPE": "ResNet2D", "DEPTH": 18}


def test_name_of_a_later_layer_replaces_the_network_of_an_earlier_one(tmp_path):
    write(tmp_path, NETWORK.replace("DEPTH: 50", "DEPTH: 50, WIDTH: 16") + "  DATA: {NUM_CLASSES: 9}\n", "base.yaml")
    path = write(tmp_path, "_BASE_: base.yaml\nCONFIG: {MODEL: {NAME: i3d_resnet50_v1_kinetics400, HEAD: {DROPOUT: 0.1}}}")
    cfg = load_config(path).CONFIG
    assert dict(cfg.MODEL.BACKBONE) == {"TYPE": "I3DResNet", "DEPTH": 50}
    assert dict(cfg.MODEL.HEAD) == {"TYPE": "PoolHead", "DROPOUT": 0.1}
    assert cfg.DATA.NUM_CLASSES == 9
    other = load_config(path, ["CONFIG.MODEL.NAME", "slowfast_4x16_resnet50_kinetics400"]).CONFIG.MODEL
    assert (other.BACKBONE.TYPE, other.HEAD.TYPE, other.HEAD.DROPOUT) == ("SlowFast", "SlowFastHead", 0.5)


def test_rules_between_keys_are_checked_beside_other_mistakes(tmp_path):
    lines = "  TRAIN: {LR: -1, USE_WARMUP: True, WARMUP_EPOCHS: 50, EPOCH_NUM: 1}\n  DATA: {CROP_SIZE: 64, SHORT_SIDE_SIZE: 0}\n"
    found = mistakes_of(write(tmp_path, NETWORK + lines))
    assert [mistake.split(" is ")[0].split(": ")[1] for mistake in found] == [
        "CONFIG.TRAIN.LR",
        "CONFIG.DATA.SHORT_SIDE_SIZE",
        "CONFIG.TRAIN.WARMUP_EPOCHS",
    ]


def test_quotes_on_the_command_line_are_yamls(tmp_path):
    cfg = load_config(write(tmp_path, NETWORK), ["CONFIG.DATA.CLASS_NAMES", "'my classes.txt'", "CONFIG.LOG.EXP_NAME", "007"])
    assert (cfg.CONFIG.DATA.CLASS_NAMES, cfg.CONFIG.LOG.EXP_NAME) == ("my classes.txt", "007")


def test_null_empties_a_component(tmp_path):
    cfg = load_config(write(tmp_path, NETWORK + "    NECK: {TYPE: Any}\n"), ["CONFIG.MODEL.NECK", "null"])
    assert dict(cfg.CONFIG.MODEL.NECK) == {}


REFERENCE_YAML = """
DDP_CONFIG:
  WORLD_SIZE: 1
  WORLD_RANK: 0
  GPU_WORLD_SIZE: 8
  DIST_URL: 'tcp://172.31.72.195:23456'
  WOLRD_URLS: ['172.31.72.195']
  AUTO_RANK_MATCH: True
  DIST_BACKEND: 'nccl'
  GPU: 0
  DISTRIBUTED: True
CONFIG:
  TRAIN:
    EPOCH_NUM: 100
    BATCH_SIZE: 8
    LR: 0.01
    MOMENTUM: 0.9
    W_DECAY: 1e-5
    LR_POLICY: 'Step'
    USE_WARMUP: False
    LR_MILESTONE: [40, 80]
    STEP: 0.1
    RESUME_EPOCH: -1
  DATA:
    TRAIN_ANNO_PATH: '/data/train.txt'
    MULTIGRID: False
    NUM_CLASSES: 400
    CLIP_LEN: 32
  MODEL:
    NAME: 'i3d_resnet50_v1_kinetics400'
    PRETRAINED_BASE: True
    PRETRAINED: False
  LOG:
    BASE_PATH: './logs/i3d'
    LOG_DIR: 'tb_log'
"""


def test_yaml_of_the_reference_zoo_loads_with_its_meaning(tmp_path):
    cfg = load_config(write(tmp_path, REFERENCE_YAML))
    assert cfg.DDP_CONFIG.WORLD_URLS == ["172.31.72.195"]
    assert cfg.CONFIG.TRAIN.W_DECAY == 1e-5
    assert cfg.CONFIG.DATA.CLIP_LEN == 32


def test_saved_config_loads_to_the_same_config(tmp_path):
    cfg = load_config(write(tmp_path, REFERENCE_YAML))
    again = load_config(write(tmp_path, cfg.dump(), "saved.yaml"))
    assert again == cfg


def test_difference_names_default_and_value(tmp_path):
    cfg = load_config(write(tmp_path, NETWORK + "  TRAIN: {LR: 0.5}\n"))
    assert config_difference(cfg) == [
        "CONFIG.TRAIN.LR: 0.5 (default 0.01)",
        "CONFIG.MODEL.BACKBONE.TYPE: 'I3DResNet'",
        "CONFIG.MODEL.BACKBONE.DEPTH: 50",
        "CONFIG.MODEL.HEAD.TYPE: 'PoolHead'",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "no mapping at its top"),
        ("CONFIG: {A: [1", "is not YAML"),
        ("CONFIG: {TRAIN: {LR: !!python/object:os.system x}}", "only plain values"),
    ],
)
def test_file_that_is_no_config(tmp_path, text, words):
    assert words in " ".join(mistakes_of(write(tmp_path, text)))


def test_python_object_in_yaml_is_never_made(tmp_path):
    canary = tmp_path / "canary"
    mistakes_of(write(tmp_path, f"CONFIG: {{TRAIN: {{LR: !!python/object/apply:os.system ['touch {canary}']}}}}"))
    assert not canary.exists()


def test_defaults_merge_like_yacs_with_all_checks(tmp_path):
    cfg = get_cfg_defaults()
    cfg.merge_from_file(str(write(tmp_path, REFERENCE_YAML)))
    cfg.merge_from_list(["CONFIG.TRAIN.LR", 0.3, "CONFIG.DATA.NUM_CLASSES", "5"])
    assert (cfg.CONFIG.TRAIN.LR, cfg.CONFIG.DATA.NUM_CLASSES, cfg.CONFIG.MODEL.BACKBONE.TYPE) == (0.3, 5, "I3DResNet")
    with pytest.raises(ConfigError, match="LRR"):
        cfg.merge_from_list(["CONFIG.TRAIN.LRR", 0.3])


def test_entries_know_their_line(tmp_path):
    path = write(tmp_path, NETWORK + "  TRAIN:\n\n    LR: 0.5\n")
    layers, mistakes = read_layers(path, get_cfg_defaults())
    assert mistakes == []
    assert [(entry.key, entry.where) for entry in layers[0]][-1] == ("CONFIG.TRAIN.LR", f"{path}:7")


def test_config_of_pyslowfast_is_named_in_one_message_that_says_where_its_keys_are_explained(tmp_path):
    path = write(tmp_path, "TRAIN: {BATCH_SIZE: 64}\nSOLVER: {BASE_LR: 0.1}\nNUM_GPUS: 8\n")
    assert mistakes_of(path) == [
        f"{path} is a config of PySlowFast; one of vidrec has its keys below CONFIG: and DDP_CONFIG:. Keys of the same name mean other "
        "things: write a config with the table of docs/migration.md, From PySlowFast."
    ]


def test_one_key_of_pyslowfast_beside_those_of_vidrec_is_an_unknown_key(tmp_path):
    path = write(tmp_path, NETWORK + "NUM_GPUS: 8\nRNG_SEED: 1\n")
    assert [mistake.split(" is not")[0] for mistake in mistakes_of(path)] == [f"{path}:5: NUM_GPUS", f"{path}:6: RNG_SEED"]
