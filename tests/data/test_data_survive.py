"""Reading on after videos that end their loader process."""

from functools import partial

import pytest
from loader_toys import Fatal

from vidrec.data.annotations import VideoTable
from vidrec.data.loaders import LoaderDied, make_loader
from vidrec.data.survive import surviving


def load(dataset, places):
    return make_loader(dataset, places, batch_size=None, num_workers=2, read_timeout=2.0)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("kill", "its loader process was killed by signal 9 (the system does so when memory runs out)."),
        pytest.param("hang", "its loader process took longer than CONFIG.DATA.READ_TIMEOUT, 2 seconds.", marks=pytest.mark.slow),
    ],
)
def test_video_that_ends_its_process_fails_and_all_others_are_read(how, reason):
    table = VideoTable.from_paths([f"/videos/number {number}.mp4" for number in range(8)])
    found = list(surviving(partial(load, Fatal(how)), table))
    assert [item for item in found if isinstance(item, int)] == [0, 1, 2, 4, 5, 6, 7]
    assert found[3].index == 3 and found[3].failure.path == "/videos/number 3.mp4"
    assert found[3].failure.reason == f"/videos/number 3.mp4 cannot be read: {reason}"


@pytest.mark.slow
def test_death_that_no_video_of_the_list_explains_is_raised():
    table = VideoTable.from_paths([f"/other/{number}.mp4" for number in range(8)])
    with pytest.raises(LoaderDied, match="killed by signal 9"):
        list(surviving(partial(load, Fatal("kill")), table))
