#!/usr/bin/env python3
"""Times PyTorch's scaled_dot_product_attention on the shapes that lastrow-kernels timed.

    lastrow-kernels --time --json times.json
    python3 tests/bench/torch_sdpa.py times.json         adds "rivals" to the file, in place
    lastrow-kernels --from times.json --table gpu/README.md

Each backend is pinned (torch.nn.attention.sdpa_kernel), so that PyTorch cannot silently take another one. A backend
that this PyTorch lacks, or that cannot take a shape, is named on standard error and left out. The file is written
after each shape. K and V go round buffers that together are several times as large as L2. A decode step passes no
mask and no is_causal, because its one query sees every key. SDPA has no pages and no 8-bit K/V, so such shapes are
skipped and counted.

    --seconds N  starts no shape after N seconds, and says how many are left
    --dry-run    lists what would be timed, and writes nothing; needs no PyTorch and no GPU
"""
import argparse
import json
import os
import signal
import sys
import tempfile
import time

BACKENDS = ["FLASH_ATTENTION", "CUDNN_ATTENTION", "EFFICIENT_ATTENTION"]
DTYPES = {"bf16": "bfloat16", "f16": "float16"}
FIELDS = ["name", "n_q_heads", "n_kv_heads", "head_dim", "batch", "q_len", "kv_len", "dtype", "block_len", "kv_bytes"]
TIMES_L2, SAMPLES, ROUND_US = 4, 30, 500.0


def fail(message):
    print(f"torch_sdpa.py: {message}", file=sys.stderr)
    sys.exit(2)


def read_results(path):
    try:
        with open(path, encoding="utf-8") as f:
            results = json.load(f)
    except (OSError, ValueError, RecursionError) as e:
        fail(f"{path}: {e}")
    if not isinstance(results, dict) or not isinstance(results.get("shapes"), list):
        fail(f"{path}: holds no shapes; write it with lastrow-kernels --time --json {path}")
    if not isinstance(results.get("rivals", []), list):
        fail(f"{path}: its rivals are not a list; write it with lastrow-kernels --time --json {path}")
    for shape in results["shapes"]:
        if not isinstance(shape, dict):
            fail(f"{path}: a shape is not an object; write it with lastrow-kernels --time --json {path}")
        missing = [field for field in FIELDS if field not in shape]
        if missing:
            fail(f"{path}: a shape lacks {', '.join(missing)}")
        numbers = [field for field in FIELDS if field not in ("name", "dtype")]
        wrong = [field for field in numbers if type(shape[field]) is not int or shape[field] < (field != "block_len")]
        wrong += [field for field in ("name", "dtype") if not isinstance(shape[field], str)]
        if wrong:
            fail(f"{path}: a shape has no usable {', '.join(wrong)}")
    return results


def takes(shape):
    """is_causal aligns top-left in PyTorch, which is what we mean only where q_len = kv_len."""
    return shape["block_len"] == 0 and shape["dtype"] in DTYPES and shape["q_len"] in (1, shape["kv_len"])


def first_line(error):
    return (str(error) or type(error).__name__).splitlines()[0]


def write_results(path, results):
    """Whole or not at all, whatever ends this program. Through a link the file that it leads to is replaced."""
    path = os.path.realpath(path)
    temporary = None
    try:
        fd, temporary = tempfile.mkstemp(prefix=".lastrow-", suffix=".tmp", dir=os.path.dirname(path))
        with open(fd, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)
            f.write("\n")
        os.chmod(temporary, os.stat(path).st_mode & 0o7777)
        os.replace(temporary, path)
        temporary = None
    except OSError as e:
        fail(f"{path}: cannot be written ({e.strerror}); make room, or write to another folder")
    finally:
        if temporary is not None:
            os.unlink(temporary)


def end_cleanly():
    """A signal that ends this program runs the `finally` above."""
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda n, frame: sys.exit(128 + n))


def merge(results, rivals):
    """Replaces earlier times of the same shape and name, and keeps the others."""
    new = {(r["shape"], r["name"]) for r in rivals}
    kept = [r for r in results.get("rivals", []) if (r["shape"], r["name"]) not in new]
    results["rivals"] = kept + rivals


