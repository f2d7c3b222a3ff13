"""The text of model_zoo/README.md, from the tables of model_zoo/."""

from collections.abc import Iterable, Iterator, Mapping

from vidrec.commands.tables import clip_text, giga, markdown_table, mega
from vidrec.model_zoo import specs, weights
from vidrec.model_zoo.costs import RowCosts
from vidrec.model_zoo.labels import TITLES
from vidrec.model_zoo.weights import WeightsFile

Costs = Mapping[tuple[str, str], RowCosts]

INTRODUCTION = """# Model zoo

<!-- Written by tools/make_zoo_tables.py from specs.py, weights.csv and costs.json. Change those, then run it. -->

Every network of GluonCV's action-recognition zoo, by name: {torch} names of its PyTorch section and {mxnet} of its MXNet section,
of which {int8} are int8 names. A name stands for a piece of config (`specs.py`); `weights.csv` has the published files.

**Choosing one.** `CONFIG.MODEL.NAME` is a name of the tables, and `CONFIG.MODEL.PRETRAINED: True` loads its published weights.
{both} names exist in both sections, with weights of their own: the PyTorch section is meant, unless `CONFIG.MODEL.ZOO` is `mxnet`
or the name is written `mxnet/NAME`. Where a name has several files, `True` means the first; a hashtag in place of `True` names
one file, and with it the section. `python tools/list_models.py "i3d*"` searches the same tables.

**Whose numbers.** Columns marked (p) are *as published* by the reference zoo. We have measured none of the accuracies: a top-1 is
the reference zoo's own, in percent. Its views (temporal clips x crops) are those of its test protocol: 25 x 10 for networks of
single frames, 10 x 3 for those of clips; which views a single row was measured with is not published, and some of the reference's
config files have fewer. Parameters and multiply-adds are measured by us, by `tools/make_zoo_tables.py`: fvcore counts the network
on PyTorch's meta device, for one clip of the input given (frames x height x width). One multiply-add counts 1: convolutions,
linear layers, attention, BatchNorm (2 per element) and adaptive 2-D average pools. A 2-D network's are those of all its frames.
`python tools/get_flops.py --config-file F` shows a network's parts, and other inputs.

**Speed.** [throughput.html](throughput.html) sets the speed of every network against its published accuracy, as
`tools/benchmark_zoo.py` measured it ([docs/throughput.md](../docs/throughput.md)); save it and open it in a browser.

[![Speed against published accuracy on Kinetics-400: points colored by family, the Pareto front
dotted](../docs/images/throughput.png)](throughput.html)

**What was tried with real files.** No published weights file could be fetched where vidrec is developed: no loading step was
exercised with a real one. Download, resumption, SHA-1 check, unpacking, reading and renaming were exercised with files of the
same layout, which hold the parameter names and shapes of the reference and deterministic values; the networks' outputs for those
values equal the reference's."""

CUSTOM = """## Names without published weights of their own

`_custom` names are for classes of your own: with `PRETRAINED` they start from the Kinetics-400 file of the same network, with a new
classifier (counted here for 400 classes). An int8 name loads the float network of the same name, which is quantized later.
"""


def zoo_readme(costs: Costs) -> str:
    """The whole file."""
    counts = {section: len(specs.names(section)) for section in specs.SECTIONS}
    int8 = sum(name.endswith("_int8") for name in specs.names())
    both = sum(len(specs.sections(name)) == 2 for name in specs.names())
    parts = [INTRODUCTION.format(**counts, int8=int8, both=both)]
    for data_set, title in TITLES.items():
        parts.append(f"## {title}")
        for section in specs.SECTIONS:
            files = [file for file in weights.FILES if file.section == section and specs.row(file.name, section).data_set == data_set]
            if files:
                parts.append(f"### {title}, {specs.SECTION_TITLES[section]} section\n\n{_published_table(files, costs)}")
    parts.append(f"{CUSTOM}\n{_unpublished_table(costs)}")
    return "\n\n".join(parts) + "\n"


def _published_table(files: Iterable[WeightsFile], costs: Costs) -> str:
    header = ["name", "pretraining (p)", "segments (p)", "clip (p)", "top-1, % (p)", "views", "hashtag (p)"]
    rows = []
    for file in files:
        top1 = "-" if file.top1 is None else f"{file.top1:.2f}"
        published = [file.name, file.pretrained or "-", str(file.segments), file.clip_length, top1, _views(file), file.hashtag]
        rows.append([*published, *_counted(costs[file.section, file.name].with_segments(file.segments)), f"[yaml](../{config_path(file)})"])
    return markdown_table([*header, "input", "parameters, M", "multiply-adds, G", "config"], rows, "<<><>><>>><")


def _unpublished_table(costs: Costs) -> str:
    rows = []
    for row in specs.ROWS:
        files = weights.published(row.name, row.section)
        if not any(file.name == row.name for file in files):
            borrowed = f"{files[0].name} {files[0].hashtag}" if files else "-"
            rows.append([row.name, row.section, clip_text(row.clip), *_counted(costs[row.section, row.name]), borrowed])
    return markdown_table(["name", "section", "clip", "input", "parameters, M", "multiply-adds, G", "starts from"], rows, "<<<>>><")


def _counted(costs: RowCosts) -> Iterator[str]:
    yield f"{costs.num_frames} x {costs.crop_size} x {costs.crop_size}"
    yield from (mega(costs.parameters), giga(costs.multiply_adds))


def _views(file: WeightsFile) -> str:
    """Of the reference's test protocol; none where it publishes no accuracy."""
    if file.top1 is None:
        return "-"
    return "250 (25 x 10)" if specs.row(file.name, file.section).clip.num_segments > 1 else "30 (10 x 3)"


def config_path(file: WeightsFile) -> str:
    """The config of a published file: its default one has the plain name, a further one of the same name the hashtag too.

    Example: the second file of mxnet/i3d_resnet50_v1_hmdb51 -> configs/hmdb51/mxnet/i3d_resnet50_v1_hmdb51-0d0ad559.yaml
    """
    folder = specs.row(file.name, file.section).data_set + ("/mxnet" if file.section == "mxnet" else "")
    is_default = weights.published(file.name, file.section)[0] == file
    return f"configs/{folder}/{file.name if is_default else file.stem}.yaml"
