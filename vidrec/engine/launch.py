"""Starts the processes of a run: joins torchrun, or is it (torch.distributed.launcher), or runs here when one process is enough."""

import logging
import os
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from typing import Any, NoReturn

from vidrec.engine.log import logger, note
from vidrec.engine.nodes import RollCall, match_node_rank, meeting_point, own_address_towards
from vidrec.engine.signals import STOPPING, forward_signals, stop_code
from vidrec.utils.cores import usable_cores
from vidrec.utils.errors import ConfigError, Interrupted, UserError

Main = Callable[[Any], int | None]

PATIENCE_S = 3.0  # see _let_main_speak_first
OWN_PORT = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"


def launch(main: Main, cfg: Any) -> int:
    """Runs `main(cfg)` in every process of the run, on its device and with the process group ready.

    Under torchrun this process is one of them. Otherwise one process per CUDA device of this machine is started (NPROC_PER_NODE
    of them where set); a single one runs here, without a process group. With several nodes the command is started on each.

    Args:
        main: a function at the top of a module, so that a started process can import it. What it returns, if anything, is the exit
            status, the same on every process.

    Returns:
        The exit status.

    Raises:
        Interrupted: a signal ended the started processes.
        SystemExit: with status 1 after a UserError was printed, or after a process ended badly; with the started processes' own status
            where that is not 0, as after a signal that asked them to stop.
    """
    if cfg.CONFIG.TRAIN.DETERMINISTIC:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    if under_torchrun():
        return _work(main, cfg)
    # Without this every attempt of torchrun would reuse one port and a restarted group may hang (pytorch#135712).
    os.environ.setdefault(OWN_PORT, "1")
    ddp = cfg.DDP_CONFIG
    try:
        processes = _processes_here(ddp)
        if processes == 1 and ddp.WORLD_SIZE == 1 and not ddp.MAX_RESTARTS:
            _choose_device(ddp.GPU if not ddp.DISTRIBUTED else 0)
            _note_world(ddp, 1)
            return main(cfg) or 0
        with _meet(ddp):
            _start(main, cfg, _agent_options(ddp, processes))
    except UserError as error:
        exit_with(error)
    return 0


def under_torchrun() -> bool:
    """Whether a launcher has made this process one of a group."""
    return all(name in os.environ for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))


def may_restart() -> bool:
    """Whether the launcher of this process starts the processes again when one of them fails."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", 0)) > 0


def exit_with(error: UserError) -> NoReturn:
    """Says the error, in the run's log too where it is open, and ends this process with status 1.

    Of several processes with the same error one says it.
    """
    _let_main_speak_first()
    if error.everywhere and int(os.environ.get("RANK", 0)) > 0:
        raise SystemExit(1) from None
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


def _node_rank(ddp: Any) -> int:
    rank = match_node_rank(ddp.WORLD_URLS) if ddp.AUTO_RANK_MATCH else ddp.WORLD_RANK
    if not 0 <= rank < ddp.WORLD_SIZE:
        raise ConfigError(
            [f"The rank of this node is {rank}; with DDP_CONFIG.WORLD_SIZE {ddp.WORLD_SIZE} it must be from 0 to {ddp.WORLD_SIZE - 1}."]
        )
    return rank


def _meet(ddp: Any) -> RollCall:
    """Waits until all nodes are there. Raises UserError naming those that are not."""
    if ddp.WORLD_SIZE == 1:
        return RollCall()
    return RollCall(meeting_point(ddp.DIST_URL), node_rank=_node_rank(ddp), nodes=ddp.WORLD_SIZE, timeout_s=ddp.JOIN_TIMEOUT)


def _agent_options(ddp: Any, processes: int) -> dict[str, Any]:
    """Arguments of LaunchConfig for a run on this machine only, or on several that meet at DIST_URL."""
    nodes = ddp.WORLD_SIZE
    # An agent that says nothing for 10 s has died: its node's processes are started again, or the run ends.
    config = {"join_timeout": ddp.JOIN_TIMEOUT, "read_timeout": ddp.JOIN_TIMEOUT, "keep_alive_interval": 2, "keep_alive_max_attempt": 5}
    options = {"min_nodes": nodes, "max_nodes": nodes, "nproc_per_node": processes, "max_restarts": ddp.MAX_RESTARTS}
    options |= {"start_method": "spawn", "rdzv_backend": "c10d", "rdzv_configs": config, "signals_to_handle": "SIGINT,SIGHUP,SIGQUIT"}
    if nodes == 1:
        # The loopback address by number: looking up this machine's own name may fail or take seconds.
        return options | {"rdzv_endpoint": "127.0.0.1:0", "local_addr": "127.0.0.1", "run_id": uuid.uuid4().hex}
    rank, endpoint = _node_rank(ddp), meeting_point(ddp.DIST_URL)
    os.environ["VIDREC_NODE_RANK"] = str(rank)  # c10d numbers the nodes as it likes; see engine.group
    config["is_host"] = rank == 0
    return options | {"rdzv_endpoint": endpoint, "local_addr": own_address_towards(endpoint), "run_id": "vidrec"}


def _start(main: Main, cfg: Any, options: dict[str, Any]) -> None:
    """Starts the processes under torchrun's agent and waits for them. Raises SystemExit unless all of them end well."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous.api import RendezvousError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in ("multiprocessing.api", "agent.server.api", "agent.server.local_elastic_agent", "rendezvous.dynamic_rendezvous"):
        logging.getLogger(f"torch.distributed.elastic.{name}").setLevel(logging.CRITICAL)  # the failing rank has said what happened
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // options["nproc_per_node"])))
    try:
        with forward_signals():
            codes = elastic_launch(LaunchConfig(**options), _work)(main, cfg)
    except ChildFailedError as error:
        raise SystemExit(_status_of(*error.get_first_failure())) from None
    except SignalException as error:
        raise Interrupted(128 + error.sigval) from None
    except RendezvousError as error:
        raise UserError(
            f"The nodes of the run lost each other at {options['rdzv_endpoint']} ({error}); all {options['max_nodes']} must come back "
            "within DDP_CONFIG.JOIN_TIMEOUT seconds. Start the command on each again; CONFIG.TRAIN.RESUME auto goes on."
        ) from error
    if status := max(codes.values()):
        raise SystemExit(status)


