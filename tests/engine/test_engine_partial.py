"""A test that was killed goes on where it was, and ends as if nothing had happened."""

import logging

import numpy as np
import pytest
import torch
from engine_toy import MEAN, STD, ToyNet, ToyVideos, as_it_is
from torch.utils.data import DataLoader
from two_processes import run_by_two

from vidrec.engine import tester
from vidrec.engine.averages import ViewAverage
from vidrec.engine.evaluation import partial
from vidrec.engine.evaluation.partial import PartialScores, digest, find_unfinished
from vidrec.engine.evaluation.view_counts import ByViews, view_counts
from vidrec.utils import dist
from vidrec.utils.errors import UserError

FACTS = {"weights": "ab", "protocol": {"num_clips": 3, "mean": [0.5, 0.5]}}


class Killed(Exception):
    pass


class KilledAt:
    """The items of a loader up to one, in place of which the process comes to its end."""

    def __init__(self, loader, at):
        self.loader, self.at = loader, at

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        for number, item in enumerate(self.loader):
            if number == self.at:
                raise Killed
            yield item


def toy_tester():
    torch.manual_seed(1)
    by_views = ByViews(view_counts(3, 1, center=0), num_crops=1, with_scores=False)
    average = ViewAverage("logits_mean")
    return tester.Tester(
        ToyNet(0.0, batch_norm=False), device=torch.device("cpu"), mean=MEAN, std=STD, views_per_batch=2, average=average, by_views=by_views
    )


def loader_of(indices, bad=(4,)):
    return DataLoader(ToyVideos(3, bad), batch_size=None, sampler=list(indices), collate_fn=as_it_is)


def left(kept):
    return [index for index in range(9) if index not in kept.done][dist.rank() :: dist.world_size()]


def run(folder, *, kill_at=99, bad=(4,), facts=FACTS):
    kept = PartialScores(folder, facts)
    videos = left(kept)
    return videos, toy_tester().run(KilledAt(loader_of(videos, bad), kill_at), num_videos=9, kept=kept), kept


def equal(one, other):
    same = [np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in ("labels", "scores", "failed")]
    return all(same) and np.array_equal(one.by_views, other.by_views) and one.reasons == other.reasons


def test_a_killed_test_goes_on_and_ends_with_the_same_scores(tmp_path, monkeypatch):
    monkeypatch.setattr(partial, "SAVE_EVERY_S", 0.0)
    _, undisturbed, _ = run(tmp_path / "other")
    for kill_at, remain in ((2, range(2, 9)), (3, [4, 5, 6, 7, 8]), (3, [4, 7, 8])):  # 4 cannot be read, and is tried again
        with pytest.raises(Killed):
            run(tmp_path / "eval.partial", kill_at=kill_at)
        assert left(PartialScores(tmp_path / "eval.partial", FACTS)) == list(remain)
    videos, result, kept = run(tmp_path / "eval.partial")
    assert videos == [4, 7, 8] and equal(result, undisturbed)
    kept.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_scores_are_on_disk_when_a_test_ends_early_whenever_it_last_wrote(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, kill_at=3)
    assert PartialScores(tmp_path, FACTS).done == {0, 1, 2}


def test_a_video_that_was_mended_is_read(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path, kill_at=6)
    videos, result, _ = run(tmp_path, bad=())
    assert videos == [4, 6, 7, 8] and not result.reasons


def test_a_video_that_was_replaced_is_scored_again_and_one_that_cannot_be_looked_at_is_not(tmp_path):
    then = [(100, 7), (100, 7), (100, 7), (0, 0), (100, 7)]
    kept = PartialScores(tmp_path, FACTS)
    for index, stamp in enumerate(then):
        kept.add(index, 0, np.array([index, 0.0]), stamp=stamp)
    kept.save()
    now = [(100, 7), (101, 7), (100, 8), (100, 7), (0, 0)]  # the same, another size, another time, unknown then, unknown now
    again = PartialScores(tmp_path, FACTS, stamp=now.__getitem__)
    assert (again.done, again.replaced, again.known.indices) == ({0, 3, 4}, [1, 2], [0, 3, 4])
    again.add(1, 0, np.array([-1.0, 0.0]), stamp=now[1])
    again.save()
    last = PartialScores(tmp_path, FACTS, stamp=now.__getitem__)
    assert (last.done, last.replaced) == ({0, 1, 3, 4}, [2])
    assert dict(zip(last.known.indices, last.known.scores, strict=True))[1].tolist() == [-1.0, 0.0]


