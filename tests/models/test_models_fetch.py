"""Published files in the cache: fetched once from a real server or a mirror folder, checked, and fetched again where they are wrong."""

import hashlib
import logging
import re
import subprocess
import sys
import zipfile

import pytest
from params_samples import FILES
from weights_server import WeightsServer

from vidrec.model_zoo.weights import HOST, WeightsFile
from vidrec.models.weights import download
from vidrec.models.weights.fetch import cache_folder, fetch, file_url
from vidrec.utils.errors import WeightsError

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
OTHER = CONTENT[:-1] + b"x"


def published(content: bytes, section: str = "torch", digits: int = 40) -> WeightsFile:
    return WeightsFile(section, "tiny_kinetics400", hashlib.sha1(content).hexdigest()[:digits], "", 1, "1", None)


def in_zip(content: bytes, folder, name: str = "tiny.params") -> bytes:
    with zipfile.ZipFile(folder / "made.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return (folder / "made.zip").read_bytes()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no waiting between attempts."""
    monkeypatch.setenv("VIDREC_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(download, "BACK_OFF", 0.0)
    return tmp_path / "home" / "weights"


@pytest.fixture
def serve(cache, monkeypatch):
    """Starts a server that is the mirror; its arguments are WeightsServer's."""
    servers = []

    def start(files, **rules):
        servers.append(WeightsServer(files, **rules).__enter__())
        monkeypatch.setenv("VIDREC_MIRROR", servers[-1].url)
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


def kept(cache) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


FILE, PLACE = published(CONTENT), f"/torch/models/{published(CONTENT).stem}.pth"
TINY = published(FILES["tiny.params"], "mxnet")
TINY_PLACE = f"/gluon/models/{TINY.stem}.zip"


def test_file_is_fetched_once(cache, serve):
    server = serve({PLACE: CONTENT})
    assert fetch(FILE) == cache / f"tiny_kinetics400-{FILE.sha1[:8]}.pth"
    assert fetch(FILE).read_bytes() == CONTENT
    assert server.requests == [(PLACE, "")]
    assert kept(cache) == [FILE.file_name]


def test_interrupted_download_is_taken_up_by_the_next_run(cache, serve):
    server = serve({PLACE: CONTENT}, cut_after=[100_000, 200_000, 300_000, 400_000])
    with pytest.raises(WeightsError, match=r"cannot be fetched \(the connection ended after 400,000 of 1,024,000 bytes\)"):
        fetch(FILE)
    assert kept(cache) == [f"{FILE.file_name}.part"]
    assert fetch(FILE).read_bytes() == CONTENT
    assert server.requests[4:] == [(PLACE, "bytes=400000-")]
    assert kept(cache) == [FILE.file_name]


def test_missing_file_names_url_and_place(cache, serve):
    server = serve({})
    with pytest.raises(WeightsError) as caught:
        fetch(FILE)
    assert str(caught.value) == (
        f"{server.url}{PLACE} cannot be fetched (the server answers 404 Not Found); the weights must be at {cache / FILE.file_name}. "
        "Put the file there, or set CONFIG.MODEL.PRETRAINED False."
    )
    assert len(server.requests) == 1


def test_missing_zip_names_both_places(cache, serve):
    server = serve({})
    with pytest.raises(WeightsError) as caught:
        fetch(TINY)
    assert str(caught.value) == (
        f"{server.url}{TINY_PLACE} cannot be fetched (the server answers 404 Not Found); the weights must be at "
        f"{cache / TINY.stem}.params (or, as published, {cache / TINY.stem}.zip). Put the file there, or set CONFIG.MODEL.PRETRAINED False."
    )


def test_wrong_file_is_thrown_away_and_fetched_once_more(cache, serve, caplog):
    server = serve({PLACE: OTHER})
    with pytest.raises(WeightsError) as caught:
        fetch(FILE)
    assert str(caught.value) == (
        f"{server.url}{PLACE} gave twice a file with SHA-1 {hashlib.sha1(OTHER).hexdigest()}; the published one has {FILE.sha1}. "
        f"Set VIDREC_MIRROR to another place, or put the file at {cache / FILE.file_name}."
    )
    assert server.requests == [(PLACE, ""), (PLACE, "")]
    assert "it is thrown away" in caplog.text
    assert kept(cache) == []


def test_partial_file_of_something_else_costs_one_more_download(cache, serve):
    cache.mkdir(parents=True)
    (cache / f"{FILE.file_name}.part").write_bytes(b"something else")
    server = serve({PLACE: CONTENT})
    assert fetch(FILE).read_bytes() == CONTENT
    assert server.requests == [(PLACE, "bytes=14-"), (PLACE, "")]


def test_corrupt_file_of_the_cache_is_fetched_again(cache, serve, caplog):
    cache.mkdir(parents=True)
    (cache / FILE.file_name).write_bytes(OTHER)
    server = serve({PLACE: CONTENT})
    assert fetch(FILE).read_bytes() == CONTENT
    assert server.requests == [(PLACE, "")]
    wrong = f"{cache / FILE.file_name} has the SHA-1 {hashlib.sha1(OTHER).hexdigest()}, and {FILE.sha1} is published"
    assert f"{wrong}; it is fetched again" in caplog.text


def test_corrupt_file_that_cannot_be_fetched_again_is_said(cache, serve):
    cache.mkdir(parents=True)
    (cache / FILE.file_name).write_bytes(OTHER)
    serve({})
    wrong = f"{cache / FILE.file_name} has the SHA-1 {hashlib.sha1(OTHER).hexdigest()}, and {FILE.sha1} is published. Put the file there"
    with pytest.raises(WeightsError, match=re.escape(wrong)):
        fetch(FILE)


@pytest.mark.parametrize("digits", [40, 8])
def test_zip_is_fetched_and_its_member_kept_under_its_published_name(digits, cache, serve, tmp_path):
    file = published(FILES["tiny.params"], "mxnet", digits)
    server = serve({TINY_PLACE: in_zip(FILES["tiny.params"], tmp_path, "../../elsewhere.params")})
    assert fetch(file) == cache / f"tiny_kinetics400-{TINY.sha1[:8]}.params"
    assert fetch(file).read_bytes() == FILES["tiny.params"]
    assert server.requests == [(TINY_PLACE, "")]
    assert kept(cache) == [TINY.file_name]


@pytest.mark.parametrize(
    ("content", "found"),
    [(FILES["v1.params"], hashlib.sha1(FILES["v1.params"]).hexdigest()), (None, r"none \(.* cannot be read as a zip \(File is not a zip")],
)
def test_zip_with_another_file_is_fetched_twice_and_refused(content, found, cache, serve, tmp_path):
    server = serve({TINY_PLACE: b"<html>" if content is None else in_zip(content, tmp_path)})
    with pytest.raises(
        WeightsError, match=rf"gave twice a file with SHA-1 {found}.* the published one has {TINY.sha1}\. Set VIDREC_MIRROR"
    ):
        fetch(TINY)
    assert len(server.requests) == 2
    assert kept(cache) == []


@pytest.mark.parametrize("suffix", ["params", "zip"])
def test_file_put_in_the_cache_by_hand_needs_no_server(suffix, cache, serve, tmp_path):
    cache.mkdir(parents=True)
    content = FILES["tiny.params"] if suffix == "params" else in_zip(FILES["tiny.params"], tmp_path)
    (cache / f"{TINY.stem}.{suffix}").write_bytes(content)
    server = serve({})
    assert fetch(TINY).read_bytes() == FILES["tiny.params"]
    assert server.requests == []
    assert kept(cache) == sorted({TINY.file_name, f"{TINY.stem}.{suffix}"})


def test_wrong_zip_put_in_the_cache_by_hand_is_said_and_fetched(cache, serve, tmp_path, caplog):
    cache.mkdir(parents=True)
    (cache / f"{TINY.stem}.zip").write_bytes(b"PK")
    serve({TINY_PLACE: in_zip(FILES["tiny.params"], tmp_path)})
    assert fetch(TINY).read_bytes() == FILES["tiny.params"]
    assert f"{cache / TINY.stem}.zip has the SHA-1 none (" in caplog.text


def test_mirror_may_be_a_folder(cache, tmp_path, monkeypatch):
    (tmp_path / "mirror" / "torch" / "models").mkdir(parents=True)
    (tmp_path / "mirror" / PLACE[1:]).write_bytes(CONTENT)
    monkeypatch.setenv("VIDREC_MIRROR", f"file://{tmp_path}/mirror/")
    assert file_url(FILE) == f"file://{tmp_path}/mirror{PLACE}"
    assert fetch(FILE).read_bytes() == CONTENT


def test_mirror_of_another_scheme_is_refused(cache, monkeypatch):
    monkeypatch.setenv("VIDREC_MIRROR", "/data/mirror")
    with pytest.raises(WeightsError) as caught:
        fetch(FILE)
    assert str(caught.value) == (
        "VIDREC_MIRROR is '/data/mirror'; it must begin with https://, http:// or file://. Set it to the folder that holds "
        f"{PLACE[1:]}, or unset it to fetch from {HOST}."
    )


def test_without_a_mirror_the_reference_zoos_host_is_asked(monkeypatch):
    monkeypatch.delenv("VIDREC_MIRROR", raising=False)
    wanted = f"https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com{PLACE}"
    assert file_url(FILE) == wanted
    monkeypatch.setenv("VIDREC_MIRROR", "")
    assert file_url(FILE) == wanted


def test_cache_that_cannot_be_written_is_one_clear_error(tmp_path, monkeypatch):
    (tmp_path / "home").write_bytes(b"a file")
    monkeypatch.setenv("VIDREC_HOME", str(tmp_path / "home"))
    with pytest.raises(WeightsError) as caught:
        fetch(FILE)
    assert str(caught.value).startswith(f"{tmp_path / 'home' / 'weights' / FILE.file_name} cannot be written or read (")
    assert str(caught.value).endswith("); the weights are kept there. Make room or mend the folder, or set VIDREC_HOME to another one.")


def test_cache_where_nothing_can_be_locked_is_one_clear_error(cache, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.raises(WeightsError, match=r"written or read \(no file can be locked there: FileSystem does .* or set VIDREC_HOME"):
        fetch(FILE)


def test_cache_folder_is_in_the_home_folder_unless_told(monkeypatch):
    monkeypatch.delenv("VIDREC_HOME", raising=False)
    assert cache_folder().parts[-3:] == (".cache", "vidrec", "weights")
    monkeypatch.setenv("VIDREC_HOME", "~/x")
    assert cache_folder().parts[-2:] == ("x", "weights") and cache_folder().is_absolute()


FETCHING = """
import logging, sys
from vidrec.model_zoo.weights import WeightsFile
from vidrec.models.weights.fetch import fetch
logging.basicConfig(level=logging.INFO, stream=sys.stderr)
print("ready", flush=True)
sys.stdin.readline()
print(fetch(WeightsFile(*sys.argv[1:4], "", 1, "1", None)))
"""


@pytest.mark.parametrize("section", ["torch", "mxnet"])
def test_of_two_processes_at_once_one_fetches_and_the_other_takes_its_file(section, cache, serve, tmp_path):
    file = FILE if section == "torch" else TINY
    server = serve({PLACE: CONTENT, TINY_PLACE: in_zip(FILES["tiny.params"], tmp_path)}, pause=0.7)
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    runs = [subprocess.Popen([sys.executable, "-c", FETCHING, *file[:3]], text=True, **pipes) for _ in range(2)]
    assert [run.stdout.readline() for run in runs] == ["ready\n"] * 2
    for run in runs:
        run.stdin.write("go\n")
        run.stdin.flush()
    ends = [run.communicate(timeout=60) for run in runs]
    assert [out for out, _ in ends] == [f"{cache / file.file_name}\n"] * 2
    assert sum(f"another process fetches {file.file_name}; waiting for it" in err for _, err in ends) == 1
    assert len(server.requests) == 1
    assert kept(cache) == [file.file_name]


def test_lock_of_a_process_that_was_killed_holds_nobody_up(cache, serve):
    server = serve({PLACE: CONTENT}, stall=20)
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", FETCHING, *FILE[:3]], text=True, **pipes) as run:
        run.stdin.write("go\n")
        run.stdin.flush()
        while not server.requests or not list(cache.glob("*.part")):
            assert run.poll() is None
        run.kill()
    assert fetch(FILE).read_bytes() == CONTENT
    assert kept(cache) == [FILE.file_name]


def test_fetching_says_once_from_where_and_to_where(cache, serve, caplog):
    server = serve({PLACE: CONTENT})
    with caplog.at_level(logging.INFO, logger="vidrec"):
        fetch(FILE)
        fetch(FILE)  # from the cache, without a word
    assert caplog.messages == [f"weights: fetching {server.url}{PLACE} to {cache}"]
