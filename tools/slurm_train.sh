#!/usr/bin/env bash
# Trains on all nodes of a SLURM job, one torchrun per node:
#
#   EXP_NAME=my_run sbatch --nodes 2 --gpus-per-node 8 --time 24:00:00 tools/slurm_train.sh --config-file F [KEY VALUE ...]
#
# Submit it from the checkout. The run's folder must be on a disk that all nodes share. 120 seconds before the time limit SLURM sends
# SIGUSR1: training ends its step and saves, the job goes back into the queue, and its next start goes on from there.
#
# Variables: EXP_NAME, name of the run (slurm_JOBID if not set); NPROC, processes per node (one per GPU); MAX_RESTARTS, restarts of failed
# processes without leaving the job (3); JOIN_TIMEOUT, seconds for all nodes to come (600); PORT of the first node; PYTHON.
#SBATCH --job-name=vidrec
#SBATCH --ntasks-per-node=1
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail

: "${SLURM_JOB_ID:?this script runs inside a SLURM job: sbatch tools/slurm_train.sh --config-file F}"
cd "${SLURM_SUBMIT_DIR:-.}" || exit 1
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1  # a restarted group needs a port of its own (pytorch#135712)
export VIDREC_ENDPOINT="$first:${PORT:-$((20000 + SLURM_JOB_ID % 20000))}"
export JOIN_TIMEOUT="${JOIN_TIMEOUT:-600}" MAX_RESTARTS="${MAX_RESTARTS:-3}" PYTHON="${PYTHON:-python}" NPROC="${NPROC:-gpu}"

# Waits for a process to its end, through signals that are handled meanwhile, and leaves its status in `status`.
await() {
    wait "$1"
    status=$?
    while [ "$status" -gt 128 ] && kill -0 "$1" 2>/dev/null; do
        wait "$1"
        status=$?
    done
}

# One node: torchrun, with SIGUSR1 handed on, and a message that names the node where it fails.
on_node() {
    "$PYTHON" -m torch.distributed.run --nnodes "$SLURM_NNODES" --nproc-per-node "$NPROC" --max-restarts "$MAX_RESTARTS" \
        --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$VIDREC_ENDPOINT" \
        --rdzv-conf "join_timeout=$JOIN_TIMEOUT,read_timeout=$JOIN_TIMEOUT,is_host=$((SLURM_NODEID == 0))" \
        --signals-to-handle SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1 \
        tools/train_ddp_pytorch.py "$@" &
    child=$!
    trap 'kill -USR1 "$child" 2>/dev/null' USR1
    trap 'kill -TERM "$child" 2>/dev/null' TERM
    await "$child"
    if [ "$status" -ne 0 ]; then
        echo "node $SLURM_NODEID of $SLURM_NNODES ($(hostname)): torchrun ended with status $status; all nodes must reach $VIDREC_ENDPOINT" \
            "within $JOIN_TIMEOUT s" >&2
    fi
    exit "$status"
}

asked=0
srun --kill-on-bad-exit=1 bash -c "$(declare -f await on_node); on_node \"\$@\"" on_node "$@" \
    CONFIG.LOG.EXP_NAME "${EXP_NAME:-slurm_$SLURM_JOB_ID}" CONFIG.TRAIN.RESUME auto &
step=$!
trap 'asked=1; kill -USR1 "$step" 2>/dev/null' USR1
trap 'kill -TERM "$step" 2>/dev/null' TERM
await "$step"
if [ "$asked" -eq 1 ]; then
    echo "asked to stop by SIGUSR1: job $SLURM_JOB_ID goes back into the queue" >&2
    scontrol requeue "$SLURM_JOB_ID"
    exit
fi
exit "$status"
