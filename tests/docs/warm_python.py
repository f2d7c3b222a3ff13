"""A Python that has imported torch already: commands of the docs run in forks of it, each as if `python` had been started.

`warm_python.py SOCKET` serves; the file `python` that `write_shim` makes hands arguments, folder, environment and the three standard
streams of its caller to it, and ends with the command's status. What it cannot do (`python -c`) runs in a Python of its own.
"""

import importlib
import json
import os
import runpy
import signal
import socket
import sys
from pathlib import Path

SHIM = """#!{python} -IS
import json, os, socket, sys

name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
arguments = {{"vidrec": ["-m", "vidrec"], "torchrun": ["-m", "torch.distributed.run"]}}.get(name, []) + arguments
if not arguments or (arguments[0].startswith("-") and arguments[0] != "-m") or arguments[:2] == ["-m", "http.server"]:
    os.execv({python!r}, [{python!r}, *arguments])
call = json.dumps({{"arguments": arguments, "cwd": os.getcwd(), "environment": dict(os.environ)}}).encode()
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [len(call).to_bytes(8, "big")], [0, 1, 2])
server.sendall(call)
sys.exit(int(server.recv(16) or b"1"))
"""
WARM = (
    "torch",
    "torchvision.transforms.v2",
    "torchmetrics",
    "matplotlib.pyplot",
    "cv2",
    "av",
    "torch.utils.tensorboard",
    "torch.distributed.run",
)


def write_shim(folder: Path, address: Path) -> None:
    """Writes the programs `python`, `python3`, `vidrec` and `torchrun` into a folder."""
    for name in ("python", "python3", "vidrec", "torchrun"):
        (folder / name).write_text(SHIM.format(python=sys.executable, address=str(address)))
        (folder / name).chmod(0o755)


def serve(address: str) -> None:
    """Forks for each caller; returns, in the fork, when its command is to run."""
    for name in (
        *WARM,
        "vidrec.commands.train",
        "vidrec.commands.test",
        "vidrec.engine.trainer",
        "vidrec.engine.tester",
        "vidrec.data.build",
    ):
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        while True:
            caller, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                return _answer(caller)
            caller.close()


def _answer(caller: socket.socket) -> None:
    """Waits for the command, which a fork runs, and tells its status; only the fork returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, streams, _, _ = socket.recv_fds(caller, 8, 3)
    length, call = int.from_bytes(head, "big"), b""
    while len(call) < length:
        call += caller.recv(length - len(call))
    child = os.fork()
    if child:
        for stream in streams:
            os.close(stream)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        caller.sendall(str(status if status >= 0 else 128 - status).encode())
        os._exit(0)
    caller.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    _run(**json.loads(call))


def _run(arguments: list[str], cwd: str, environment: dict[str, str]) -> None:
    """What Python does with these arguments; ends by SystemExit where the command says so."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    if arguments[0] == "-m":
        sys.argv, sys.path[0] = arguments[1:], cwd
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = arguments, str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
