"""Two hosts, as two network namespaces of this machine with a cable between them; skipped where that is not allowed."""

import os
import shutil
import subprocess
import sys

import pytest
from process_runs import ENVIRONMENT, PLAIN, TOY, final, run

ADDRESSES = ("10.201.77.1", "10.201.77.2")
PORT = 29_641


def _ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def hosts():
    """Names of the namespaces; 10.201.77.1 is in the first, 10.201.77.2 in the second."""
    if shutil.which("ip") is None:
        pytest.skip("there is no `ip` command (iproute2)")
    names = [f"vidrec-{os.getpid()}-{side}" for side in "ab"]
    links = [f"vr{os.getpid() % 100_000}{side}" for side in "ab"]
    made = [_ip("netns", "add", name) for name in names]
    made.append(_ip("link", "add", links[0], "netns", names[0], "type", "veth", "peer", "name", links[1], "netns", names[1]))
    for name, link, address in zip(names, links, ADDRESSES, strict=True):
        made += [_ip("-n", name, "addr", "add", f"{address}/24", "dev", link)]
        made += [_ip("-n", name, "link", "set", device, "up") for device in (link, "lo")]
    failed = next((done for done in made if done.returncode), None)
    if failed is None:
        yield names
    for name in names:
        _ip("netns", "delete", name)
    if failed is not None:
        pytest.skip(f"network namespaces are not allowed here: {failed.stderr.strip()}")


def start(host, *command):
    return subprocess.Popen(["ip", "netns", "exec", host, *command], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


def ended(runs):
    """What each said; nothing that was started stays."""
    try:
        return [each.communicate(timeout=150)[1] for each in runs]
    finally:
        for each in runs:
            each.kill()


@pytest.mark.slow
def test_two_hosts_train_to_the_weights_of_two_processes_bit_for_bit(tmp_path, hosts):
    toy = ["nodes=2", f"host={ADDRESSES[0]}", f"port={PORT}", "batch_norm=True", "join_timeout=90"]
    runs = [start(host, *PLAIN, str(tmp_path / "two"), *toy, f"node_rank={rank}") for rank, host in enumerate(hosts)]
    said = ended(runs)
    assert [each.returncode for each in runs] == [0, 0], said
    done = run(PLAIN, tmp_path / "one", processes=2, batch_norm=True)
    assert done.returncode == 0, done.stderr
    assert final(tmp_path / "two")["digests"] == final(tmp_path / "one")["digests"]


@pytest.mark.slow
def test_torchrun_with_c10d_on_two_hosts_does_the_same(tmp_path, hosts):
    agent = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d"]
    agent += ["--rdzv-id", "two", "--rdzv-endpoint", f"{ADDRESSES[0]}:{PORT}"]
    places = [["--local-addr", address, "--rdzv-conf", f"is_host={int(rank == 0)}"] for rank, address in enumerate(ADDRESSES)]
    runs = [start(host, *agent, *place, TOY, str(tmp_path / "two")) for host, place in zip(hosts, places, strict=True)]
    said = ended(runs)
    assert [each.returncode for each in runs] == [0, 0], said
    done = run(PLAIN, tmp_path / "one", processes=2)
    assert done.returncode == 0, done.stderr
    assert final(tmp_path / "two")["digests"] == final(tmp_path / "one")["digests"]


@pytest.mark.slow
def test_a_host_that_cannot_be_reached_and_one_that_waits_say_so(tmp_path, hosts):
    toy = ["nodes=2", f"port={PORT + 1}", "join_timeout=3"]
    alone = start(hosts[0], *PLAIN, str(tmp_path), *toy, f"host={ADDRESSES[0]}", "node_rank=0")
    lost = start(hosts[1], *PLAIN, str(tmp_path), *toy, "host=10.201.77.9", "node_rank=1")
    assert f"node 1 of 2 did not come to {ADDRESSES[0]}:{PORT + 1} within 3 s; node 0 (" in alone.communicate(timeout=90)[1]
    assert "Node 1 of 2 (" in (said := lost.communicate(timeout=90)[1]) and f"cannot reach 10.201.77.9:{PORT + 1} within 3 s" in said
    assert (alone.returncode, lost.returncode) == (1, 1)
