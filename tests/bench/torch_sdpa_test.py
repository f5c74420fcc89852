"""torch_sdpa.py and the table, on invented times: neither PyTorch nor a GPU is needed.

    python3 torch_sdpa_test.py path/to/lastrow-kernels
"""
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

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
                 "registers": 99, "shared_bytes": 2048}],
    "rivals": [{"shape": "plain", "name": "flash", "us": 9.0}, {"shape": "plain", "name": "cudnn", "us": 7.0}],
}


def run(*arguments):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60)


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
        self.assertTrue(text.startswith("before\n<!-- table: begin -->\nno GPU, driver 0.0"), text)
        self.assertTrue(text.endswith("\n<!-- table: end -->\nafter\n"), text)
        self.assertNotIn("old", text)
        # 16.777216 MB in 16.777216 µs are 1000 GB/s, half of what was read.
        self.assertIn("| plain | 16.8 | k09 | 16.8 | 16.0–18.0 | 20.0 | 1000 | 50 % | 99 | 2.0 | 7.0 (cudnn) |", text)

    def test_a_page_without_markers_and_results_without_fields_are_refused(self):
        times = self.file("times.json", json.dumps(RESULTS))
        page = self.file("page.md", "no markers\n")
        outcome = run(KERNELS, "--from", times, "--table", page)
        self.assertEqual((outcome.returncode, self.content(page)), (2, "no markers\n"))
        self.assertIn("has no lines", outcome.stderr)
        self.assertEqual(run(KERNELS, "--from", self.file("times.json", "{}"), "--table", page).returncode, 2)


if __name__ == "__main__":
    unittest.main()
