"""The page of speed against published accuracy, out of the figures of benchmark_zoo."""

from collections.abc import Mapping, Sequence
from typing import Any

from vidrec.model_zoo import specs, weights
from vidrec.model_zoo.costs import RowCosts, read_costs
from vidrec.model_zoo.labels import TITLES
from vidrec.model_zoo.specs import SECTION_TITLES
from vidrec.pages.frame import make_page, table, text

Figures = Mapping[str, Any]

DATA_SETS = TITLES | {"custom": "classes of your own"}
# How names begin, in the order in which they are tried.
FAMILIES = {
    "i3d_slow": ("Slow", "#2ca02c"),
    "i3d_nl": ("I3D non-local", "#17becf"),
    "i3d_inception": ("I3D Inception", "#9edae5"),
    "i3d": ("I3D", "#1f77b4"),
    "slowfast": ("SlowFast", "#d62728"),
    "tpn": ("TPN", "#9467bd"),
    "r2plus1d": ("R(2+1)D", "#ff7f0e"),
    "ircsn": ("irCSN", "#e377c2"),
    "c3d": ("C3D", "#8c564b"),
    "p3d": ("P3D", "#bcbd22"),
    "inception": ("TSN Inception", "#7f7f7f"),
    "vgg16": ("TSN VGG", "#c7c7c7"),
    "resnet": ("TSN ResNet", "#393b79"),
}
BODY = """<h1>Model zoo: speed against accuracy</h1>
<p>One point is one network. <b>Accuracy is as published by the reference zoo, in percent of its own test; we have not measured it.</b>
Speed is measured by us: {facts}</p>
<p class="soft">{method}</p>
<div class="controls">
<label>data set <select id="data-set">{data_sets}</select></label>
<label>section <select id="section"><option value="">both</option>
<option value="torch">PyTorch (circles)</option><option value="mxnet">MXNet (diamonds)</option></select></label>
<label>speed <select id="speed"><option value="clips">clips per second</option>
<option value="videos">videos per second</option></select></label>
<span id="shown" class="soft"></span>
</div>
<div class="families" id="families">{families}
<span><button id="all" type="button">all</button> <button id="none" type="button">none</button></span></div>
<div id="graph" class="graph"></div>
<p class="soft">The size of a point grows with the square root of the parameters. The dotted line is the Pareto front of what is shown: no
shown network of the same data set is both faster and, as published, more accurate than one on it.</p>
<div id="front"></div>
<h2>Names without a published accuracy</h2>
<div class="tight">{unpublished}</div>
{failures}
<h2>All names</h2>
<details><summary>{count} names with their figures</summary>
<div class="tight">{everything}</div>
</details>
"""
TITLES = ["name", "section", "data set", "clip", "views"]
HEADER = [*TITLES, "parameters, M", "multiply-adds, G", "clips/s", "videos/s", "latency, ms", "top-1, % (published)", "hashtag"]
NUMBERS = range(5, 11)


def throughput_page(figures: Figures) -> str:
    """The whole page of the names that the figures have."""
    costs = read_costs()
    rows = [_row(name, figures, costs) for name in figures["measured_as"]]
    measured = [row for row in rows if "failed" not in row]
    shown = [row for row in measured if row["top1"] is not None]
    families = {title: color for title, color in FAMILIES.values() if any(row["family"] == title for row in shown)}
    data_sets = {name: title for name, title in DATA_SETS.items() if any(row["data_set"] == name for row in shown)}
    options = "".join(f'<option value="{text(name)}">{text(title)}</option>' for name, title in data_sets.items())
    unpublished = [row for row in measured if row["top1"] is None]
    body = BODY.format(
        facts=_facts(figures),
        method=_method(figures),
        data_sets=f'{options}<option value="">all of them</option>',
        families="".join(_family_box(title, color) for title, color in families.items()),
        unpublished=table(HEADER, map(_cells, unpublished), numbers=NUMBERS) if unpublished else "<p>None.</p>",
        failures=_failures([row for row in rows if "failed" in row]),
        count=len(measured),
        everything=table(HEADER, map(_cells, measured), numbers=NUMBERS),
    )
    return make_page(
        "vidrec model zoo: speed against accuracy",
        body,
        data={"rows": [row | {"hover": _hover(row, figures)} for row in shown], "colors": families, "data_sets": data_sets},
        scripts=["plot.js", "throughput.js"],
    )


def family_of(name: str) -> str:
    """Example: `i3d_slow_resnet50_f8s8_kinetics400` -> `Slow`"""
    return next(title for start, (title, _) in FAMILIES.items() if name.startswith(start))


def _row(name: str, figures: Figures, costs: Mapping[tuple[str, str], RowCosts]) -> dict[str, Any]:
    """Everything about a `section/name`; with `failed` instead of speeds where its network could not be measured."""
    row = specs.row(*reversed(name.split("/")))
    files = [file for file in weights.published(row.name, row.section) if file.name == row.name]
    measured_as = figures["measured_as"][name]
    row_costs, found = costs[row.section, row.name], figures["measured"].get(measured_as, {"failed": "not measured yet"})
    facts = {
        "name": row.name,
        "short": row.name.removesuffix(f"_{row.data_set}"),
        "section": row.section,
        "family": family_of(row.name),
        "data_set": row.data_set,
        "clip": _clip_text(row.clip),
        "views": "250 (25 x 10)" if row.clip.num_segments > 1 else "30 (10 x 3)",
        "parameters": row_costs.parameters,
        "multiply_adds": row_costs.multiply_adds,
        "top1": files[0].top1 if files else None,
        "hashtag": files[0].hashtag if files else "",
        "pretrained": files[0].pretrained if files else "",
        "others": [f"{file.top1} ({file.hashtag})" for file in files[1:] if file.top1 is not None],
        "measured_as": measured_as,
    }
    if "failed" in found:
        return facts | {"failed": found["failed"]}
    return facts | _speeds(found, row.clip, figures["settings"]) | {"memory": found["peak_memory_mib"]}


