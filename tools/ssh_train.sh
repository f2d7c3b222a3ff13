#!/usr/bin/env bash
# Trains on several machines that ssh reaches without a password, with the same checkout and the same Python at the same place on each:
#
#   HOSTS="gpu-a gpu-b" tools/ssh_train.sh --config-file F [KEY VALUE ...]
#
# The first host is node 0 and writes the run's files. Give the run a name of its own (CONFIG.LOG.EXP_NAME) to go on with it later by
# CONFIG.TRAIN.RESUME auto. Ctrl-C, SIGTERM and SIGUSR1 go on to all hosts; the status is that of the first host that failed.
#
# Variables: HOSTS; ADDRESS of the first host for the others (its name); PORT there (10001); JOIN_TIMEOUT, seconds for all hosts to come
# (600); MAX_RESTARTS of failed processes (0); PYTHON (python); SSH, the command (ssh -o BatchMode=yes).
set -uo pipefail

read -r -a hosts <<<"${HOSTS:?HOSTS is empty; name the machines: HOSTS=\"gpu-a gpu-b\" tools/ssh_train.sh --config-file F}"
read -r -a ssh <<<"${SSH:-ssh -o BatchMode=yes}"
checkout=$(cd "$(dirname "$0")/.." && pwd)
url="tcp://${ADDRESS:-${hosts[0]}}:${PORT:-10001}"
marks="/tmp/vidrec-ssh-$$-$RANDOM"  # there each host leaves the id of its launcher

children=()
for rank in "${!hosts[@]}"; do
    keys=(DDP_CONFIG.WORLD_SIZE "${#hosts[@]}" DDP_CONFIG.WORLD_RANK "$rank" DDP_CONFIG.AUTO_RANK_MATCH False DDP_CONFIG.DIST_URL "$url"
        DDP_CONFIG.JOIN_TIMEOUT "${JOIN_TIMEOUT:-600}" DDP_CONFIG.MAX_RESTARTS "${MAX_RESTARTS:-0}")
    line=$(printf '%q ' "${PYTHON:-python}" tools/train_ddp_pytorch.py "$@" "${keys[@]}")
    "${ssh[@]}" "${hosts[$rank]}" "cd $(printf %q "$checkout") && echo \$\$ >$marks.$rank && exec $line" &
    children+=($!)
done

send() {
    for rank in "${!hosts[@]}"; do
        "${ssh[@]}" "${hosts[$rank]}" "kill -$1 \$(cat $marks.$rank)" 2>/dev/null &
    done
}
trap 'send TERM' INT TERM
trap 'send USR1' USR1

worst=0
for rank in "${!children[@]}"; do
    wait "${children[$rank]}"
    status=$?
    while [ "$status" -gt 128 ] && kill -0 "${children[$rank]}" 2>/dev/null; do # a signal came, and was handed on
        wait "${children[$rank]}"
        status=$?
    done
    if [ "$status" -ne 0 ]; then
        echo "node $rank of ${#hosts[@]} (${hosts[$rank]}) ended with status $status; the nodes meet at $url" >&2
        if [ "$worst" -eq 0 ]; then
            worst=$status
        fi
    fi
done
for rank in "${!hosts[@]}"; do "${ssh[@]}" "${hosts[$rank]}" "rm -f $marks.$rank"; done
exit "$worst"
