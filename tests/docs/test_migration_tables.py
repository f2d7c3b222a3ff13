"""docs/migration.md: every row of its tables loads, has the values that it writes, and what it says follows from them."""

import re
from pathlib import Path

import pytest
import yaml

from vidrec.commands.runs import component_mistakes
from vidrec.config.load import flat_items, read_config_text
from vidrec.config.protocols import resolve_protocol
from vidrec.config.zoo import find_row
from vidrec.engine.optim import build_schedule
from vidrec.engine.schedule import BatchScale
from vidrec.model_zoo.weights import published

ROOT = Path(__file__).resolve().parents[2]
BASE = "CONFIG: {MODEL: {NAME: i3d_resnet50_v1_kinetics400}, TRAIN: {EPOCH_NUM: 196}}"
COMMAND = re.compile(r"vidrec [a-z]+( --[a-z0-9-]+)?")


def rows(table):
    """(what is written there, [(key, value)], [(statement, value)]) of each row of a table of the page."""
    text = (ROOT / "docs/migration.md").read_text().split(f"<!-- table: {table} -->")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    found = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 4, line
        there, keys, _, so = cells
        pairs = [tuple(span.split(" ", 1)) for span in re.findall(r"`([^`]+)`", keys)]
        assert pairs or keys == "none", line
        found.append((there.strip("`"), pairs, [tuple(span.split(" = ")) for span in re.findall(r"`([^`]+)`", so)]))
    return found


ROWS = [*rows("mxnet"), *rows("pyslowfast")]


def full(key):
    return key if key.startswith("DDP_CONFIG.") else f"CONFIG.{key}"


def config(pairs):
    words = [word for key, value in pairs for word in (full(key), value)]
    cfg, mistakes = read_config_text(BASE, words, source="the page")
    assert mistakes + component_mistakes(cfg) == []
    return cfg


def follows(cfg, statement):
    """What a statement of the last column stands for in a config."""
    data, train, test = cfg.CONFIG.DATA, cfg.CONFIG.TRAIN, resolve_protocol(cfg.CONFIG)
    model, number = cfg.CONFIG.MODEL, [int(word) for word in re.findall(r"\d+", statement)]
    row = find_row(model.NAME, zoo=model.ZOO, hashtag=model.PRETRAINED)
    return {
        "views": lambda: test.num_views,
        "test crop": lambda: test.crop_size,
        "crops": lambda: test.crops,
        "average": lambda: test.average,
        "clip starts": lambda: test.clip_starts,
        "classes": lambda: data.NUM_CLASSES,
        "section": lambda: row.section,
        "published file": lambda: published(row.name, row.section)[0].hashtag,
        "frames of a sample": lambda: data.NUM_SEGMENT * data.CLIP_LEN,
        "span of a clip": lambda: (data.CLIP_LEN - 1) * data.FRAME_RATE + 1,
        "slow frames": lambda: data.CLIP_LEN // model.BACKBONE.ALPHA,
        "crop ratio": lambda: data.CROP_SIZE / data.SHORT_SIDE_SIZE,
        "short sides in training": lambda: " to ".join(f"{data.SHORT_SIDE_SIZE * factor:g}" for factor in data.SCALE_RANGE),
        "clips per step on N processes": lambda: BatchScale(train.BATCH_SIZE, train.ACCUMULATE, number[0]).clips,
        "lr factor on N processes": lambda: BatchScale(train.BATCH_SIZE, train.ACCUMULATE, number[0], train.LR_SCALE_BATCH).factor,
        "lr of epoch N": lambda: build_schedule(cfg).lr(number[0]),
    }[re.sub(r"\d+", "N", statement)]()


@pytest.mark.parametrize(("there", "pairs", "so"), ROWS, ids=[row[0] for row in ROWS])
def test_row_loads_with_its_values_and_what_it_says_follows(there, pairs, so):
    cfg = config(pairs)
    values = dict(flat_items(cfg))
    for key, written in pairs:
        assert values[full(key)] == type(values[full(key)])(yaml.safe_load(written)), key
    for statement, value in so:
        found = follows(cfg, statement)
        assert f"{found:.10g}" == f"{float(value):.10g}" if isinstance(found, (int, float)) else found == value, statement


def test_mxnet_table_has_every_flag_that_people_type():
    typed = """--dataset --data-dir --train-list --val-list --model --num-segments --new-length --new-step --new-height --new-width
        --input-size --crop-ratio --num-classes --batch-size --num-gpus --num-workers --num-epochs --lr --momentum --wd
        --lr-decay --lr-decay-epoch --lr-decay-period --lr-mode --warmup-lr --warmup-epochs --clip-grad --mixup
        --mixup-alpha --label-smoothing --use-tsn --use-pretrained --hashtag --resume-params --resume-epoch --partial-bn
        --freeze-bn --accumulate --slowfast --slow-temporal-stride --fast-temporal-stride --num-crop --three-crop
        --ten-crop --video-loader --use-decord --data-aug --dtype --save-dir --save-frequency --log-interval
        --prefetch-ratio --kvstore --data-list --gpu-id --use-softmax --scale-ratios --eval"""
    assert set(typed.split()) <= {there.split()[0] for there, _, _ in rows("mxnet")}


def test_example_of_a_flag_is_the_value_of_its_key_or_the_statement_explains_it():
    same = {there: [value for _, value in pairs] for there, pairs, _ in rows("mxnet") if " " in there and pairs}
    told = {"--lr-decay-epoch 40,80,100", "--lr-decay-period 30", "--scale-ratios 1.0,0.8", "--data-aug v1", "--data-aug v2"}
    told |= {"--crop-ratio 0.875", "--lr-mode step", "--lr-mode cosine", "--lr-mode poly", "--dtype float16", "--resume-states s.states"}
    told |= {"--slow-temporal-stride 16", "--hashtag 568a722e"}
    other = {there for there, values in same.items() if there.split(" ", 1)[1] not in values}
    assert other == told


def test_commands_of_the_page_exist_with_their_flags(capsys):
    from vidrec.__main__ import main

    named = {match[0] for match in COMMAND.finditer((ROOT / "docs/migration.md").read_text())}
    assert {"vidrec train --config-file", "vidrec test", "vidrec fps", "vidrec predict --run", "vidrec export --int8"} <= named
    for command in sorted(named):
        _, name, *flag = command.split()
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0 and all(word in capsys.readouterr().out for word in flag), command


def test_paths_of_other_tools_that_the_page_names_exist():
    for tool in re.findall(r"tools/\w+\.py", (ROOT / "docs/migration.md").read_text()):
        assert (ROOT / tool).is_file(), tool
