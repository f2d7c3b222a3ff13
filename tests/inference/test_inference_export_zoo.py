"""Every architecture of the model zoo, with all its layers and a small clip, to torch.export and ONNX."""

import pytest
import torch
from zoo_architectures import architectures, small_clip

from vidrec.inference.export import Exportable, capture, compare, without_traces
from vidrec.inference.export_onnx import load_onnx, write_onnx
from vidrec.model_zoo import specs
from vidrec.models.build import get_model


def test_architectures_cover_all_names_of_both_sections():
    covered = [name for names in architectures().values() for name in names]
    assert sorted(covered) == sorted(f"{row.section}/{row.name}" for row in specs.ROWS) and len(covered) == 105


@pytest.mark.slow
@pytest.mark.parametrize("name", architectures())
def test_exported_network_of_the_zoo_gives_the_scores_of_the_network(name, tmp_path):
    torch.manual_seed(0)
    frames, size = small_clip(name)
    network = Exportable(get_model(name, num_classes=7).eval(), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    clips = torch.randint(0, 256, (4, frames, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    inputs, logits = network.inputs(clips), network.logits(clips)
    program = without_traces(capture(network.module, inputs[:2]))
    assert compare(torch.no_grad()(program.module()), inputs, logits).over_std < 1e-5
    write_onnx(program, tmp_path / "a.onnx", facts={})
    assert compare(load_onnx(tmp_path / "a.onnx"), inputs, logits).over_std < 1e-3
