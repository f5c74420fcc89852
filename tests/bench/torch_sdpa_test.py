"""torch_sdpa.py and the table, on invented times. It needs no PyTorch and no GPU.

    python3 torch_sdpa_test.py path/to/lastrow-kernels
"""
import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import types
import unittest
import unittest.mock

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(HERE, "torch_sdpa.py")
KERNELS = sys.argv.pop(1)

spec = importlib.util.spec_from_file_location("torch_sdpa", SCRIPT)
torch_sdpa = importlib.util.module_from_spec(spec)
spec.loader.exec_module(torch_sdpa)


def shape(name, dtype="bf16", block_len=0):
    return {"name": name, "n_q_heads": 32, "n_kv_heads": 8, "head_dim": 128, "batch": 1, "q_len": 1, "kv_len": 4096,
            "dtype": dtype, "block_len": block_len, "kv_bytes": 16777216}


RESULTS = {
    "device": "no GPU", "driver": "0.0", "toolkit": "0.0", "date": "2000-01-01", "read_gbps": 2000.0, "copy_gbps": 1.0,
    "shapes": [shape("plain"), shape("paged", block_len=16), shape("narrow", dtype="i8")],
    "results": [{"shape": "plain", "kernel": "k09", "us": 16.777216, "low_us": 16.0, "high_us": 18.0, "launch_us": 20.0,
                 "registers": 99, "shared_bytes": 2048, "read_gbps": 2000.0, "check": "held", "compared_with": "k05",
                 "difference": 1e-6, "agrees": True}],
    "failed": [], "lost": [],
    "rivals": [{"shape": "plain", "name": "flash", "us": 9.0}, {"shape": "plain", "name": "cudnn", "us": 7.0}],
}


def run(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60)


class FakeTorch:
    """Stands in for PyTorch, and notes each call of attention: (backend, number of K, options).

    refuses: backends that raise, as PyTorch does if it has no kernel for a shape."""

    def __init__(self, refuses=(), breaks=False):
        self.calls, self.pinned, self.n_tensors, self.refuses, self.breaks = [], None, 0, refuses, breaks
        self.__version__ = "0.0"
        self.bfloat16 = self.float16 = object()
        self.cuda = types.SimpleNamespace(
            Stream=lambda: types.SimpleNamespace(wait_stream=lambda other: None),
            current_stream=lambda: types.SimpleNamespace(wait_stream=lambda other: None),
            stream=lambda side: contextlib.nullcontext(), graph=lambda g: contextlib.nullcontext(),
            CUDAGraph=lambda: types.SimpleNamespace(replay=lambda: None),
            Event=lambda enable_timing: types.SimpleNamespace(
                record=lambda: None, synchronize=lambda: None, elapsed_time=lambda end: 0.25),
            get_device_properties=lambda i: types.SimpleNamespace(L2_cache_size=16777216),
            synchronize=self.synchronize, empty_cache=lambda: None, OutOfMemoryError=MemoryError)
        self.nn = types.SimpleNamespace(functional=types.SimpleNamespace(scaled_dot_product_attention=self.attend))

    def randn(self, *sizes, dtype, device):
        self.n_tensors += 1
        return (self.n_tensors, sizes)

    def synchronize(self):
        if self.breaks and self.pinned is None and self.calls:
            raise RuntimeError("illegal memory access")

    def attend(self, q, k, v, **options):
        self.calls.append((self.pinned, k[0], options))
        if self.pinned in self.refuses:
            raise RuntimeError("No available kernel.\nmore")

    @contextlib.contextmanager
    def pin(self, backend):
        self.pinned = backend
        try:
            yield
        finally:
            self.pinned = None

    def modules(self):
        names = types.SimpleNamespace(FLASH_ATTENTION="flash", EFFICIENT_ATTENTION="efficient")  # no cuDNN in this one
        return {"torch": self, "torch.nn": self.nn,
                "torch.nn.attention": types.SimpleNamespace(SDPBackend=names, sdpa_kernel=self.pin)}


