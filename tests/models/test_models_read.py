"""Weights files that cannot be read: one clear message each, and nothing in them runs."""

import os
import pickle
import re

import pytest
import torch
from safetensors.torch import save_file

from vidrec.models.weights.read import read_state
from vidrec.utils.errors import WeightsError


def test_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(
        WeightsError, match=re.escape(f"there is no weights file '{tmp_path / 'none.pth'}'; it must be a .pth, .pt or .safetensors file.")
    ):
        read_state(tmp_path / "none.pth")
    with pytest.raises(WeightsError, match=re.escape("there is no weights file ''")):
        read_state("")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_truncated_file_is_one_clear_error(suffix, share, tmp_path):
    path, state = tmp_path / f"weights{suffix}", {f"layer{index}.weight": torch.zeros(100) for index in range(20)}
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(WeightsError, match=r"cannot be read \([\d,]+ bytes: .*\); .* It is cut short or no weights file: get it again\."):
        read_state(path)


@pytest.mark.parametrize("content", [b"<html>404</html>", b"0" * 100, b"config\nof a run\n", b"\x80\x05garbage"])
def test_file_that_holds_no_weights_is_one_clear_error_without_advice_of_torch(content, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        read_state(path)
    reason = f"it begins with {content[:8]!r} and holds no state dict"
    assert str(caught.value) == (
        f"{path} cannot be read ({len(content)} bytes: {reason}); it must be a whole .pth, .pt or .safetensors file. "
        "It is cut short or no weights file: get it again."
    )


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", ["zip", "legacy", 0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("by_system", [True, False])
def test_pickle_that_runs_code_is_refused_and_does_not_run(form, by_system, tmp_path):
    path, canary = tmp_path / "evil.pth", tmp_path / "canary"
    evil = {"model": Calls(os.system, f"touch {canary}") if by_system else Calls(open, str(canary), "w")}
    if isinstance(form, int):
        path.write_bytes(pickle.dumps(evil, protocol=form))
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(WeightsError) as caught:
        read_state(path)
    assert str(caught.value) == (
        f"{path} holds objects that would run code when loaded; only tensors and plain values are read. It was not loaded. "
        "If you trust its author, load it elsewhere and save its state dict alone."
    )
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"epoch": 3, "optimizer": {}}, "holds a dict with the keys 'epoch', 'optimizer'; it must hold a state dict"),
        ({}, "holds an empty dict"),
        ({"model": {}}, "holds an empty dict"),
        ([torch.zeros(1)], "holds a list"),
    ],
)
def test_file_with_something_else_says_what(content, words, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError, match=re.escape(words)):
        read_state(path)
