"""The process group of a run: joined with a table of who is where, and left in order."""

import os
import socket
from datetime import timedelta
from typing import Any

import torch.distributed as distributed

from vidrec.engine import heartbeat
from vidrec.engine.log import logger, note
from vidrec.engine.nodes import interface_of, own_address_towards
from vidrec.utils.dist import all_gather_objects, barrier, device, rank
from vidrec.utils.errors import UserError

GRACE_S = 20  # by which the heartbeat names a hang before the collective itself gives up


def join(backend: str, *, join_s: float, wait_s: float, straggler_steps: int) -> int:
    """Makes this process one of the group and returns the group's size.

    Args:
        join_s: seconds within which all processes must come.
        wait_s: seconds that one may wait for the others in a step, or in any one exchange.
        straggler_steps: steps between looks for a slow process; 0: never.

    Raises:
        UserError: not all came in time.
    """
    where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    _choose_interface()
    try:
        # The first process of the first node, by the launcher's count, keeps the store; the run's own ranks may be others.
        store, place, world_size = next(distributed.rendezvous("env://", timeout=timedelta(seconds=join_s)))
        own_rank = _rank_by_node(store) if "VIDREC_NODE_RANK" in os.environ else place
        os.environ["RANK"] = str(own_rank)
        limit = timedelta(seconds=wait_s + GRACE_S)
        distributed.init_process_group(
            backend, store=distributed.PrefixStore("group", store), rank=own_rank, world_size=world_size, timeout=limit
        )
    except (distributed.DistNetworkError, distributed.DistStoreError) as error:
        raise UserError(
            f"Rank {os.getenv('RANK')} of {os.getenv('WORLD_SIZE')} ({socket.gethostname()}) could not meet the others at {where} "
            f"within {join_s:g} s ({str(error).splitlines()[0]}); every process must reach that address. Check names, firewalls and that "
            "all nodes were started, or raise DDP_CONFIG.JOIN_TIMEOUT."
        ) from error
    table = all_gather_objects((socket.gethostname(), str(device()), os.getpid()))
    note("\n".join(["rank  host, device, process", *(f"{number:4}  {', '.join(map(str, row))}" for number, row in enumerate(table))]))
    _note_restart()
    heartbeat.start(distributed.PrefixStore("heartbeat", store), wait_s=wait_s, straggler_steps=straggler_steps)
    return world_size


def _choose_interface() -> None:
    """With several nodes: lets gloo talk through the interface that leads to the others.

    Left alone it takes the address of this machine's name, which is often the loopback's.
    """
    if int(os.environ["LOCAL_WORLD_SIZE"]) < int(os.getenv("WORLD_SIZE", "1")) and "GLOO_SOCKET_IFNAME" not in os.environ:
        interface = interface_of(own_address_towards(f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"))
        if interface:
            os.environ["GLOO_SOCKET_IFNAME"] = interface


def _rank_by_node(store: Any) -> int:
    """The rank that counts through the nodes in the order of DDP_CONFIG, whatever order the rendezvous gave them.

    Rank 0 is then always on node 0, where the files of a run are.
    """
    node, local = int(os.environ["VIDREC_NODE_RANK"]), int(os.environ["LOCAL_RANK"])
    if local == 0:
        store.set(f"processes/{node}", os.environ["LOCAL_WORLD_SIZE"])
    return sum(int(store.get(f"processes/{before}")) for before in range(node)) + local


def _note_restart() -> None:
    attempt = max(all_gather_objects(int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))))
    if attempt:
        note(f"A process failed: all were started again, restart {attempt} of at most {os.environ['TORCHELASTIC_MAX_RESTARTS']}.")


def leave() -> None:
    """Leaves the group once every process is here."""
    heartbeat.stop()
    barrier()  # rank 0 may hold the store that the others need to leave in order
    distributed.destroy_process_group()


def explain(error: Exception) -> None:
    """Says where every process stands, when an exchange between them has timed out."""
    if "timed out" in str(error).lower() and rank() == 0:
        logger.error("An exchange between the processes timed out; where they stand:\n%s", heartbeat.standing())
