"""A model's folder for the hub: written from a run, read back with the same scores, and what is said where that cannot be."""

import json
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors import safe_open
from small_hub import SmallHub
from tool_runs import make_run, write_config

import vidrec
from vidrec.commands import test as test_command
from vidrec.commands import to_hub
from vidrec.commands.model_card import CardFacts, card_text
from vidrec.utils.errors import UserError

ENSEMBLE = "mean of the scores of /elsewhere/run/checkpoints/epoch_0001.pth, best.pth"  # as a test with INFERENCE.CHECKPOINTS writes it


@pytest.fixture(scope="module")
def made(demo_data, tmp_path_factory):
    """(config file, folder of its run, folder for the hub), the run tested before."""
    place = tmp_path_factory.mktemp("made")
    config = write_config(place / "tiny.yaml", demo_data, place / "runs")
    run = make_run(config)
    assert test_command.main(["--config-file", str(config)]) == 0
    return config, run, vidrec.save_pretrained(run, place / "folder", license="cc-by-4.0", repo="me/motions")


def test_folder_holds_weights_config_names_and_card_and_gives_the_same_scores(made, demo_data):
    _, run, folder = made
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "classes.txt", "config.yaml", "model.safetensors"]
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt", "vidrec": vidrec.__version__}
    here, there = vidrec.load(run), vidrec.load(folder)
    video = str(demo_data / "val/00003_down.mp4")
    assert np.array_equal(here.predict(video).score, there.predict(video).score)
    assert there.class_names == here.class_names and there.class_names[3] == "down"


def test_config_of_the_folder_tells_nothing_of_the_machine(made, tmp_path):
    config, _, folder = made
    text = (folder / "config.yaml").read_text()
    assert str(config.parent) not in text and str(tmp_path.parent) not in text
    cfg = vidrec.load_config(folder / "config.yaml").CONFIG
    assert (cfg.DATA.TRAIN_ANNO_PATH, cfg.DATA.CLASS_NAMES, cfg.LOG.BASE_PATH) == ("train.txt", "", "")


def test_card_has_the_accuracy_with_its_protocol_and_the_metadata_of_the_hub(made):
    _, run, folder = made
    result = json.loads((run / "eval/result.json").read_text())
    card = ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.library_name, card.data.pipeline_tag) == ("cc-by-4.0", "vidrec", "video-classification")
    values = {entry.metric_name: entry.metric_value for entry in card.data.eval_results}
    assert values["top-1, 9 views"] == round(100 * result["accuracy"]["top1"], 2)
    assert f"| top-1 | {result['accuracy']['top1']:.4f}" in card.text
    assert "On `val.txt`, 10 videos, 0 unreadable (counted as wrong); 9 views per video. Protocol: name reference, " in card.text
    assert 'model = vidrec.load("hf://me/motions")' in card.text and "# motions" in card.text
    assert "| classes | 8, such as left, right, up (all of them: `classes.txt`) |" in card.text
    assert "`I3DResNet + PoolHead`" in card.text and "list: `train.txt`, 2 epochs, adamw" in card.text.lower()


def test_accuracy_of_other_weights_is_not_in_the_card(made, tmp_path):
    _, run, _ = made
    other = tmp_path / "other.pth"
    torch.save(vidrec.load(run).model.state_dict(), other)
    card = (vidrec.save_pretrained(run, tmp_path / "a", weights=other) / "README.md").read_text()
    assert "Not measured." in card and "model-index" not in card
    assert "license: unknown" in card and "The license of this model has not been stated" in card
    os.utime(run / "eval/result.json", (1, 1))  # older than the checkpoint: of an earlier one of that name
    assert "Not measured." in (vidrec.save_pretrained(run, tmp_path / "b") / "README.md").read_text()


@pytest.mark.parametrize(("weights", "told"), [("best.pth", True), ("best.pth, average of the weights", False), (ENSEMBLE, False)])
def test_accuracy_of_an_ensemble_or_an_average_is_not_that_of_its_last_checkpoint(made, tmp_path, weights, told):
    folder = shutil.copytree(made[1], tmp_path / "run")
    result = json.loads((folder / "eval/result.json").read_text())
    (folder / "eval/result.json").write_text(json.dumps(result | {"weights": weights.replace("best", "/elsewhere/run/checkpoints/best")}))
    card = (vidrec.save_pretrained(folder, tmp_path / "folder") / "README.md").read_text()
    assert ("Not measured." in card, "model-index" in card) == (not told, told)


def test_command_writes_the_folder_and_replaces_only_a_model(made, tmp_path, capsys):
    _, run, _ = made
    assert to_hub.main([str(run / "checkpoints/best.pth"), str(tmp_path / "new")]) == 0
    assert "model.safetensors  " in capsys.readouterr().out
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.tex").touch()
    (tmp_path / "file").touch()
    for target, force, words in (
        ("new", False, "is not empty; nothing is mixed with other files: add --force to replace it."),
        ("full", True, "is not empty; nothing is mixed with other files: choose another one."),
        ("file", False, "a file; it must be a folder, or not exist."),
    ):
        with pytest.raises(UserError, match=words):
            vidrec.save_pretrained(run, tmp_path / target, force=force)
    assert to_hub.main([str(run), str(tmp_path / "new"), "--force", "--license", "mit"]) == 0
    assert "license: mit" in (tmp_path / "new/README.md").read_text()


