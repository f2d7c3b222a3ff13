"""Where every process stands, told to all: names who hangs, instead of waiting in silence, and who is slow."""

import faulthandler
import os
import socket
import statistics
import sys
import threading
import time
from typing import Any, NamedTuple

from vidrec.engine.log import logger
from vidrec.utils.dist import rank, world_size

BATCH, FORWARD, BACKWARD, UPDATE, REST = "next batch", "forward", "backward", "update", "end of the epoch"
# Of a step, in order. In BACKWARD and UPDATE the processes wait for each other; REST (averages, validation, saving) may take any time.
PHASES = (BATCH, FORWARD, BACKWARD, UPDATE, REST)
SLOW = 1.5  # times the median of the others, and SLOW_S more, is slow
SLOW_S = 0.05
STOP_S = 10.0  # that the thread may take to end, where the store does not answer
PATIENCE_S = 3.0  # for which a process that gives up lets the others speak
LISTED = 8


class Mark(NamedTuple):
    """What a process does: a phase of a step, both counted from 0. Marks compare in the order of the work."""

    epoch: int
    step: int
    phase: int

    def __str__(self) -> str:
        return f"`{PHASES[self.phase]}` of step {self.step + 1} of epoch {self.epoch + 1}"


class _Pulse:
    """The mark of this process and its time in own work; a thread tells both to the others and watches."""

    def __init__(self, store: Any, wait_s: float, straggler_steps: int):
        self.store, self.wait_s, self.straggler_steps = store, wait_s, straggler_steps
        self.mark: Mark | None = None
        self.since = time.monotonic()
        self.own: dict[str, list[float]] = {BATCH: [], FORWARD: []}  # seconds per step since the last look
        self._spent = dict.fromkeys(self.own, 0.0)
        self._looks, self._told = 0, ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="vidrec-heartbeat", daemon=True)
        self._thread.start()

    def beat(self, mark: Mark) -> None:
        """Costs no exchange: the thread tells it."""
        now, before = time.monotonic(), self.mark
        if before is not None and PHASES[before.phase] in self._spent:
            self._spent[PHASES[before.phase]] += now - self.since
        if before is not None and PHASES[before.phase] == UPDATE:
            self._end_step()
        self.mark, self.since = mark, now

    def _end_step(self) -> None:
        for phase, spent in self._spent.items():
            self.own[phase].append(spent)
        self._spent = dict.fromkeys(self.own, 0.0)
        if self.straggler_steps and len(self.own[BATCH]) == self.straggler_steps:
            self._looks += 1
            rows = [f"{min(times):.4f},{statistics.median(times):.4f},{max(times):.4f}" for times in self.own.values()]
            self._told = f"{self._looks};{';'.join(rows)}"
            self.own = {phase: [] for phase in self.own}

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(STOP_S)

    def _watch(self) -> None:
        tick, sent, looked = min(1.0, self.wait_s / 10), "", 0
        while not self._stopped.wait(tick):
            try:
                if self._told != sent:
                    sent = self._told
                    self.store.set(f"pace/{rank()}", sent)
                self.store.set(f"mark/{rank()}", self._text())
                if rank() == 0 and sent and looked < self._looks:
                    looked = self._look(looked)
            except RuntimeError:  # the keeper of the store has ended; the agent will end this process too
                return
            if self.mark is not None and PHASES[self.mark.phase] != REST and time.monotonic() - self.since > self.wait_s:
                self._give_up()

    def _text(self) -> str:
        mark = self.mark
        return f"{','.join(map(str, mark)) if mark else ''};{socket.gethostname()}, process {os.getpid()}"

    def read(self) -> dict[int, tuple[Mark | None, str]]:
        """Rank -> (its mark, where it is) for those who have told it."""
        found = {}
        for number in range(world_size()):
            if self.store.check([f"mark/{number}"]):
                mark, where = self.store.get(f"mark/{number}").decode().split(";", 1)
                found[number] = (Mark(*map(int, mark.split(","))) if mark else None, where)
        return found

    def _give_up(self) -> None:
        """Ends this process, which waits for others or is itself what hangs. Those who wait say who did not arrive."""
        try:
            found = {number: told for number, told in self.read().items() if told[0] is not None}
        except RuntimeError:  # the keeper of the store has ended
            logger.error("Nothing has moved for %g s in %s, and the other processes cannot be asked any more.", self.wait_s, self.mark)
            os._exit(1)
        front = max(mark for mark, _ in found.values())
        behind = {number: told for number, told in found.items() if told[0] < front}
        if rank() == min(number for number in found if number not in behind):
            logger.error("%s", hang_text(front, behind, wait_s=self.wait_s))
        if rank() in behind or not behind:
            print(f"Rank {rank()} hangs here:", file=sys.stderr, flush=True)
            faulthandler.dump_traceback(sys.stderr, all_threads=True)
        time.sleep(PATIENCE_S)  # until the others have spoken too: when the first process ends, its agent ends the rest
        os._exit(1)

    def _look(self, looked: int) -> int:
        """Names slow processes once all have told the times of the same look; returns the last look that is done."""
        told = []
        for number in range(world_size()):
            key = f"pace/{number}"
            if not self.store.check([key]):
                return looked
            parts = self.store.get(key).decode().split(";")
            if int(parts[0]) <= looked:
                return looked
            told.append([tuple(map(float, part.split(","))) for part in parts[1:]])
        for place, phase in enumerate(self.own):
            table = [rows[place] for rows in told]
            slow = slow_ranks([median for _, median, _ in table])
            if slow:
                logger.warning("%s", slow_text(phase, slow, table, steps=self.straggler_steps))
                break  # who waits for a slow reader waits for it at the start of `forward`
        return self._looks