def median(x):
    return sorted(x)[len(x) // 2]


def time_calls(torch, call, n_buffers):
    """Microseconds of one call: rounds over all buffers, recorded once, so that the host's time stays out."""
    def elapsed(work):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        return 1e3 * start.elapsed_time(end)

    side = torch.cuda.Stream()  # a capture needs its warm-up on a stream of its own
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for i in range(min(3, n_buffers)):
            call(i)
    torch.cuda.current_stream().wait_stream(side)
    once = max(1.0, elapsed(lambda: call(0)))
    n_calls = -(-max(n_buffers, int(ROUND_US / once)) // n_buffers) * n_buffers
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(n_calls):
            call(i % n_buffers)
    graph.replay()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(SAMPLES + 1)]
    events[0].record()
    for event in events[1:]:  # queued one after the other; the host waits only at the end
        graph.replay()
        event.record()
    torch.cuda.synchronize()
    return median([1e3 * a.elapsed_time(b) / n_calls for a, b in zip(events, events[1:])])


def time_shape(torch, shape, l2_bytes):
    from torch.nn.attention import SDPBackend, sdpa_kernel

    dtype = getattr(torch, DTYPES[shape["dtype"]])
    n_buffers = -(-TIMES_L2 * l2_bytes // shape["kv_bytes"])

    def rows(n_heads, n):
        return torch.randn(shape["batch"], n_heads, n, shape["head_dim"], dtype=dtype, device="cuda")

    q = rows(shape["n_q_heads"], shape["q_len"])
    k, v = ([rows(shape["n_kv_heads"], shape["kv_len"]) for _ in range(n_buffers)] for _ in range(2))
    options = {"is_causal": True} if shape["q_len"] > 1 else {}
    if shape["n_q_heads"] != shape["n_kv_heads"]:
        options["enable_gqa"] = True
    for name in BACKENDS:
        backend = getattr(SDPBackend, name, None)
        if backend is None:
            print(f"{shape['name']}: {name}: this PyTorch has none", file=sys.stderr)
            continue
        try:
            with sdpa_kernel(backend):
                us = time_calls(
                    torch,
                    lambda i: torch.nn.functional.scaled_dot_product_attention(q, k[i], v[i], **options),
                    n_buffers)
        except RuntimeError as e:
            print(f"{shape['name']}: {name}: {first_line(e)}", file=sys.stderr)
            torch.cuda.synchronize()  # throws if the device is broken, not if it only refused
            continue
        print(f"{shape['name']}  {name}  {us:.1f} µs", file=sys.stderr)
        yield {"shape": shape["name"], "name": name.removesuffix("_ATTENTION").lower(), "us": us}


def import_torch():
    try:
        import torch
    except ImportError as e:
        fail(f"PyTorch cannot be imported ({e}): install it, or use --dry-run")
    if not torch.cuda.is_available():
        fail("PyTorch finds no GPU")
    return torch


def time_all(torch, path, results, shapes, seconds=float("inf")):
    """Times shape after shape, and keeps each in the file."""
    results["torch"] = torch.__version__
    l2_bytes = torch.cuda.get_device_properties(0).L2_cache_size
    end = time.monotonic() + seconds
    for i, shape in enumerate(shapes):
        if time.monotonic() >= end:
            left = len(shapes) - i
            print(f"{left} shape{'s' if left > 1 else ''} left: the {seconds:g} s are over", file=sys.stderr)
            return
        try:
            merge(results, list(time_shape(torch, shape, l2_bytes)))
            torch.cuda.empty_cache()
        except torch.cuda.OutOfMemoryError:
            print(f"{shape['name']}: does not fit the device's memory", file=sys.stderr)
            torch.cuda.empty_cache()
        except RuntimeError as e:
            fail(f"{shape['name']}: the device no longer answers: {first_line(e)}")
        write_results(path, results)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", help="JSON of lastrow-kernels --time --json; rewritten in place")
    parser.add_argument("--dry-run", action="store_true", help="list what would be timed; needs no PyTorch")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no shape after this many seconds")
    arguments = parser.parse_args()
    end_cleanly()
    results = read_results(arguments.results)
    if not arguments.dry_run and not os.access(arguments.results, os.W_OK):
        fail(f"{arguments.results}: you may not write to it; allow that (chmod u+w)")
    shapes = [shape for shape in results["shapes"] if takes(shape)]
    print(f"{len(shapes)} shapes, {len(results['shapes']) - len(shapes)} skipped: paged or 8-bit, which SDPA does not have, or fewer queries than keys",
          file=sys.stderr)
    if arguments.dry_run:
        for shape in shapes:
            print(f"{shape['name']}: {', '.join(BACKENDS)}")
        return
    time_all(import_torch(), arguments.results, results, shapes, arguments.seconds)


if __name__ == "__main__":
    main()
