"""`.params` files that are damaged or lie: one clear error with the byte, little memory, and nothing else."""

import io
import math
import random
import resource
import struct
import time

import pytest
import torch
from params_samples import FILES, V2, array, file_of, floats, sparse

from vidrec.models.weights import params
from vidrec.models.weights.params import read_params, read_params_stream
from vidrec.utils.errors import WeightsError

GOOD = array(1, data=floats(1))
HUGE = 2**62
HOSTILE = {
    "of nothing": (b"", "at byte 0 of 0, in the header, the first number takes 8 bytes; 0 are left"),
    "of another kind": (b"PK\x03\x04" + bytes(20), "at byte 0 of 24, in the header, the first number is 0x4034b50; it must be 0x112"),
    "with too many arrays": (
        struct.pack("<QQQ", 0x112, 0, HUGE),
        f"at byte 16 of 24, in the header, {HUGE:,} arrays are promised; 100,000, and one for each 4 bytes that follow, are allowed",
    ),
    "with a huge array": (
        file_of(array(HUGE, HUGE, data=b"")),
        f"in array 1 of 1, an array of shape [{HUGE}, {HUGE}] takes {4 * HUGE * HUGE:,} bytes; 8 are left",
    ),
    "with a negative axis": (file_of(array(-1, data=floats(1))), "a shape is [-1]; each axis must be at least 0"),
    "with an empty array that is huge": (file_of(array(0, HUGE, data=b"")), f"a shape is [0, {HUGE}]; each axis must be at least 0"),
    "with too many axes": (file_of(struct.pack("<Iii", V2, 0, 2**31 - 1)), "a shape has 2,147,483,647 axes; 0 to 32 are allowed"),
    "with fewer than no axes": (file_of(struct.pack("<Iii", V2, 0, -1) + bytes(9)), "a shape has -1 axes; 0 to 32 are allowed"),
    "of an unknown version": (
        file_of(struct.pack("<I", 0xF993FACB) + bytes(30)),
        "the version is 0xf993facb; it must be 0xf993fac8, 0xf993fac9, 0xf993faca, or at most 32 axes",
    ),
    "with an unknown storage": (
        file_of(struct.pack("<Ii", V2, 3) + bytes(30)),
        "the storage type is 3; it must be 0 (dense), 1 (row_sparse) or 2 (csr)",
    ),
    "with an unknown type": (file_of(array(1, data=floats(1), flag=13)), "the type flag is 13; it must be one of 0 (float32), 1 (float64)"),
    "with an index array of floats": (
        file_of(sparse(1, 3, 2, stored=(1, 2), indices=[[2]], data=floats(1, 2), index_flag=0)),
        "the type flag is 0; it must be one of 4 (int32), 6 (int64)",
    ),
    "with a long name": (
        file_of(GOOD)[:-8] + struct.pack("<QQ", 1, HUGE) + b"x",
        f"at byte 76 of 77, in the names, a name takes {HUGE:,} bytes; 1 are left",
    ),
    "with a name that is no text": (file_of(GOOD, names=(b"\xff\xfe",)), "a name is b'\\xff\\xfe'; it must be UTF-8"),
    "with a name twice": (file_of(GOOD, GOOD, names=(b"arg:x", b"x")), "the name 'x' comes twice; each array must have its own"),
    "with too few names": (file_of(GOOD, GOOD, names=(b"x",)), "1 names follow 2 arrays; there must be 2, or none"),
    "with more at the end": (file_of(GOOD, names=(b"x",)) + b"more", "4 more bytes follow; nothing may come after the last name"),
    "with a huge sparse array": (
        file_of(sparse(1, 2**40, 2, stored=(1, 2), indices=[[2]], data=floats(1, 2))),
        f"a sparse array of shape [{2**40}, 2] takes {2**43:,} bytes; the sparse arrays of a file may take 268,435,456 together",
    ),
    "with rows out of range": (
        file_of(sparse(1, 3, 2, stored=(1, 2), indices=[[3]], data=floats(1, 2))),
        "the indices do not fit the shape [3, 2]; they must rise, each once, within the shape",
    ),
    "with a negative row": (file_of(sparse(1, 3, 2, stored=(1, 2), indices=[[-1]], data=floats(1, 2))), "the indices do not fit"),
    "with a row twice": (file_of(sparse(1, 3, 1, stored=(2, 1), indices=[[1, 1]], data=floats(1, 2))), "the indices do not fit"),
    "with rows of another width": (
        file_of(sparse(1, 3, 2, stored=(1, 1), indices=[[0]], data=floats(1))),
        "a sparse array of shape [3, 2] stores (1, 1) with index arrays of [(1,)]; the three must fit each other",
    ),
    "with starts that fall": (
        file_of(sparse(2, 2, 3, stored=(2,), indices=[[0, 3, 2], [0, 2]], data=floats(3, 4))),
        "the indices do not fit the shape [2, 3]",
    ),
    "with starts that end early": (
        file_of(sparse(2, 2, 3, stored=(2,), indices=[[0, 1, 1], [0, 2]], data=floats(3, 4))),
        "the indices do not fit",
    ),
    "with a column out of range": (
        file_of(sparse(2, 2, 3, stored=(2,), indices=[[0, 1, 2], [0, 3]], data=floats(3, 4))),
        "the indices do not fit",
    ),
    "with a cell twice": (file_of(sparse(2, 2, 3, stored=(2,), indices=[[0, 2, 2], [1, 1]], data=floats(3, 4))), "the indices do not fit"),
    "with starts for other rows": (
        file_of(sparse(2, 2, 3, stored=(2,), indices=[[0, 2], [0, 2]], data=floats(3, 4))),
        "stores (2,) with index arrays of [(2,), (2,)]; the three must fit each other",
    ),
    "with a csr array of three axes": (
        file_of(sparse(2, 2, 3, 1, stored=(2,), indices=[[0, 1, 2], [0, 2]], data=floats(3, 4))),
        "the three must fit each other",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_file_is_one_error_with_byte_and_reason(kind):
    content, words = HOSTILE[kind]
    with pytest.raises(WeightsError) as caught:
        read_params(content)
    message = str(caught.value)
    assert message.startswith(f"a buffer of {len(content)} bytes cannot be read as a .params file: at byte ")
    assert words in message
    assert message.endswith(". It is damaged, cut short or no weights file: get it again.")


def test_sparse_arrays_together_keep_to_the_limit(monkeypatch):
    monkeypatch.setattr(params, "SPARSE_LIMIT", 40)
    rows = sparse(1, 3, 2, stored=(1, 2), indices=[[2]], data=floats(1, 2))
    assert len(read_params(file_of(rows))) == 1
    with pytest.raises(WeightsError, match=r"in array 2 of 2, a sparse array of shape \[3, 2\] takes 24 bytes; .* may take 40 together"):
        read_params(file_of(rows, rows))


def test_stream_that_ends_before_its_size_is_one_error():
    content = file_of(array(100, data=bytes(400)))
    with pytest.raises(WeightsError, match=r"x\.params cannot be read .* an array of shape \[100\] ends; it must have 400 bytes"):
        read_params_stream(io.BytesIO(content[:200]), size=len(content), source="x.params")


def test_missing_file_and_folder_are_one_error(tmp_path):
    for path, reason in ((tmp_path / "none.params", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(WeightsError) as caught:
            read_params(path)
        assert str(caught.value) == f"{path} cannot be opened ({reason}); it must be a .params file. Check the path."


def damage(content: bytes, rng: random.Random) -> bytes:
    """A file cut short, with a few other bytes or one other number in it."""
    damaged = bytearray(content)
    if rng.random() < 0.3:
        del damaged[rng.randrange(len(damaged)) :]
    for _ in range(rng.randrange(1, 4) if damaged else 0):
        at = rng.randrange(len(damaged))
        if rng.random() < 0.7:
            damaged[at] = rng.choice((0, 1, 2, 3, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        else:
            damaged[at : at + 8] = struct.pack("<q", rng.choice((-1, 0, 1, 2**31, 2**40, 2**63 - 1, -(2**63))))
    return bytes(damaged)


def test_thousands_of_damaged_files_are_read_or_refused_and_nothing_else():
    rng, files = random.Random(3), list(FILES.values())
    outcomes = {"read": 0, "refused": 0}
    started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(6000):
        try:
            assert all(isinstance(value, torch.Tensor) for value in read_params(damage(rng.choice(files), rng)).values())
            outcomes["read"] += 1
        except WeightsError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 4000 and outcomes["read"] > 300
    assert time.process_time() - started < 10
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < 2 * params.SPARSE_LIMIT


def test_every_cut_of_a_file_is_refused():
    for content in FILES.values():
        for length in range(len(content)):
            with pytest.raises(WeightsError, match=rf"at byte [\d,]+ of {length:,}, "):
                read_params(content[:length])


def test_zeros_promised_by_a_sparse_file_take_no_more_than_the_limit():
    rows = math.isqrt(params.SPARSE_LIMIT // 4)
    read = read_params(file_of(sparse(1, rows, rows, stored=(0, rows), indices=[[]], data=b"")))
    assert read["0"].shape == (rows, rows) and not read["0"].any()
