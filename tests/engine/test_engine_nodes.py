"""Several machines, as several agents on this one."""

import socket
import subprocess

import pytest
import torch.distributed as distributed
from process_runs import ENVIRONMENT, PLAIN, final

from vidrec.engine.nodes import RollCall, interface_of, own_address_towards
from vidrec.utils.errors import UserError


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_two_nodes_meet_and_node_0_writes(tmp_path, port):
    places = [f"node_rank={rank}" for rank in (1, 0)]
    commands = [[*PLAIN, str(tmp_path / place), "nodes=2", place, f"port={port}", "epochs=1"] for place in places]
    nodes = [subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL) for command in commands]
    assert [node.wait(120) for node in nodes] == [0, 0]
    assert (tmp_path / "node_rank=0/final.pth").exists()
    assert not (tmp_path / "node_rank=1").exists()
    assert len(set(final(tmp_path / "node_rank=0")["digests"])) == 1


def test_a_node_that_does_not_come_is_named_with_the_address(port):
    with pytest.raises(UserError) as raised, RollCall(f"127.0.0.1:{port}", node_rank=0, nodes=3, timeout_s=1.0):
        pass
    said = f"nodes 1, 2 of 3 did not come to 127.0.0.1:{port} within 1 s; node 0 ({socket.gethostname()}) waited."
    assert str(raised.value).startswith(said)


def test_a_node_0_that_cannot_be_reached_is_named_with_the_address(port):
    with pytest.raises(UserError, match=rf"Node 1 of 2 \(.*\) cannot reach 127.0.0.1:{port} within 1 s \("):
        RollCall(f"127.0.0.1:{port}", node_rank=1, nodes=2, timeout_s=1.0).__enter__()


def test_a_port_of_node_0_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"Node 0 of 2 \(.*\) cannot open 127.0.0.1:{port} within 1 s"):
            RollCall(f"127.0.0.1:{port}", node_rank=0, nodes=2, timeout_s=1.0).__enter__()


def test_nodes_that_have_all_come_pass(port):
    with RollCall(f"127.0.0.1:{port}", node_rank=0, nodes=1, timeout_s=5.0):
        store = distributed.TCPStore("127.0.0.1", port, is_master=False)
        assert store.get("roll call/node/0").decode() == socket.gethostname()


def test_the_own_address_is_the_one_towards_the_other():
    assert own_address_towards("127.0.0.1:10001") == "127.0.0.1"
    assert own_address_towards("[::1]:10001") in ("::1", socket.gethostname())


def test_the_interface_of_an_address():
    assert interface_of("127.0.0.1") == "lo"
    assert interface_of("198.51.100.1") == ""
