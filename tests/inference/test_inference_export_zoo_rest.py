"""Every architecture of the model zoo to torch.export and ONNX: the second half, by turns."""

import pytest
from zoo_architectures import architectures, check_export


@pytest.mark.slow
@pytest.mark.parametrize("name", list(architectures())[1::2])
def test_exported_network_of_the_zoo_gives_the_scores_of_the_network(name, tmp_path):
    check_export(name, tmp_path)