def hang_text(front: Mark, behind: dict[int, tuple[Mark, str]], *, wait_s: float) -> str:
    """The message of a run in which `behind` did not come to where the others wait."""
    head = f"Nothing has moved for {wait_s:g} s (DDP_CONFIG.GROUP_TIMEOUT) in {front}."
    if not behind:
        return f"{head} All processes have come that far: the exchange itself hangs. See the network, and the driver of the devices."
    rows = [f"  - rank {number} ({where}) is still at {mark}" for number, (mark, where) in sorted(behind.items())[:LISTED]]
    more = [f"  - and {len(behind) - LISTED} more"] if len(behind) > LISTED else []
    return "\n".join([f"{head} Not arrived:", *rows, *more, "What such a process does stands in its own output, on its node."])


def slow_ranks(medians: list[float]) -> list[int]:
    """Ranks whose median time is SLOW times, and SLOW_S more than, the median of the others'. Example: [0.1, 0.1, 0.3] -> [2]"""
    found = []
    for number, median in enumerate(medians):
        others = statistics.median(medians[:number] + medians[number + 1 :]) if len(medians) > 1 else median
        if median > max(SLOW * others, others + SLOW_S):
            found.append(number)
    return found


def slow_text(phase: str, slow: list[int], table: list[tuple[float, float, float]], *, steps: int) -> str:
    """Who is slow, and the slowest rows of the table (min, median, max seconds of each rank)."""
    names = f"Rank {slow[0]} is" if len(slow) == 1 else f"Ranks {', '.join(map(str, slow))} are"
    shown = sorted(sorted(range(len(table)), key=lambda number: -table[number][1])[:LISTED])
    rows = [f"{number:4}  {low * 1000:8.0f} {median * 1000:8.0f} {high * 1000:8.0f}" for number, (low, median, high) in enumerate(table)]
    head = f"{names} slow in `{phase}`, and the others wait. Milliseconds of its own work in each of the last {steps} steps:"
    return "\n".join([head, "rank       min   median      max", *(rows[number] for number in shown)])


_pulse: _Pulse | None = None


def start(store: Any, *, wait_s: float, straggler_steps: int) -> None:
    """Begins to tell and to watch, through a store of the group."""
    global _pulse
    _pulse = _Pulse(store, wait_s, straggler_steps)


def stop() -> None:
    """Ends what `start` began."""
    global _pulse
    if _pulse is not None:
        _pulse.stop()
        _pulse = None


def beat(phase: str, *, epoch: int, step: int) -> None:
    """Says that this process begins a phase of a step. Nothing where it is the only one."""
    if _pulse is not None:
        _pulse.beat(Mark(epoch, step, PHASES.index(phase)))


def standing() -> str:
    """One line per process: where it stands."""
    if _pulse is None:
        return "not known"
    found = _pulse.read()
    return "\n".join(f"  - rank {number} ({where}): {mark or 'before the first step'}" for number, (mark, where) in sorted(found.items()))