class TorchSdpa(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def content(self, path):
        with open(path, encoding="utf-8") as f:
            return f.read()

    def test_dry_run_names_what_it_would_time_and_writes_nothing(self):
        path = self.file("times.json", json.dumps(RESULTS))
        outcome = run(sys.executable, SCRIPT, path, "--dry-run")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertEqual(outcome.stdout.splitlines(), ["plain: " + ", ".join(torch_sdpa.BACKENDS)])
        self.assertIn("1 shapes, 2 skipped", outcome.stderr)
        self.assertEqual(self.content(path), json.dumps(RESULTS))

    def test_errors_are_one_line(self):
        short = dict(RESULTS, shapes=[{"name": "x"}])
        for text, expected in [("{", "times.json"), ("{}", "holds no shapes"), (json.dumps(short), "lacks n_q_heads")]:
            outcome = run(sys.executable, SCRIPT, self.file("times.json", text))
            self.assertNotEqual(outcome.returncode, 0)
            self.assertIn(expected, outcome.stderr)
            self.assertEqual(outcome.stderr.count("\n"), 1, outcome.stderr)

    def time(self, torch, results):
        """Runs time_all against a fake; returns the rivals it wrote and what it said."""
        path = self.file("times.json", json.dumps(results))
        said = io.StringIO()
        with unittest.mock.patch.dict(sys.modules, torch.modules()), contextlib.redirect_stderr(said):
            try:
                torch_sdpa.time_all(torch, path, results, [s for s in results["shapes"] if torch_sdpa.takes(s)])
            except SystemExit as e:
                said.write(str(e))
        return json.loads(self.content(path)), said.getvalue()

    def test_each_backend_is_pinned_and_goes_round_the_buffers(self):
        torch = FakeTorch()
        written, said = self.time(torch, dict(RESULTS, rivals=[]))
        self.assertEqual([r["name"] for r in written["rivals"]], ["flash", "efficient"])
        self.assertEqual(written["torch"], "0.0")
        self.assertIn("CUDNN_ATTENTION: this PyTorch has none", said)
        self.assertEqual({backend for backend, _, _ in torch.calls}, {"flash", "efficient"})
        self.assertTrue(all(options == {"enable_gqa": True} for _, _, options in torch.calls))  # no mask, not causal
        recorded = [k for backend, k, _ in torch.calls if backend == "flash"][-4:]
        self.assertEqual(len(set(recorded)), 4)  # four times L2, a K/V of L2's size: four of them

    def test_a_prefill_is_causal_and_heads_of_their_own_are_no_groups(self):
        torch = FakeTorch()
        prefill = dict(shape("prefill"), q_len=4096, n_kv_heads=32)
        self.time(torch, dict(RESULTS, shapes=[prefill], rivals=[]))
        self.assertTrue(torch.calls and all(options == {"is_causal": True} for _, _, options in torch.calls))
        self.assertFalse(torch_sdpa.takes(dict(prefill, q_len=7)))  # PyTorch would align it top-left

    def test_a_refusal_is_said_and_a_broken_device_ends_it_with_what_there_is(self):
        written, said = self.time(FakeTorch(refuses=["flash"]), dict(RESULTS, rivals=[]))
        self.assertEqual([r["name"] for r in written["rivals"]], ["efficient"])
        self.assertIn("plain: FLASH_ATTENTION: No available kernel.\n", said)
        two = dict(RESULTS, shapes=[shape("plain"), shape("other")])
        written, said = self.time(FakeTorch(refuses=["flash"], breaks=True), two)
        self.assertEqual(written["rivals"], RESULTS["rivals"])
        self.assertIn("the device no longer answers: illegal memory access", said)

    def test_no_shape_is_begun_after_the_seconds_that_are_given(self):
        torch, said = FakeTorch(), io.StringIO()
        path = self.file("times.json", json.dumps(RESULTS))
        with unittest.mock.patch.dict(sys.modules, torch.modules()), contextlib.redirect_stderr(said):
            torch_sdpa.time_all(torch, path, dict(RESULTS), [shape("plain")], seconds=0)
        self.assertEqual((torch.calls, said.getvalue()), ([], "1 shape left: the 0 s are over\n"))

    def test_the_file_is_replaced_whole_through_a_link_whatever_its_name_and_nothing_else_stays(self):
        with tempfile.TemporaryDirectory() as folder:
            target, link = os.path.join(folder, "n" * 255), os.path.join(folder, "link")
            with open(target, "w", encoding="utf-8") as f:
                f.write("old")
            os.chmod(target, 0o640)
            os.symlink(target, link)
            torch_sdpa.write_results(link, {"a": 1})
            self.assertTrue(os.path.islink(link))
            with open(target, encoding="utf-8") as f:
                self.assertEqual(json.load(f), {"a": 1})
            self.assertEqual(os.stat(target).st_mode & 0o777, 0o640)
            with self.assertRaises(TypeError):
                torch_sdpa.write_results(link, {"a": object()})  # as whatever ends it in the middle
            self.assertEqual(sorted(os.listdir(folder)), ["link", "n" * 255])

    def test_newer_times_replace_those_of_the_same_shape_and_backend(self):
        results = json.loads(json.dumps(RESULTS))
        torch_sdpa.merge(results, [{"shape": "plain", "name": "flash", "us": 5.0}])
        self.assertEqual([(r["name"], r["us"]) for r in results["rivals"]], [("cudnn", 7.0), ("flash", 5.0)])

    def test_the_table_goes_between_the_markers_and_nowhere_else(self):
        times = self.file("times.json", json.dumps(RESULTS))
        page = self.file("page.md", "before\n<!-- table: begin -->\nold\n<!-- table: end -->\nafter\n")
        for _ in range(2):  # twice is as once
            outcome = run(KERNELS, "--from", times, "--table", page)
            self.assertEqual(outcome.returncode, 0, outcome.stderr)
        text = self.content(page)
        self.assertTrue(text.startswith("before\n<!-- table: begin -->\nno GPU, driver for CUDA 0.0"), text)
        self.assertTrue(text.endswith("\n<!-- table: end -->\nafter\n"), text)
        self.assertNotIn("old", text)
        # 16.777216 MB in 16.777216 µs are 1000 GB/s, half of what was read.
        self.assertIn("| plain | 16.8 | k09 | 16.8 | 16.0–18.0 | 20.0 | 1000 | 50 % | 99 | 2.0 | 7.0 (cudnn) |", text)

    def test_what_is_wrong_with_a_time_is_marked_and_explained(self):
        results = json.loads(json.dumps(RESULTS))
        results["results"][0].update(check="failed", difference=None, agrees=False)
        results["lost"] = [{"shape": "plain", "kernel": "k10", "why": "it hung"}]
        results["failed"] = [{"shape": "plain", "kernel": "k11", "why": "it was refused"}]
        outcome = run(KERNELS, "--from", self.file("times.json", json.dumps(results)))
        self.assertIn("| k09 ✗ |", outcome.stdout)
        self.assertIn("✗ k09 at plain: missed its bound in the check; its output cannot be compared (NaN or infinity) with "
                      "that of k05.", outcome.stdout)
        self.assertIn("k11 at plain: no time: it was refused.", outcome.stdout)
        self.assertIn("k10 at plain: no time: it hung.", outcome.stdout)

    def test_a_marker_within_a_sentence_is_no_marker_and_two_are_refused(self):
        times = self.file("times.json", json.dumps(RESULTS))
        page = self.file("page.md", "see `<!-- table: begin -->`\nprose\n<!-- table: begin -->\nold\n<!-- table: end -->\n")
        self.assertEqual(run(KERNELS, "--from", times, "--table", page).returncode, 0)
        self.assertTrue(self.content(page).startswith("see `<!-- table: begin -->`\nprose\n<!-- table: begin -->\nno GPU"))
        twice = "<!-- table: begin -->\n<!-- table: begin -->\n<!-- table: end -->\n"
        page = self.file("page.md", twice)
        self.assertEqual((run(KERNELS, "--from", times, "--table", page).returncode, self.content(page)), (2, twice))

    def test_results_that_make_no_sense_are_refused_by_the_name_of_the_field(self):
        for field, value in [("us", 0), ("us", -1), ("read_gbps", 0), ("registers", 1e300), ("kernel", "a\nb"), ("us", None)]:
            results = json.loads(json.dumps(RESULTS))
            results["results"][0][field] = value
            outcome = run(KERNELS, "--from", self.file("times.json", json.dumps(results)))
            self.assertEqual((outcome.returncode, outcome.stdout), (2, ""))
            self.assertIn(f"in '{field}'", outcome.stderr)
            self.assertEqual(outcome.stderr.count("\n"), 1, outcome.stderr)

    def test_a_page_without_markers_and_results_without_fields_are_refused(self):
        times = self.file("times.json", json.dumps(RESULTS))
        page = self.file("page.md", "no markers\n")
        outcome = run(KERNELS, "--from", times, "--table", page)
        self.assertEqual((outcome.returncode, self.content(page)), (2, "no markers\n"))
        self.assertIn("needs one line '<!-- table: begin -->'", outcome.stderr)
        self.assertEqual(run(KERNELS, "--from", self.file("times.json", "{}"), "--table", page).returncode, 2)


if __name__ == "__main__":
    unittest.main()
