"""A small demo data set and a config on it, for tests of the real commands."""

import pytest
from tool_runs import write_config


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory):
    """24 training and 10 validation videos of 40x40 pixels and 12 frames."""
    from vidrec.commands.make_demo_data import DemoSet, make_demo_data

    folder = tmp_path_factory.mktemp("demo") / "data"
    make_demo_data(folder, DemoSet(num_train=24, num_val=10, frames=12, size=40), workers=1)
    return folder


@pytest.fixture
def config(demo_data, tmp_path):
    """A config file for a tiny network on the demo data; its runs go below tmp_path/runs."""
    return write_config(tmp_path / "tiny.yaml", demo_data, tmp_path / "runs")
