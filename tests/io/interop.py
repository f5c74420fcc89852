"""Reads what lastrow wrote and writes what lastrow is to read; run by python_test.cpp with a folder's name.

Exit status 77: the packages numpy and safetensors are not installed.
"""

import sys

try:
    import numpy as np
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file
except ImportError as error:
    print(error)
    sys.exit(77)

folder = sys.argv[1]
types = ["float64", "float32", "float16", "int64", "int32", "int8", "uint8"]

# From lastrow, in each type: [[0, 1, 2], [3, 4, 5]], a scalar 7 and an array without elements.
ours = load_file(f"{folder}/ours.safetensors")
assert len(ours) == 3 * len(types), sorted(ours)
for name in types:
    expected = {"matrix": np.arange(6).reshape(2, 3), "scalar": np.array(7), "none": np.zeros((0, 4))}
    for kind, array in expected.items():
        for found in [ours[f"{name}.{kind}"], np.load(f"{folder}/{name}.{kind}.npy")]:
            assert found.dtype == name and found.shape == array.shape, (name, kind, found.dtype, found.shape)
            assert (found == array).all(), (name, kind, found)
with safe_open(f"{folder}/ours.safetensors", framework="np") as file:
    assert file.metadata() == {"causal": "true", "prompt": 'the "quick" fuchs läuft\n'}, file.metadata()
with safe_open(f"{folder}/odd.safetensors", framework="np") as file:
    found = {name: (file.get_slice(name).get_dtype(), file.get_slice(name).get_shape()) for name in file.keys()}
    assert found == {"bf16": ("BF16", [3]), "fp8": ("F8_E4M3", [])}, found

# For lastrow: the same matrix times 1.5, which shows rounding and order.
theirs = {f"{name}.matrix": (1.5 * np.arange(6)).astype(name).reshape(2, 3) for name in types}
theirs["flags"] = np.array([True, False, True])
save_file(theirs, f"{folder}/theirs.safetensors", metadata={"from": "Python", "sign": "π"})
for name in types:
    np.save(f"{folder}/theirs.{name}.npy", theirs[f"{name}.matrix"])
np.save(f"{folder}/fortran.npy", np.asfortranarray(np.arange(6.0).reshape(2, 3)))
np.save(f"{folder}/big_endian.npy", np.arange(6, dtype=">f4"))
np.save(f"{folder}/structures.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
