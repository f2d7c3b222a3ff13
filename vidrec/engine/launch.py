"""Starts the processes of a run: joins torchrun, or is it (torch.distributed.launcher), or runs here when one process is enough."""

import logging
import os
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NoReturn

from vidrec.engine.log import logger, note
from vidrec.engine.nodes import match_node_rank, meeting_point
from vidrec.utils.cores import usable_cores
from vidrec.utils.errors import ConfigError, UserError

Main = Callable[[Any], None]

# Long enough for the slowest checkpoint or decode of one rank; a rank that has died is noticed by the agent at once.
GROUP_TIMEOUT = timedelta(minutes=15)
NODES_TIMEOUT_S = 600  # for all nodes to arrive at DIST_URL
INTERRUPTED = "Stopped. A training run goes on from its last checkpoint with CONFIG.TRAIN.RESUME auto."
PATIENCE_S = 3.0  # see _let_main_speak_first


def launch(main: Main, cfg: Any) -> None:
    """Runs `main(cfg)` in every process of the run, on its device and with the process group ready.

    Under torchrun this process is one of them. Otherwise one process per CUDA device of this machine is started (NPROC_PER_NODE
    of them where set); a single one runs here, without a process group. With several nodes the command is started on each.

    Args:
        main: a function at the top of a module, so that a started process can import it.

    Raises:
        SystemExit: with status 1 after a UserError was printed, or after a process ended badly.
    """
    # Without this every attempt of torchrun would reuse one port and a restarted group may hang (pytorch#135712).
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    if cfg.CONFIG.TRAIN.DETERMINISTIC:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    if under_torchrun():
        return _work(main, cfg)
    ddp = cfg.DDP_CONFIG
    try:
        processes = _processes_here(ddp)
        if processes == 1 and ddp.WORLD_SIZE == 1:
            _choose_device(ddp.GPU if not ddp.DISTRIBUTED else 0)
            _note_world(ddp, 1)
            return main(cfg)
        options = _agent_options(ddp, processes)
    except UserError as error:
        exit_with(error)
    _start(main, cfg, options)


def under_torchrun() -> bool:
    """Whether a launcher has made this process one of a group."""
    return all(name in os.environ for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))


def exit_with(error: UserError) -> NoReturn:
    """Says the error, in the run's log too where it is open, and ends this process with status 1.

    Of several processes with the same error one says it.
    """
    _let_main_speak_first()
    if logger.handlers:
        logger.error("%s", error)
    else:
        print(error, file=sys.stderr, flush=True)
    raise SystemExit(1) from None


def _let_main_speak_first() -> None:
    """Waits a moment on every rank but 0: where rank 0 fails too, it speaks, and its agent ends this process meanwhile."""
    if int(os.environ.get("RANK", 0)) > 0:
        time.sleep(PATIENCE_S)


def _processes_here(ddp: Any) -> int:
    """Number of processes on this node."""
    import torch

    if not ddp.DISTRIBUTED:
        return 1
    devices = torch.cuda.device_count()
    if 0 < devices < ddp.NPROC_PER_NODE:
        raise ConfigError(
            [
                f"DDP_CONFIG.NPROC_PER_NODE is {ddp.NPROC_PER_NODE} but this machine has {devices} CUDA devices; "
                "each process needs one of its own. Set it to 0 for one process per device."
            ]
        )
    return ddp.NPROC_PER_NODE or max(devices, 1)


