"""Every architecture of the model zoo to torch.export and ONNX: the first half, by turns; two files, so that two processes share them."""

import pytest
from zoo_architectures import architectures, check_export

from vidrec.model_zoo import specs


def test_architectures_cover_all_names_of_both_sections():
    covered = [name for names in architectures().values() for name in names]
    assert sorted(covered) == sorted(f"{row.section}/{row.name}" for row in specs.ROWS) and len(covered) == 105
    assert len(architectures()) == 44


@pytest.mark.slow
@pytest.mark.parametrize("name", list(architectures())[::2])
def test_exported_network_of_the_zoo_gives_the_scores_of_the_network(name, tmp_path):
    check_export(name, tmp_path)