def test_scores_of_another_test_are_not_used_and_stay(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "vidrec")
    with pytest.raises(Killed):
        run(tmp_path, kill_at=3)
    (folder,) = tmp_path.iterdir()
    other = {"weights": "cd", "protocol": {"num_clips": 3, "mean": [0.4, 0.4]}, "device": "cpu"}
    kept = PartialScores(tmp_path, other)
    assert kept.done == set()
    assert caplog.messages == [
        f"the unfinished test in {folder} is another one (weights was 'ab' and is now 'cd'; protocol.mean was [0.5, 0.5] and is now "
        "[0.4, 0.4]; device was None and is now 'cpu'); its scores are not used and stay there: end it, or remove the folder"
    ]
    kept.remove()
    assert PartialScores(tmp_path, FACTS).done == {0, 1, 2}


def test_a_damaged_file_of_scores_is_said_and_its_videos_are_scored_again(tmp_path, caplog):
    with pytest.raises(Killed):
        run(tmp_path, kill_at=3)
    (file,) = tmp_path.glob("*/part_0_0.npz")
    file.write_bytes(file.read_bytes()[:-40])
    assert run(tmp_path)[0] == list(range(9)) and "part_0_0.npz is damaged" in caplog.text
    assert sorted(path.name for path in file.parent.iterdir()) == ["part_0_0.npz", "part_0_1.npz", "test.json"]


def test_scores_that_are_not_finite_are_not_kept_and_an_empty_test_is_not_said(tmp_path, caplog):
    kept = PartialScores(tmp_path, FACTS)
    kept.add(0, 1, np.array([np.nan, 0.0]))
    kept.save()
    assert PartialScores(tmp_path, {"weights": "cd"}).done == PartialScores(tmp_path, FACTS).done == set()
    assert not caplog.messages


def test_a_full_disk_is_said_and_the_test_goes_on(tmp_path, caplog):
    kept = PartialScores(tmp_path, FACTS)
    folder, kept.folder = kept.folder, tmp_path / "away"
    kept.add(0, 1, np.zeros(3))
    kept.save()
    assert "scores cannot be kept in" in caplog.text and "No such file" in caplog.text
    kept.folder = folder
    kept.save()
    assert PartialScores(tmp_path, FACTS).done == {0}


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "eval.partial").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"scores of an unfinished test cannot be kept in .*; choose a folder that you may write to"):
        PartialScores(tmp_path / "eval.partial", FACTS)


def test_the_test_of_a_config_that_was_begun_last_is_found(tmp_path):
    folders = [tmp_path / name for name in ("one", "two", "three")]
    assert find_unfinished(folders, "c1") is None
    for folder, config in zip(folders, ("c1", "c1", "c2"), strict=True):
        PartialScores(folder, FACTS, config=config)
    assert find_unfinished(folders, "c1") == folders[1]


def test_digest_is_that_of_the_weights_alone():
    model = ToyNet(0.0, batch_norm=True)
    found = digest(model)
    assert digest(model.to(memory_format=torch.channels_last_3d)) == found and len(found) == 64
    model.norm.running_mean[0] += 1e-6
    assert digest(model) != found
    model.norm.num_batches_tracked += 1
    assert digest(model.to(torch.bfloat16)) != found


def by_rank(rank, folder):
    """Goes on with what one process has left, and what both get out of it."""
    videos, result, kept = run(folder / "eval.partial")
    dist.barrier()
    kept.remove()
    return {"videos": videos, "scores": None if result is None else torch.from_numpy(result.scores)}


def test_another_number_of_processes_goes_on(tmp_path):
    with pytest.raises(Killed):
        run(tmp_path / "eval.partial", kill_at=3)
    main, other = run_by_two(by_rank, tmp_path)
    assert (main["videos"], other["videos"], other["scores"]) == ([3, 5, 7], [4, 6, 8], None)
    _, alone, _ = run(tmp_path / "alone")
    assert np.array_equal(main["scores"].numpy(), alone.scores, equal_nan=True)
    assert not (tmp_path / "eval.partial").exists()
