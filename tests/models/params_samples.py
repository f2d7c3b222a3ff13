"""Small real `.params` files that MXNet wrote, as measured for the reference zoo, what is in them, and pieces to make others of."""

import base64
import struct

V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA

_BASE64 = {
    "dtypes.params": (
        "EgEAAAAAAAAAAAAAAAAAAAkAAAAAAAAAyfqT+QAAAAACAAAAAgAAAAAAAAACAAAAAAAAAAEAAAAAAAAAAAAAAAAAwD8AAADAAABAQAAAgEDJ+pP5AAAAAAEA"
        "AAACAAAAAAAAAAEAAAAAAAAAAQAAAAAAAAAAAPQ/nHUAiDzkN37J+pP5AAAAAAEAAAADAAAAAAAAAAEAAAAAAAAAAgAAAAA4ALz/e8n6k/kAAAAAAQAAAAMA"
        "AAAAAAAAAQAAAAAAAAADAAAAAP8HyfqT+QAAAAABAAAAAgAAAAAAAAABAAAAAAAAAAQAAAD/////////f8n6k/kAAAAAAQAAAAIAAAAAAAAAAQAAAAAAAAAF"
        "AAAAgH/J+pP5AAAAAAEAAAACAAAAAAAAAAEAAAAAAAAABgAAAPv/////////AAAAAAABAADJ+pP5AAAAAAEAAAABAAAAAAAAAAEAAAAAAAAAAAAAAAAA4EDJ"
        "+pP5AAAAAAMAAAABAAAAAAAAAAEAAAAAAAAAAQAAAAAAAAABAAAAAAAAAAAAAAAAAAAACQAAAAAAAAADAAAAAAAAAGYzMgMAAAAAAAAAZjY0AwAAAAAAAABm"
        "MTYCAAAAAAAAAHU4AwAAAAAAAABpMzICAAAAAAAAAGk4AwAAAAAAAABpNjQDAAAAAAAAAG9uZQkAAAAAAAAAZW1wdHlfZGlt"
    ),
    "legacy_v0.params": ("EgEAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAgAAAAEAAAADAAAAAQAAAAAAAAAAAAAAAACAPwAAAEAAAEBAAQAAAAAAAAADAAAAAAAAAGFiYw=="),
    "list_nokeys.params": (
        "EgEAAAAAAAAAAAAAAAAAAAIAAAAAAAAAyfqT+QAAAAACAAAAAgAAAAAAAAACAAAAAAAAAAEAAAAAAAAAAAAAAAAAwD8AAADAAABAQAAAgEDJ+pP5AAAAAAEA"
        "AAACAAAAAAAAAAEAAAAAAAAABQAAAIB/AAAAAAAAAAA="
    ),
    "npshape.params": (
        "EgEAAAAAAAAAAAAAAAAAAAMAAAAAAAAAyvqT+QAAAAAAAAAAAQAAAAAAAAAAAAAAAABgQMr6k/kAAAAAAgAAAAEAAAAAAAAAAgAAAAAAAAABAAAAAAAAAAAA"
        "AAAAAIA/AAAAQMr6k/kAAAAAAgAAAAAAAAAAAAAAAwAAAAAAAAABAAAAAAAAAAAAAAADAAAAAAAAAAYAAAAAAAAAc2NhbGFyAQAAAAAAAABhBAAAAAAAAAB6"
        "ZXJv"
    ),
    "sparse.params": (
        "EgEAAAAAAAAAAAAAAAAAAAIAAAAAAAAAyfqT+QEAAAACAAAAAgAAAAAAAAACAAAAAAAAAAIAAAAFAAAAAAAAAAIAAAAAAAAAAQAAAAAAAAAAAAAABgAAAAEA"
        "AAACAAAAAAAAAAAAgD8AAABAAABAQAAAgEABAAAAAAAAAAMAAAAAAAAAyfqT+QIAAAABAAAAAwAAAAAAAAACAAAAAgAAAAAAAAADAAAAAAAAAAEAAAAAAAAA"
        "AAAAAAYAAAABAAAAAwAAAAAAAAAGAAAAAQAAAAMAAAAAAAAAAACAPwAAAEAAAEBAAAAAAAAAAAABAAAAAAAAAAMAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAIA"
        "AAAAAAAAAgAAAAAAAAACAAAAAAAAAHJzAwAAAAAAAABjc3I="
    ),
    "tiny.params": (
        "EgEAAAAAAAAAAAAAAAAAAAcAAAAAAAAAyfqT+QAAAAACAAAABAAAAAAAAAADAAAAAAAAAAEAAAAAAAAAAAAAADqK8LxT3R6/yq/yPs4QDD8ZWGK9KiQEP0ju"
        "nb7n7EQ/OgAjPxarCUB5yR4/oYJEv8n6k/kAAAAAAQAAAAQAAAAAAAAAAQAAAAAAAAAAAAAAkmC1vI5Dcr37vsM9t3ITvMn6k/kAAAAAAQAAAAQAAAAAAAAA"
        "AQAAAAAAAAAAAAAA5ThrP9Q+vj/Zhqc/UvY+P8n6k/kAAAAAAQAAAAQAAAAAAAAAAQAAAAAAAAAAAAAAzzqkPMIDEL1j5188XLNRvsn6k/kAAAAAAQAAAAQA"
        "AAAAAAAAAQAAAAAAAAAAAAAAbO7KvVuNKbxpIIA9wvEGvcn6k/kAAAAAAQAAAAQAAAAAAAAAAQAAAAAAAAAAAAAAypZgP1/AKT9a94c/Y6y2P8n6k/kAAAAA"
        "AgAAAAIAAAAAAAAABAAAAAAAAAABAAAAAAAAAAAAAAC4UfI+mfx9vosAeD82tJo+rdlhPqkLV765c/K+FQqevgcAAAAAAAAACAAAAAAAAAAwLndlaWdodAYA"
        "AAAAAAAAMC5iaWFzBwAAAAAAAAAxLmdhbW1hBgAAAAAAAAAxLmJldGEOAAAAAAAAADEucnVubmluZ19tZWFuDQAAAAAAAAAxLnJ1bm5pbmdfdmFyCAAAAAAA"
        "AAAyLndlaWdodA=="
    ),
    "v1.params": (
        "EgEAAAAAAAAAAAAAAAAAAAEAAAAAAAAAyPqT+QIAAAABAAAAAAAAAAMAAAAAAAAAAQAAAAAAAAAAAAAAAACAPwAAAEAAAEBAAQAAAAAAAAADAAAAAAAAAGFiYw=="
    ),
}
FILES = {name: base64.b64decode(text) for name, text in _BASE64.items()}

