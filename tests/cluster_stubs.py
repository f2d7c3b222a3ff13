"""sbatch, srun, scontrol and ssh that run everything on this machine, as two nodes."""

import os
import socket
from pathlib import Path

SBATCH = """#!/usr/bin/env bash
while [ ! -f "$1" ]; do shift; done
export SLURM_SUBMIT_DIR="$PWD" SLURM_JOB_ID=77 SLURM_JOB_NODELIST="gpu[1-2]" SLURM_NNODES=2
exec bash "$@"
"""
SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
for node in 0 1; do SLURM_NODEID=$node "$@" & pids+=($!); done
trap 'kill -USR1 "${pids[@]}"' USR1
worst=0
for pid in "${pids[@]}"; do
    wait "$pid"; status=$?
    while [ $status -gt 128 ] && kill -0 "$pid" 2>/dev/null; do wait "$pid"; status=$?; done
    [ $status -eq 0 ] || worst=$status
done
exit $worst
"""
SCONTROL = """#!/usr/bin/env bash
if [ "$1" = show ]; then printf '127.0.0.1\\nlocalhost\\n'; else echo "$@" >>"$CALLS"; fi
"""
SSH = """#!/usr/bin/env bash
while [[ $1 == -* ]]; do shift 2; done
if [ "$1" = gone ]; then echo "ssh: connect to host gone port 22: No route to host" >&2; exit 255; fi
exec bash -c "$2"
"""
JOB = {"SLURM_JOB_ID": "77", "SLURM_JOB_NODELIST": "gpu[1-2]", "SLURM_NNODES": "2"}  # what a job of two nodes finds


def two_nodes(folder: Path) -> dict[str, str]:
    """Writes the programs into a folder; returns the variables with which the scripts of tools/ use them, one process a node."""
    folder.mkdir(exist_ok=True)
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("scontrol", SCONTROL), ("ssh", SSH)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {"PATH": f"{folder}:{os.environ['PATH']}", "PORT": str(port), "NPROC": "1", "ADDRESS": "127.0.0.1", "JOIN_TIMEOUT": "120"}