def _agent_options(ddp: Any, processes: int) -> dict[str, Any]:
    """Arguments of LaunchConfig for a run on this machine only, or on several that meet at DIST_URL."""
    nodes = ddp.WORLD_SIZE
    options = {"min_nodes": nodes, "max_nodes": nodes, "nproc_per_node": processes, "max_restarts": 0, "start_method": "spawn"}
    if nodes == 1:
        # The loopback address by number: looking up this machine's own name may fail or take seconds.
        return options | {"rdzv_backend": "c10d", "rdzv_endpoint": "127.0.0.1:0", "local_addr": "127.0.0.1", "run_id": uuid.uuid4().hex}
    node_rank = match_node_rank(ddp.WORLD_URLS) if ddp.AUTO_RANK_MATCH else ddp.WORLD_RANK
    if not 0 <= node_rank < nodes:
        raise ConfigError([f"The rank of this node is {node_rank}; with DDP_CONFIG.WORLD_SIZE {nodes} it must be from 0 to {nodes - 1}."])
    # Static rather than c10d rendezvous: c10d numbers the nodes as it likes, and rank 0 must be on node 0, where the files are written.
    config = {"rank": node_rank, "timeout": NODES_TIMEOUT_S}
    return options | {"rdzv_backend": "static", "rdzv_endpoint": meeting_point(ddp.DIST_URL), "rdzv_configs": config, "run_id": "vidrec"}


def _start(main: Main, cfg: Any, options: dict[str, Any]) -> None:
    """Starts the processes under torchrun's agent and waits for them. Raises SystemExit when one of them fails."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in ("elastic.multiprocessing.api", "elastic.agent.server.api", "elastic.agent.server.local_elastic_agent"):
        logging.getLogger(f"torch.distributed.{name}").setLevel(logging.CRITICAL)  # the failing rank has said what happened
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // options["nproc_per_node"])))
    try:
        elastic_launch(LaunchConfig(**options), _work)(main, cfg)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            hint = " The system does this when memory runs out: use fewer loader processes or a smaller batch." if name == "SIGKILL" else ""
            print(f"Process {rank} of the run was ended by {name}; the others were stopped.{hint}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    except SignalException as error:
        print(INTERRUPTED, file=sys.stderr, flush=True)
        raise SystemExit(128 + error.sigval) from None


def _work(main: Main, cfg: Any) -> None:
    """One process of several: joins the group, runs `main`, leaves the group. Ends with status 1 after printing what failed."""
    try:
        _join_group(cfg.DDP_CONFIG)
        main(cfg)
        _leave_group()
    except UserError as error:
        exit_with(error)
    except Exception:
        # Where one rank fails, the connections of the others break. Their errors are an echo; the agent ends them while they wait.
        time.sleep(PATIENCE_S)
        traceback.print_exc()
        raise SystemExit(1) from None


def _join_group(ddp: Any) -> None:
    import torch
    import torch.distributed as distributed

    _choose_device(int(os.environ["LOCAL_RANK"]))
    backend = ddp.DIST_BACKEND
    if backend == "nccl" and torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"  # gloo carries what is on the CPU: objects and flags
    elif backend == "nccl":
        backend = "gloo"
        note("DDP_CONFIG.DIST_BACKEND is nccl, which needs CUDA; this machine has none, so gloo is used.")
    distributed.init_process_group(backend, timeout=GROUP_TIMEOUT)
    _note_world(ddp, distributed.get_world_size())


def _leave_group() -> None:
    import torch.distributed as distributed

    from vidrec.utils.dist import barrier

    barrier()  # rank 0 may hold the store that the others need to leave in order
    distributed.destroy_process_group()


def _choose_device(index: int) -> None:
    """Makes a CUDA device the current one; nothing where there is none."""
    import torch

    devices = torch.cuda.device_count()
    if devices == 0:
        return
    if index >= devices:
        raise ConfigError(
            [
                f"CUDA device {index} is asked for but this machine has {devices}, numbered from 0; start fewer processes "
                "or set DDP_CONFIG.GPU to a device that is present."
            ]
        )
    torch.cuda.set_device(index)


def _note_world(ddp: Any, world_size: int) -> None:
    if world_size != ddp.GPU_WORLD_SIZE:
        plural = "process" if world_size == 1 else "processes"
        told = f"DDP_CONFIG.GPU_WORLD_SIZE says {ddp.GPU_WORLD_SIZE}, but the devices present decide."
        note(f"The run has {world_size} {plural}; {told}", logging.DEBUG)