def test_full_disk_leaves_the_model_before_and_nothing_else(made, tmp_path):
    _, run, _ = made
    before = {path.name: path.read_bytes() for path in vidrec.save_pretrained(run, tmp_path / "old").iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # writing beyond 1000 bytes fails, as on a full disk
    try:
        for name, force in (("old", True), ("new", False)):
            with pytest.raises(UserError, match=f"{name} cannot be written .*folder with room"):
                vidrec.save_pretrained(run, tmp_path / name, force=force)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()} == before


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("hf://", "'hf://' is no address of the hub; it must be hf://OWNER/NAME"),
        ("hf://a/b/c", "hf://a/b/c cannot be taken from the hub (Repo id must be in the form 'repo_name' or 'namespace/repo_name'"),
        ("hf://nobody/nothing", "hf://nobody/nothing cannot be taken from the hub (Cannot find an appropriate cached snapshot folder"),
        ("hf://some/other", "hf://some/other holds no model.safetensors or no config.yaml"),
    ],
)
def test_what_is_wrong_with_an_address_of_the_hub(offline_hub, address, words):
    (offline_hub / "models--some--other/snapshots/abc/pytorch_model.bin").touch()
    with pytest.raises(UserError) as caught:
        vidrec.load(address)
    assert words in str(caught.value)


@pytest.fixture
def offline_hub(tmp_path, monkeypatch):
    """The cache of a hub that is not to be asked (HF_HUB_OFFLINE=1)."""
    from huggingface_hub import constants

    for name in ("me--motions", "some--other"):
        place = tmp_path / f"models--{name}"
        (place / "refs").mkdir(parents=True)
        (place / "refs/main").write_text("abc")
        (place / "snapshots/abc").mkdir(parents=True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_model_of_the_cache_is_loaded_by_its_address_without_network(made, offline_hub, demo_data):
    _, run, folder = made
    for path in folder.iterdir():
        (offline_hub / "models--me--motions/snapshots/abc" / path.name).write_bytes(path.read_bytes())
    model = vidrec.load("hf://me/motions@main", device="cpu")
    video = str(demo_data / "val/00001_right.mp4")
    assert np.array_equal(model.predict(video).score, vidrec.load(run).predict(video).score)
    assert repr(model).startswith("Predictor(hf://me/motions@main: 8 classes")


def test_license_that_is_no_identifier_is_refused(made, tmp_path):
    with pytest.raises(UserError, match="The license is 'MIT License'; it must be an identifier of the hub"):
        vidrec.save_pretrained(made[1], tmp_path / "folder", license="MIT License")
    assert not (tmp_path / "folder").exists()


def test_name_of_a_model_of_the_hub_without_its_scheme_reaches_no_network_and_is_told():
    with pytest.raises(UserError, match="A model of the Hugging Face hub is written hf://me/motions"):
        vidrec.load("me/motions")
    with pytest.raises(UserError, match=r"`runs`\.$"):
        vidrec.load("motions")


def test_card_of_a_network_of_ones_own_says_what_it_needs(made):
    config, _, _ = made
    facts = CardFacts("n", "own_nets:Net + PoolHead", 3, None, "mit", "Trained.")
    assert "install own_nets, and `export VIDREC_COMPONENTS=own_nets` before." in card_text(vidrec.load_config(config), facts)


def test_hub_out_of_reach_is_said_and_the_folder_stays(made, tmp_path, monkeypatch, capsys):
    from huggingface_hub import constants

    _, run, _ = made
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_none")
    with pytest.raises(SystemExit) as ended:
        to_hub.main([str(run), str(tmp_path / "folder"), "--push", "me/motions"])
    said = capsys.readouterr().err
    assert ended.value.code == 1 and "cannot be sent to me/motions (" in said and "the folder is complete." in said
    assert (tmp_path / "folder/README.md").exists()


def test_folder_whose_config_names_a_class_of_ones_own_imports_nothing(made, tmp_path, monkeypatch):
    _, _, folder = made
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIDREC_COMPONENTS", raising=False)
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "evil.py").write_text("open('canary', 'w')\n")
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("TYPE: I3DResNet", "TYPE: evil:Net"))
    with pytest.raises(UserError, match="'evil:Net' is a class outside vidrec"):
        vidrec.load(tmp_path)
    assert not (tmp_path / "canary").exists()


USE = """
import sys, vidrec
from vidrec.commands import to_hub
run, folder, video = sys.argv[1:]
to_hub.main([run, folder, "--push", "me/motions", "--private"])
model = vidrec.load("hf://me/motions", device="cpu")
print(model.weights, model.predict(video).score.tolist() == vidrec.load(run).predict(video).score.tolist())
"""


@pytest.mark.slow
def test_model_goes_to_a_hub_and_comes_back_through_its_own_client(made, tmp_path, demo_data):
    _, run, _ = made
    with SmallHub() as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_none"}
        command = [sys.executable, "-c", USE, str(run), str(tmp_path / "folder"), str(demo_data / "val/00001_right.mp4")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        assert done.returncode == 0, done.stderr + "\n".join(hub.asked)
        assert set(hub.files["me/motions"]) == {"README.md", "classes.txt", "config.yaml", "model.safetensors"}
    last = done.stdout.splitlines()[-1].split()
    assert last[0].startswith(str(tmp_path / "home")) and last[0].endswith("model.safetensors") and last[1] == "True"
