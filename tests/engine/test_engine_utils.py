"""Seeds, files, nodes, and the process group without a process group."""

import os
import random
import socket

import numpy as np
import pytest
import torch

from vidrec.engine.files import atomic_file, remove_leftovers, staged_files
from vidrec.engine.nodes import is_own_address, match_node_rank, meeting_point
from vidrec.utils import dist
from vidrec.utils.errors import ConfigError, DataError
from vidrec.utils.seed import derive_seed, seed_everything


def test_seeds_are_the_same_everywhere():
    assert derive_seed(0, 1) == 8118103383084794603
    assert derive_seed(1, 0) == 11967340547968660931
    assert derive_seed(7, 3, 11, 1) == 9815937972817593584
    assert derive_seed(-1) != derive_seed(1)


def test_seed_everything_repeats_all_generators():
    def draw():
        seed_everything(3)
        return random.random(), np.random.rand(), torch.rand(1).item()

    assert draw() == draw()


def test_without_a_group_this_process_is_alone():
    assert (dist.rank(), dist.world_size(), dist.local_rank(), dist.local_world_size(), dist.is_main()) == (0, 1, 0, 1, True)
    dist.barrier()
    assert (dist.any_true(True), dist.any_true(False)) == (True, False)
    assert (dist.gather_objects(5), dist.all_gather_objects(5), dist.broadcast_object(5)) == ([5], [5], 5)
    assert dist.run_on_main(max, 2, 3) == 3


def test_failed_body_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(DataError), atomic_file(path) as file:
        file.write(b"new")
        raise DataError("stop")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("a.bin", b"old")]


def test_only_leftovers_of_dead_processes_are_removed(tmp_path):
    dead = 2**22 + 7  # above the largest process id of Linux
    for name in (f"a.pth.tmp.{dead}", f"a.pth.tmp.{os.getpid()}", "a.pth", "notes.tmp.txt", f"b.tmp.{dead}.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in remove_leftovers(tmp_path)] == [f"a.pth.tmp.{dead}"]
    assert len(list(tmp_path.iterdir())) == 4


def test_own_addresses_are_known_without_a_network():
    assert is_own_address("127.0.0.1")
    assert not is_own_address("198.51.100.1")  # TEST-NET-2: nobody's
    assert not is_own_address("name-of-nobody.invalid")


def test_node_rank_is_the_place_of_the_one_own_address():
    assert match_node_rank(["198.51.100.1", "127.0.0.1", "198.51.100.2"]) == 1


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        (["198.51.100.1", "198.51.100.2"], r"none of them belongs to this machine .*exactly one must\. List one address"),
        (["127.0.0.1", "198.51.100.1", "127.0.0.1"], r"127\.0\.0\.1, 127\.0\.0\.1 all belong to this machine"),
    ],
)
def test_ambiguous_addresses_are_refused(urls, message):
    with pytest.raises(ConfigError, match=message):
        match_node_rank(urls)


@pytest.mark.parametrize(
    ("url", "point"), [("tcp://10.0.0.1:10001", "10.0.0.1:10001"), ("tcp://node-a:29500", "node-a:29500"), ("tcp://[::1]:1", "[::1]:1")]
)
def test_meeting_point(url, point):
    assert meeting_point(url) == point


@pytest.mark.parametrize("url", ["", "10.0.0.1", "tcp://10.0.0.1", "tcp://:80", "tcp://host:port"])
def test_a_rendezvous_address_without_host_or_port_is_refused(url):
    with pytest.raises(ConfigError, match=r"must name node 0 and a free port there, as in tcp://10\.0\.0\.1:10001"):
        meeting_point(url)


def test_a_bound_port_does_not_hide_an_own_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert is_own_address("127.0.0.1")


def test_staged_files_take_their_places_together_or_not_at_all(tmp_path):
    (tmp_path / "a.onnx").write_text("earlier")
    with pytest.raises(ValueError, match="bad"), staged_files(tmp_path) as stage:
        (stage / "a.onnx").write_text("new")
        raise ValueError("bad")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.onnx", "earlier")]
    with staged_files(tmp_path) as stage:
        (stage / "a.onnx").write_text("new")
        (stage / "a.onnx.json").write_text("{}")
        assert (tmp_path / "a.onnx").read_text() == "earlier" and stage.parent == tmp_path
    assert sorted((path.name, path.read_text()) for path in tmp_path.iterdir()) == [("a.onnx", "new"), ("a.onnx.json", "{}")]


def test_stage_of_a_killed_process_is_removed(tmp_path):
    dead = 2**22 + 7  # above the largest process id of Linux
    stage = tmp_path / f"staged.tmp.{dead}"
    stage.mkdir()
    (stage / "a.onnx").write_text("half")
    assert [path.name for path in remove_leftovers(tmp_path)] == [stage.name]
    assert not list(tmp_path.iterdir())
