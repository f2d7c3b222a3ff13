"""Figures as benchmark_zoo writes them, with speeds that a test can compute from."""

import pytest

MACHINE = {"device": "a <fast> device", "device_type": "cpu", "threads": 2, "torch": "2.14", "vidrec": "0.1.0"}
SETTINGS = {
    "device": "cpu", "precision": "fp32", "memory_format": "contiguous", "batch_size": 1, "rounds": 3, "warm_up": 1, "clock": "wall",
}  # fmt: skip
# Clips a second. The first three are the Pareto front on Kinetics-400; without the first, C3D is on it.
SPEEDS = {
    "torch/resnet18_v1b_kinetics400": 50.0,
    "torch/i3d_resnet50_v1_kinetics400": 10.0,
    "torch/ircsn_v2_resnet152_f32s2_kinetics400": 2.0,
    "mxnet/p3d_resnet50_kinetics400": 9.0,
    "mxnet/c3d_kinetics400": 20.0,
    "mxnet/vgg16_ucf101": 40.0,
}


def found(clips_per_s):
    return {
        "clips_per_s": clips_per_s,
        "wall_clips_per_s": clips_per_s,
        "cpu_s_per_clip": 2 / clips_per_s,
        "latency_ms": {"median": 1000 / clips_per_s, "worst": 2000 / clips_per_s},
        "flops_per_clip": 10**9,
        "peak_memory_mib": 1234,
        "utilization": 0.5,
        "load_average": 1.5,
        "date": "2026-11-24",
    }


@pytest.fixture
def figures():
    measured = {name: found(speed) for name, speed in SPEEDS.items()} | {"torch/tpn_resnet50_f8s8_kinetics400": {"failed": "no <room>"}}
    measured_as = {name: name for name in measured} | {"mxnet/resnet18_v1b_custom": "torch/resnet18_v1b_kinetics400"}
    kinds = {"benchmark": "inference of the model zoo", "machine": MACHINE, "settings": SETTINGS, "sharing": "Some share."}
    return kinds | {"measured_as": measured_as, "measured": measured}