# name -> (type, values) of each array, in the order of the file
CONTENT = {
    "tiny.params": {
        "0.weight": (
            "float32",
            [
                [-0.0293627866, -0.62056464, 0.473997414],
                [0.547131419, -0.0552597977, 0.51617682],
                [-0.308458567, 0.769239843, 0.636722207],
                [2.15106726, 0.620261729, -0.767618239],
            ],
        ),
        "0.bias": ("float32", [-0.0221407749, -0.0591464564, 0.0955791101, -0.00899951812]),
        "1.gamma": ("float32", [0.918836892, 1.48629236, 1.30880272, 0.74594605]),
        "1.beta": ("float32", [0.0200475734, -0.0351598337, 0.0136660067, -0.204785764]),
        "1.running_mean": ("float32", [-0.0990875661, -0.0103486432, 0.0625618175, -0.032945402]),
        "1.running_var": ("float32", [0.877300858, 0.6630916, 1.06223607, 1.42713583]),
        "2.weight": (
            "float32",
            [[0.473279715, -0.248033896, 0.968758285, 0.30215615], [0.22055693, -0.210005417, -0.473539144, -0.30867067]],
        ),
    },
    "dtypes.params": {
        "f32": ("float32", [[1.5, -2.0], [3.0, 4.0]]),
        "f64": ("float64", [1.25, 1e300]),
        "f16": ("float16", [0.5, -1.0, 65504.0]),
        "u8": ("uint8", [0, 255, 7]),
        "i32": ("int32", [-1, 2147483647]),
        "i8": ("int8", [-128, 127]),
        "i64": ("int64", [-5, 1099511627776]),
        "one": ("float32", [7.0]),
        "empty_dim": ("float32", [[[0.0]]]),
    },
    "list_nokeys.params": {
        "0": ("float32", [[1.5, -2.0], [3.0, 4.0]]),
        "1": ("int8", [-128, 127]),
    },
    "sparse.params": {
        "rs": ("float32", [[0.0, 0.0], [1.0, 2.0], [0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]),
        "csr": ("float32", [[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]]),
    },
    "npshape.params": {
        "scalar": ("float32", 3.5),
        "a": ("float32", [[1.0, 2.0]]),
        "zero": ("float32", []),
    },
    "v1.params": {"abc": ("float32", [[1.0, 2.0, 3.0]])},
    "legacy_v0.params": {"abc": ("float32", [[1.0, 2.0, 3.0]])},
}

# The network of tiny.params: Dense(3, 4), BatchNorm(4) with eps 1e-05, Dense(4, 2) without bias.
TINY_INPUT = [[0.0, 0.10000000149011612, 0.20000000298023224], [0.30000001192092896, 0.4000000059604645, 0.5]]
TINY_OUTPUT = [[0.277519196, -0.0561386719], [0.634565592, -0.497323513]]


def shape_of(*dims: int) -> bytes:
    return struct.pack(f"<i{len(dims)}q", len(dims), *dims)


def array(*dims: int, data: bytes, flag: int = 0, magic: int = V2) -> bytes:
    return struct.pack("<Ii", magic, 0) + shape_of(*dims) + struct.pack("<iii", 1, 0, flag) + data


def sparse(storage: int, *dims: int, stored: tuple[int, ...], indices: list[list[int]], data: bytes, index_flag: int = 6) -> bytes:
    """A float32 array of storage 1 (row_sparse) or 2 (csr)."""
    head = struct.pack("<Ii", V2, storage) + shape_of(*stored) + shape_of(*dims) + struct.pack("<iii", 1, 0, 0)
    kinds = b"".join(struct.pack("<i", index_flag) + shape_of(len(index)) for index in indices)
    code = {4: "i", 6: "q"}.get(index_flag, "f")
    return head + kinds + data + b"".join(struct.pack(f"<{len(index)}{code}", *index) for index in indices)


def file_of(*arrays: bytes, names: tuple[bytes, ...] = ()) -> bytes:
    written = b"".join(struct.pack("<Q", len(name)) + name for name in names)
    return struct.pack("<QQQ", 0x112, 0, len(arrays)) + b"".join(arrays) + struct.pack("<Q", len(names)) + written


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)
