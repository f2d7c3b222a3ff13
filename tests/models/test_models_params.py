"""MXNet's `.params` files: what MXNet wrote is read to the bit, and what we write too."""

import io
import re
import struct

import numpy as np
import pytest
import torch
from params_samples import CONTENT, FILES, TINY_INPUT, TINY_OUTPUT, V1, V2, V3, array, file_of, floats, sparse
from torch.nn import functional

from vidrec.models.weights.params import read_params, write_params
from vidrec.utils.errors import WeightsError

TYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool", "int16", "uint16", "uint32", "uint64", "bfloat16")


def bits_of(tensor: torch.Tensor) -> bytes:
    tensor = tensor.contiguous()
    return (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy().tobytes()


def assert_content(found: dict[str, torch.Tensor], wanted: dict) -> None:
    assert list(found) == list(wanted)
    for name, (dtype, values) in wanted.items():
        assert found[name].dtype == getattr(torch, dtype)
        assert found[name].tolist() == np.array(values, dtype).tolist()


@pytest.mark.parametrize("name", FILES)
def test_file_that_mxnet_wrote_is_read_as_measured(name):
    assert_content(read_params(FILES[name]), CONTENT[name])


@pytest.mark.parametrize("name", FILES)
def test_samples_are_those_of_the_measured_folder(name, shared, tmp_path):
    path = shared / "golden" / "params" / name
    assert path.read_bytes() == FILES[name]
    assert_content(read_params(path), CONTENT[name])


def test_shapes_of_scalars_and_empty_arrays_are_kept():
    read = read_params(FILES["npshape.params"])
    assert [tuple(tensor.shape) for tensor in read.values()] == [(), (1, 2), (0, 3)]


def test_network_of_a_sample_gives_the_measured_outputs():
    p = read_params(FILES["tiny.params"])
    hidden = functional.linear(torch.tensor(TINY_INPUT), p["0.weight"], p["0.bias"])
    hidden = functional.batch_norm(hidden, p["1.running_mean"], p["1.running_var"], p["1.gamma"], p["1.beta"], eps=1e-5)
    torch.testing.assert_close(functional.linear(hidden, p["2.weight"]), torch.tensor(TINY_OUTPUT), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("flag", "content", "values"),
    [
        (0, floats(1.5, -0.0), [1.5, 0.0]),
        (1, struct.pack("<2d", 1e300, 2.0), [1e300, 2.0]),
        (2, b"\x00\x38\xff\x7b", [0.5, 65504.0]),
        (3, b"\xff\x01", [255, 1]),
        (4, struct.pack("<2i", -1, 2**31 - 1), [-1, 2**31 - 1]),
        (5, b"\x80\x7f", [-128, 127]),
        (6, struct.pack("<2q", -5, 2**40), [-5, 2**40]),
        (7, b"\x00\x02", [False, True]),
        (8, struct.pack("<2h", -2, 300), [-2, 300]),
        (9, struct.pack("<2H", 65535, 300), [65535, 300]),
        (10, struct.pack("<2I", 2**32 - 1, 1), [2**32 - 1, 1]),
        (11, struct.pack("<2Q", 2**64 - 1, 1), [2**64 - 1, 1]),
        (12, b"\x80\x3f\x20\xc0", [1.0, -2.5]),
    ],
)
def test_every_type_flag_is_read(flag, content, values):
    read = read_params(file_of(array(2, data=content, flag=flag), names=(b"x",)))["x"]
    assert read.dtype == getattr(torch, TYPES[flag])
    assert read.tolist() == values


def test_none_arrays_are_empty_and_what_follows_is_read():
    none_v2 = struct.pack("<Iii", V2, 0, 0)
    none_v3 = struct.pack("<Iii", V3, 0, -1)
    none_v1, none_v0 = struct.pack("<Ii", V1, 0), struct.pack("<I", 0)
    read = read_params(file_of(none_v2, none_v3, none_v1, none_v0, array(1, data=floats(7))))
    assert [tensor.tolist() for tensor in read.values()] == [[], [], [], [], [7.0]]
    assert list(read) == ["0", "1", "2", "3", "4"]


def test_prefixes_of_exported_networks_are_taken_off():
    arrays = [array(1, data=floats(index)) for index in range(3)]
    read = read_params(file_of(*arrays, names=(b"arg:conv0_weight", b"aux:bn0_running_mean", b"args")))
    assert list(read) == ["conv0_weight", "bn0_running_mean", "args"]


@pytest.mark.parametrize("index_flag", [4, 6])
def test_sparse_arrays_with_either_index_type_are_dense(index_flag):
    rows = sparse(1, 3, 2, stored=(1, 2), indices=[[2]], data=floats(1, 2), index_flag=index_flag)
    cells = sparse(2, 2, 3, stored=(2,), indices=[[0, 0, 2], [0, 2]], data=floats(3, 4), index_flag=index_flag)
    empty = sparse(2, 2, 3, stored=(0,), indices=[[], []], data=b"", index_flag=index_flag)
    read = read_params(file_of(rows, cells, empty))
    assert read["0"].tolist() == [[0, 0], [0, 0], [1, 2]]
    assert read["1"].tolist() == [[0, 0, 0], [3, 0, 4]]
    assert read["2"].tolist() == [[0, 0, 0], [0, 0, 0]]


def test_tensors_are_written_and_read_back_bit_for_bit(tmp_path):
    generator = torch.Generator().manual_seed(1)
    bits = torch.randint(0, 256, (4, 6, 8), dtype=torch.uint8, generator=generator)
    state = {name: bits.view(getattr(torch, name)) for name in TYPES if name != "bool"}
    state |= {"bool": bits > 9, "scalar": torch.tensor(3), "empty": torch.zeros(0, 3), "turned": torch.arange(6.0).view(2, 3).T}
    write_params(tmp_path / "a.params", state)
    read = read_params(tmp_path / "a.params")
    assert list(read) == list(state)
    for name, tensor in state.items():
        assert (read[name].dtype, read[name].shape) == (tensor.dtype, tensor.shape)
        assert bits_of(read[name]) == bits_of(tensor)
    write_params(tmp_path / "b.params", read)
    assert (tmp_path / "b.params").read_bytes() == (tmp_path / "a.params").read_bytes()


@pytest.mark.parametrize("name", ["tiny.params", "dtypes.params"])
def test_what_is_written_equals_what_mxnet_wrote(name):
    file = io.BytesIO()
    write_params(file, read_params(FILES[name]))
    assert file.getvalue() == FILES[name]


def test_only_a_scalar_and_an_empty_array_are_written_in_version_3():
    file = io.BytesIO()
    write_params(file, read_params(FILES["npshape.params"]))
    assert file.getvalue().count(struct.pack("<I", V3)) == 2 and file.getvalue().count(struct.pack("<I", V2)) == 1
    assert_content(read_params(file.getvalue()), CONTENT["npshape.params"])


def test_tensor_of_a_type_that_mxnet_lacks_is_refused_before_anything_is_written(tmp_path):
    message = "c is a torch.strided tensor of torch.complex64; a .params file holds dense ones of float32, float64, float16, uint8, int32"
    with pytest.raises(WeightsError, match=re.escape(message)):
        write_params(tmp_path / "c.params", {"a": torch.zeros(1), "c": torch.zeros(1, dtype=torch.complex64)})
    assert not list(tmp_path.iterdir())
