"""Files of a small run as training and test write them."""

import json

SPEED = {"clips_per_s": 10.0, "data_share": 0.25, "resident_mb": 100.0, "eta_s": 1.0, "top1": 0.5, "top5": 1.0, "lr": 0.1}


def write_metrics(folder):
    """Two epochs of two steps, resumed in the middle of the second one, with a validation after each; not ended."""

    def step(epoch, number, loss, **more):
        rates = {"stem": 0.1, "stem, biases": 0.1, "head": 1.0}
        place = {"kind": "step", "epoch": epoch, "step": number, "epochs_done": epoch + (number + 1) / 2}
        return {**place, "loss": loss, "lrs": rates, **SPEED, **more}

    def after(epoch, loss, val_loss, top1):
        val = {"kind": "val", "epoch": epoch, "top1": top1, "top5": 1.0, "mean_class": top1, "loss": val_loss, "ema_top1": top1 + 0.125}
        return [
            {"kind": "epoch", "epoch": epoch, "loss": loss, "top1": 0.5, "top5": 1.0, "clips": 8, "lr": 0.1},
            {**val, "failed": 1, "best_by": "top1", "per_class": [top1, None]},
        ]

    lines = [
        {"kind": "start", "epoch": 0, "step": 0, "processes": 1},
        step(0, 0, 4.0, grad_norm=8.0),
        step(0, 1, 3.0, grad_norm=7.0),
        *after(0, 3.5, 2.5, 0.25),
        step(1, 0, 2.0),
        {"kind": "end", "ended": "killed", "seconds": 5.0},
        {"kind": "start", "epoch": 1, "step": 1, "processes": 1},
        step(1, 1, 1.0, grad_norm=5.0),
        *after(1, 1.5, 1.25, 0.5),
    ]
    folder.mkdir(exist_ok=True)
    timed = [json.dumps({**line, "time": 1000.0 + place}) for place, line in enumerate(lines)]
    (folder / "metrics.jsonl").write_text("\n".join(timed) + '\n{"kind": "st')


def write_eval(folder, *, several=False):
    """A test of four videos of two classes, one of them unreadable; as docs/evaluation.md describes it."""
    folder.mkdir(parents=True, exist_ok=True)
    accuracy = {"views": 3, "top1": 0.5, "top5": 1.0, "k": 2, "absent_classes": []}
    pair = {"label": 0, "prediction": 1, "label_name": "a<b>", "prediction_name": "b", "videos": 1, "share": 0.5}
    result = {
        "accuracy": {**accuracy, **({"map": 0.75} if several else {"mean_class": 0.75})},
        "top1_interval": {"low": 0.25, "high": 0.75, "level": 0.95, "resamples": 1000, "seed": 0},
        "calibration": {"ece": 0.125, "bins": 15},
        "by_views": [
            {"views": 1, "clips": [0], "crops": [1], "top1": 0.25, "top5": 1.0},
            {"views": 3, "clips": [0], "crops": [0, 1, 2], "top1": 0.5, "top5": 1.0},
        ],
        "confused": None if several else [pair],
        "counts": {"videos": 4, "read": 3, "failed": 1},
        "failed": [{"index": 3, "path": "/v/\udcff.mp4", "reason": "no <frames>"}],
        "protocol": {"name": "reference", "overridden": []},
        "weights": "best.pth",
        "annotation": {"path": "val.txt", "sha256": "ab"},
        "versions": {"vidrec": "0.1.0", "torch": "2.14"},
    }
    (folder / "result.json").write_text(json.dumps(result))
    several_column, cells = (",average_precision", [",0.75", ","]) if several else ("", ["", ""])
    header = f"label,name,videos,failed,predicted,recall,precision{several_column}"
    (folder / "per_class.csv").write_text(f"{header}\n0,a<b>,2,0,1,0.5,1{cells[0]}\n1,b,1,1,2,1,0.5{cells[1]}\n")
    if not several:
        (folder / "confusion.csv").write_text("label,name,0,1,failed\n0,a<b>,1,1,0\n1,b,0,1,1\n")
    video = {"label": 0, "label_name": "a<b>", "prediction": 1, "prediction_name": "b", "correct": False, "probability": 0.125, "loss": 2.0}
    (folder / "hardest.json").write_text(json.dumps([{"index": place, "path": f"/v/{place}.mp4", **video} for place in range(2)]))
