"""The tools that compare decoders and watch their memory."""

import pytest

from vidrec.commands import compare_decoders, soak_decoders
from vidrec.commands.pan_videos import generate_videos
from vidrec.commands.soak_decoders import Growth, row


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return generate_videos(tmp_path_factory.mktemp("videos"), count=1, num_frames=24)[0]


def test_soaking_reports_every_decoder_and_its_open_files(video, capsys):
    assert soak_decoders.main([str(video), "--decoders", "auto", "opencv", "--opens", "20"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| decoder | opens | growth, MiB | KiB an open | open files |"
    assert [row.split(" | ")[0] for row in rows] == ["| auto", "| opencv"]
    assert all(row.endswith("| 0 |") for row in rows)


def test_growth_is_a_line_of_markdown():
    assert row(Growth("auto", 2000, 1.0, 0)) == "| auto | 2,000 | 1.0 | 0.51 | 0 |"


class Leaking:
    """A reader that keeps its file open."""

    kept: list = []  # noqa: RUF012

    def __init__(self, path: str):
        self.kept.append(open(path, "rb"))  # noqa: SIM115

    def __len__(self):
        return 1

    def get_frames(self, indices):
        return None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def test_a_decoder_that_leaks_ends_the_soak_with_its_name(video, capsys, monkeypatch):
    from vidrec.data.decoders import DECODERS

    monkeypatch.setattr(DECODERS, "_targets", DECODERS._targets | {"leaking": f"{__name__}:Leaking"})
    with pytest.raises(SystemExit) as caught:
        soak_decoders.main([str(video), "--decoders", "leaking", "--opens", "10"])
    for file in Leaking.kept:
        file.close()
    written = capsys.readouterr()
    assert caught.value.code == 1
    assert written.out.splitlines()[-1].endswith("| 10 |")
    assert "leaking left more than 20 MiB or open files behind; it must be less." in written.err


def test_too_few_opens_are_refused(capsys):
    with pytest.raises(SystemExit):
        soak_decoders.main(["--opens", "9"])
    assert "--opens is 9; it must be at least 10." in capsys.readouterr().err


def test_comparison_says_what_each_decoder_does(video, tmp_path, capsys):
    (tmp_path / "page.mp4").write_text("<html>not found</html>")
    assert compare_decoders.main([str(video), str(tmp_path / "page.mp4"), "--decoders", "auto", "opencv", "--repeats", "1"]) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(row[1], row[2][:7]) for row in rows] == [("auto", "equal"), ("opencv", "equal"), ("auto", "refused"), ("opencv", "refused")]
    assert float(rows[0][3].rstrip(" |")) > 0


def test_comparison_refuses_an_unknown_decoder_and_a_senseless_clip(video, capsys):
    with pytest.raises(SystemExit):
        compare_decoders.main([str(video), "--decoders", "vlc"])
    assert "'vlc' is not a decoder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        compare_decoders.main([str(video), "--clip", "0", "2"])
    assert "--clip is 0 2" in capsys.readouterr().err