def _speeds(found: Mapping[str, Any], clip: specs.Clip, settings: Mapping[str, Any]) -> dict[str, float]:
    """Speeds of a clip, and of a video: a view of a clip's networks is a clip, one of a network of single frames is a frame."""
    clips = found["clips_per_s"]
    videos = clips * clip.num_segments / 250 if clip.num_segments > 1 else clips / 30
    by_cpu = settings["clock"] == "cpu" and settings["batch_size"] == 1
    return {
        "clips_per_s": clips,
        "videos_per_s": float(f"{videos:.4g}"),
        "latency": round(1000 / clips, 1) if by_cpu else found["latency_ms"]["median"],
    }


def _clip_text(clip: specs.Clip) -> str:
    """Example: `32 frames, stride 2, 224 x 224`; `7 segments of 1 frame, 224 x 224`"""
    size = f"{clip.crop_size} x {clip.crop_size}"
    if clip.num_segments > 1:
        return f"{clip.num_segments} segments of 1 frame, {size}"
    return f"{clip.num_frames} frames, stride {clip.frame_stride}, {size}"


def _hover(row: Mapping[str, Any], figures: Figures) -> str:
    settings, machine = figures["settings"], figures["machine"]
    shared = "" if row["measured_as"] == f"{row['section']}/{row['name']}" else f", measured as {row['measured_as']}"
    more = f"<br>other files, as published: {', '.join(row['others'])}" if row["others"] else ""
    return (
        f"<b>{row['name']}</b><br>{SECTION_TITLES[row['section']]} section, {row['family']}, {DATA_SETS[row['data_set']]}"
        f"<br>top-1 {row['top1']:.2f} % as published, file {row['hashtag']}, starts from {row['pretrained'] or '?'}{more}"
        f"<br>clip: {row['clip']}<br>views of the published test: {row['views']}"
        f"<br>{row['parameters'] / 1e6:.2f} M parameters, {row['multiply_adds'] / 1e9:.2f} G multiply-adds a clip"
        f"<br>{row['clips_per_s']:.4g} clips/s, {row['videos_per_s']:.4g} videos/s{shared}"
        f"<br>latency of one clip {row['latency']:,.1f} ms, {row['memory']:,} MiB"
        f"<br>{settings['precision']} on {machine['device']}"
    )


def _cells(row: Mapping[str, Any]) -> list[str]:
    costs = [f"{row['parameters'] / 1e6:.2f}", f"{row['multiply_adds'] / 1e9:.2f}"]
    speeds = [f"{row['clips_per_s']:.4g}", f"{row['videos_per_s']:.4g}", f"{row['latency']:,.1f}"]
    top1 = "-" if row["top1"] is None else f"{row['top1']:.2f}"
    title = [row["name"], SECTION_TITLES[row["section"]], DATA_SETS[row["data_set"]], row["clip"], row["views"]]
    return [*title, *costs, *speeds, top1, row["hashtag"] or "-"]


def _facts(figures: Figures) -> str:
    """The machine and the way of measuring, as HTML."""
    machine, settings = figures["machine"], figures["settings"]
    dates = sorted({found["date"] for found in figures["measured"].values() if "date" in found})
    span = f"{dates[0]} to {dates[-1]}" if len(dates) > 1 else "".join(dates)
    threads = f", {machine['threads']} thread{'s' if machine['threads'] > 1 else ''}" if machine["device_type"] == "cpu" else ""
    way = f"{settings['precision']}, {settings['memory_format']}, batch {settings['batch_size']}, medians of {settings['rounds']} passes"
    return f"<b>{text(machine['device'])}</b>{threads}, {text(way)}, torch {text(machine['torch'])}, {span}."


def _method(figures: Figures) -> str:
    """What a speed is here, as HTML."""
    loads = [found["load_average"] for found in figures["measured"].values() if "load_average" in found]
    clock = ""
    if figures["settings"]["clock"] == "cpu" and loads:
        clock = (
            f" Others used the machine meanwhile (load average {min(loads):g} to {max(loads):g}), so seconds are those that the process"
            " itself had on the CPU, divided by its threads, and not the clock's."
        )
    return text(
        "A clip is what a network was published for: so many frames in the size of its crop, of a network of single frames those of all"
        " its segments. A video is all views of the reference zoo's test protocol: 30 clips, or 250 single frames. Pixels are random and"
        f" lie in memory: reading and decoding are not counted, normalization is.{clock} {figures['sharing']}"
    )


def _failures(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    cells = [[row["name"], SECTION_TITLES[row["section"]], row["clip"], row["failed"]] for row in rows]
    return "<h2>Names without a speed</h2>\n" + table(["name", "section", "clip", "reason"], cells)


def _family_box(title: str, color: str) -> str:
    dot = f'<span class="dot" style="background:{color}"></span>'
    return f'<label><input type="checkbox" checked value="{text(title)}">{dot}{text(title)}</label>'
