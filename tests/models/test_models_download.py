"""Downloads over a real server on this machine: whole, interrupted, refused, stalled."""

import fcntl
import logging
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios

import pytest
from weights_server import WeightsServer

from vidrec.models.weights import download as module
from vidrec.models.weights.download import DownloadError, download

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
FILES = {"/weights.pth": CONTENT}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(module, "BACK_OFF", 0.0)


@pytest.fixture
def partial(tmp_path):
    return tmp_path / "weights.pth.part"


def test_whole_file_takes_one_request(partial):
    with WeightsServer(FILES) as server:
        download(f"{server.url}/weights.pth", partial)
    assert partial.read_bytes() == CONTENT
    assert server.requests == [("/weights.pth", "")]


def test_interrupted_file_goes_on_where_it_ended(partial, caplog):
    with WeightsServer(FILES, cut_after=[300_000, 700_000]) as server:
        download(f"{server.url}/weights.pth", partial)
    assert partial.read_bytes() == CONTENT
    assert server.requests == [("/weights.pth", ""), ("/weights.pth", "bytes=300000-"), ("/weights.pth", "bytes=700000-")]
    assert "the connection ended after 300,000 of 1,024,000 bytes; attempt 2 of 4 follows" in caplog.text


def test_file_of_a_process_that_was_killed_goes_on_too(partial):
    partial.write_bytes(CONTENT[:1000])
    with WeightsServer(FILES) as server:
        download(f"{server.url}/weights.pth", partial)
    assert partial.read_bytes() == CONTENT
    assert server.requests == [("/weights.pth", "bytes=1000-")]


def test_server_that_ignores_ranges_sends_everything_again(partial):
    with WeightsServer(FILES, cut_after=[300_000], ranges=False) as server:
        download(f"{server.url}/weights.pth", partial)
    assert partial.read_bytes() == CONTENT
    assert server.requests == [("/weights.pth", ""), ("/weights.pth", "bytes=300000-")]


def test_server_that_ignores_ranges_and_fails_at_once_leaves_nothing_of_the_old_bytes(partial):
    partial.write_bytes(b"x" * 2_000_000)
    with WeightsServer(FILES, cut_after=[0], ranges=False) as server:
        download(f"{server.url}/weights.pth", partial)
    assert partial.read_bytes() == CONTENT
    assert server.requests == [("/weights.pth", "bytes=2000000-"), ("/weights.pth", "")]


def test_whole_partial_file_is_kept_as_it_is(partial):
    partial.write_bytes(CONTENT)
    with WeightsServer(FILES) as server:
        download(f"{server.url}/weights.pth", partial)
    assert partial.read_bytes() == CONTENT
    assert server.requests == [("/weights.pth", "bytes=1024000-")]


def test_server_that_is_busy_is_asked_again(partial):
    with WeightsServer(FILES, statuses=[503, 500]) as server:
        download(f"{server.url}/weights.pth", partial)
    assert partial.read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_stalled_connection_is_given_up_and_taken_up_again(partial, monkeypatch, caplog):
    monkeypatch.setattr(module, "STALL", 0.3)
    with WeightsServer(FILES, stall=1.5) as server:
        download(f"{server.url}/weights.pth", partial)
    assert partial.read_bytes() == CONTENT
    assert server.requests == [("/weights.pth", ""), ("/weights.pth", "bytes=512000-")]
    assert "the connection broke after 512,000 bytes (timed out); attempt 2 of 4 follows" in caplog.text


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, 4)])
def test_refusal_says_the_status_and_only_a_passing_one_is_tried_again(status, requests, partial):
    with WeightsServer(FILES, statuses=[status] * 9) as server, pytest.raises(DownloadError, match=f"^the server answers {status} "):
        download(f"{server.url}/weights.pth", partial)
    assert len(server.requests) == requests


def test_connection_that_always_breaks_ends_and_keeps_what_came(partial):
    cuts = [100_000, 200_000, 300_000, 400_000]
    with (
        WeightsServer(FILES, cut_after=cuts) as server,
        pytest.raises(DownloadError, match=r"^the connection ended after 400,000 of 1,024,000 bytes$"),
    ):
        download(f"{server.url}/weights.pth", partial)
    assert partial.read_bytes() == CONTENT[:400_000]


def test_server_that_is_not_there_is_tried_again_and_said(partial, caplog):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.pth"
        with caplog.at_level(logging.WARNING, logger="vidrec"), pytest.raises(DownloadError, match="Connection refused"):
            download(url, partial)
    assert caplog.text.count("attempt") == 3


def test_wait_doubles_from_attempt_to_attempt(partial, monkeypatch):
    waits = []
    monkeypatch.setattr(module, "BACK_OFF", 0.5)
    monkeypatch.setattr(module.time, "sleep", waits.append)
    with pytest.raises(DownloadError):
        download("http://127.0.0.1:9/weights.pth", partial)
    assert waits == [0.5, 1.0, 2.0]


def test_file_url_is_copied_whole_and_tried_once(partial, tmp_path, caplog):
    (tmp_path / "weights.pth").write_bytes(CONTENT)
    partial.write_bytes(b"old")
    download(f"file://{tmp_path}/weights.pth", partial)
    assert partial.read_bytes() == CONTENT
    with pytest.raises(DownloadError, match="No such file or directory"):
        download(f"file://{tmp_path}/none.pth", partial)
    assert caplog.text == ""


@pytest.mark.parametrize("url", ["http://[127.0.0.1/weights.pth", "http://127.0.0.1:port/weights.pth", "http://a b/weights.pth"])
def test_what_is_no_url_is_said_at_once(url, partial, caplog):
    with pytest.raises(DownloadError, match=r"^it is no URL: "):
        download(url, partial)
    assert caplog.text == ""


def test_partial_file_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    with WeightsServer(FILES) as server, pytest.raises(FileNotFoundError):
        download(f"{server.url}/weights.pth", tmp_path / "none" / "weights.part")
    assert server.requests == []


def test_progress_is_shown_on_a_terminal_and_nowhere_else(partial):
    code = (
        "import sys; from pathlib import Path; from vidrec.models.weights.download import download as d; d(sys.argv[1], Path(sys.argv[2]))"
    )
    main_side, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))  # rows and columns
    with WeightsServer(FILES) as server:
        command = [sys.executable, "-c", code, f"{server.url}/weights.pth", str(partial)]
        subprocess.run(command, stderr=terminal, check=True, timeout=120)
        shown = os.read(main_side, 100_000).decode()
        partial.unlink()
        piped = subprocess.run(command, stderr=subprocess.PIPE, check=True, timeout=120)
    os.close(main_side)
    os.close(terminal)
    assert re.search(r"weights\.pth: 100%.*1\.02M/1\.02M", shown)
    assert piped.stderr == b""