def _status_of(rank: int, failure: Any) -> int:
    """The exit status of a run whose process `rank` failed first, after saying what only its agent knows.

    Raises:
        Interrupted: it ended since a signal had asked it to.
    """
    if stopping := stop_code():
        raise Interrupted(stopping)
    if failure.exitcode < 0:
        name = signal.Signals(-failure.exitcode).name
        hint = " The system does this when memory runs out: use fewer loader processes or a smaller batch." if name == "SIGKILL" else ""
        print(f"Process {rank} of the run was ended by {name}; the others were stopped.{hint}", file=sys.stderr, flush=True)
    return 1


def _work(main: Main, cfg: Any) -> int:
    """One process of several: joins the group, runs `main`, leaves the group. Ends with status 1 after printing what failed.

    Returns:
        What `main` returns, or the status of its SystemExit, for the launcher to end with: a process that stops as asked has not
        failed, and is not started again. Under torchrun the process itself ends with it.
    """
    from vidrec.engine import group, heartbeat

    if STOPPING in os.environ:
        return stop_code()
    try:
        _join_group(cfg.DDP_CONFIG)
        status = main(cfg) or 0
        group.leave()
    except UserError as error:
        exit_with(error)
    except SystemExit as stopped:
        if "VIDREC_AGENT" not in os.environ or stopped.code == 1:
            raise
        return int(stopped.code or 0)
    except Exception as error:
        group.explain(error)
        # Where one rank fails, the connections of the others break. Their errors are an echo; the agent ends them while they wait.
        time.sleep(1.0 if may_restart() else PATIENCE_S)
        traceback.print_exc()
        raise SystemExit(1) from None
    finally:
        heartbeat.stop()  # its thread would end this process by SIGABRT, were it in the store while Python exits
    return status


def _join_group(ddp: Any) -> None:
    import torch

    from vidrec.engine import group

    _refuse_shared_store()
    _choose_device(int(os.environ["LOCAL_RANK"]))
    backend = ddp.DIST_BACKEND
    if backend == "nccl" and torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"  # gloo carries what is on the CPU: objects and flags
    elif backend == "nccl":
        backend = "gloo"
        note("DDP_CONFIG.DIST_BACKEND is nccl, which needs CUDA; this machine has none, so gloo is used.")
    world_size = group.join(backend, join_s=ddp.JOIN_TIMEOUT, wait_s=ddp.GROUP_TIMEOUT, straggler_steps=ddp.STRAGGLER_STEPS)
    _note_world(ddp, world_size)


def _refuse_shared_store() -> None:
    """Raises ConfigError where torchrun would start processes again through a store that a restart does not survive."""
    if may_restart() and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        raise ConfigError(
            [
                f"torchrun runs with --max-restarts {os.environ['TORCHELASTIC_MAX_RESTARTS']} and shares one store between attempts, "
                f"through which a restarted group often hangs. Say `export {OWN_PORT}=1` before torchrun (with --standalone or "
                "--rdzv-backend c10d), or leave --max-restarts out."
            ]
        )


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
