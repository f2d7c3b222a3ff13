"""Weights files that cannot be read: one clear message each, and nothing in them runs."""

import os
import pickle
import re
import resource
import struct
import zipfile

import pytest
import torch
from params_samples import CONTENT, FILES
from safetensors.torch import save_file

from vidrec.models.weights.archive import ParamsMember
from vidrec.models.weights.params import read_params_stream, write_params
from vidrec.models.weights.read import read_state
from vidrec.utils.errors import WeightsError


def test_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(
        WeightsError,
        match=re.escape(f"there is no weights file '{tmp_path / 'none.pth'}'; it must be a .pth, .pt, .safetensors, .params or .zip file."),
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
        f"{path} cannot be read ({len(content)} bytes: {reason}); it must be a whole .pth, .pt, .safetensors, .params or .zip file. "
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
        ({"weights": {}}, "bare or under the key 'model' or 'state_dict'"),
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


def put_zip(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_params_file_is_read_plain_and_from_its_zip(compression, tmp_path):
    plain = tmp_path / "tiny.params"
    plain.write_bytes(FILES["tiny.params"])
    packed = put_zip(tmp_path / "tiny.zip", {"README": "x", "a/../../tiny.params": FILES["tiny.params"]}, compression)
    for path in (plain, packed):
        state = read_state(path)
        assert list(state) == list(CONTENT["tiny.params"])
        assert state["1.gamma"].tolist() == torch.tensor([0.918836892, 1.48629236, 1.30880272, 0.74594605]).tolist()
    assert sorted(tmp_path.iterdir()) == [plain, packed]


def test_params_file_without_arrays_holds_no_state_dict(tmp_path):
    write_params(tmp_path / "none.params", {})
    with pytest.raises(WeightsError, match="holds an empty dict; it must hold a state dict"):
        read_state(tmp_path / "none.params")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "holds 0 .params files (nothing); a zip of weights holds exactly one. Give that file itself."),
        ({"a.pth": b"x", "b": b"y"}, "holds 0 .params files ('a.pth', 'b'); a zip of weights holds exactly one. Give that file itself."),
        (
            dict.fromkeys(("a.params", "b.params"), b""),
            "holds 2 .params files ('a.params', 'b.params'); a zip of weights holds exactly one.",
        ),
        (
            {"a.params": b"<html>"},
            "cannot be read as a .params file: at byte 0 of 6, in the header, the first number takes 8 bytes; 6 are left",
        ),
    ],
)
def test_zip_without_exactly_one_params_file_says_what_is_in_it(members, words, tmp_path):
    path = put_zip(tmp_path / "weights.zip", members)
    with pytest.raises(WeightsError) as caught:
        read_state(path)
    assert str(caught.value).startswith(f"{path} {words}")


DAMAGED_ZIP = "it must be a whole zip, stored or deflated, of one .params file. It is cut short or no weights file: get it again."


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_zip_is_one_clear_error(share, tmp_path):
    path = put_zip(tmp_path / "weights.zip", {"tiny.params": FILES["tiny.params"]})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(WeightsError) as caught:
        read_state(path)
    assert str(caught.value) == f"{path} cannot be read as a zip (File is not a zip file); {DAMAGED_ZIP}"


def test_zip_whose_content_was_damaged_is_one_clear_error(tmp_path):
    path = put_zip(tmp_path / "weights.zip", {"tiny.params": FILES["tiny.params"]}, zipfile.ZIP_STORED)
    whole = path.read_bytes()
    for at, reason in ((whole.index(b"0.weight"), "Bad CRC-32 for file 'tiny.params'"), (0, "Bad magic number for file header")):
        content = bytearray(whole)
        content[at] ^= 1
        path.write_bytes(content)
        with pytest.raises(WeightsError) as caught:
            read_state(path)
        assert str(caught.value) == f"{path} cannot be read as a zip ({reason}); {DAMAGED_ZIP}"


def test_zip_of_another_compression_or_with_a_password_is_one_clear_error(tmp_path):
    path = put_zip(tmp_path / "weights.zip", {"tiny.params": FILES["tiny.params"]}, zipfile.ZIP_BZIP2)
    with pytest.raises(WeightsError, match=r"cannot be read as a zip \(its compression is method 12\); "):
        read_state(path)
    put_zip(path, {"tiny.params": FILES["tiny.params"]})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"cannot be read as a zip \(it needs a password\); "):
        read_state(path)


def test_zip_that_inflates_beyond_the_limit_is_refused_before_it_does(tmp_path):
    path = put_zip(tmp_path / "bomb.zip", {"bomb.params": bytes(1000)})
    with (
        pytest.raises(WeightsError, match=r"holds a \.params file of 1,000 bytes; at most 999 are read\. Give a file of weights\."),
        ParamsMember(path, limit=999),
    ):
        pass
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    assert struct.unpack_from("<I", content, at) == (1000,)
    struct.pack_into("<I", content, at, 0xF0000000)
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"holds a \.params file of 4,026,531,840 bytes; at most 2,147,483,648 are read"):
        read_state(path)


@pytest.mark.parametrize("declared", [10, 1 << 30])
def test_zip_that_lies_about_its_size_gives_no_more_than_it_says_or_has(declared, tmp_path):
    array = struct.pack("<IiiqiiI", 0xF993FAC9, 0, 1, (1 << 30) // 8, 1, 0, 1)
    bomb = struct.pack("<QQQ", 0x112, 0, 1) + array + bytes(50_000_000)
    path = put_zip(tmp_path / "bomb.zip", {"bomb.params": bomb})
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, declared)
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError, match="cannot be read as a"):
        read_state(path)
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 200_000_000


def test_member_gives_at_most_what_the_zip_declares(tmp_path):
    path = put_zip(tmp_path / "tiny.zip", {"tiny.params": FILES["tiny.params"]})
    with ParamsMember(path) as member:
        assert member.size == 550
        assert list(read_params_stream(member, size=member.size, source="tiny")) == list(CONTENT["tiny.params"])
        assert member.read(1) == b""
