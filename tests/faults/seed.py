#!/usr/bin/env python3
"""Seeds faults, one at a time, and says which of them the tests see.

    tests/faults/seed.py                        all of tests/faults/faults.txt
    tests/faults/seed.py --only cache,k02       those whose name holds one of these
    tests/faults/seed.py --work DIR             keeps the copy and its build there, for the next time
    tests/faults/seed.py --check                only tests that each text of the list still stands in its file

It works on a copy of the tree, so the checkout stays as it is. First the tests have to pass without a fault.
Then, for each fault: replace the text, build what its tests need, run them, put the text back.

    caught          a test failed, crashed, or took longer than --limit
    NOT CAUGHT      all passed: a test is missing
    equivalent      not caught, and the list says why no test can
    no build        the replacement does not compile: mend the list
    not run         the build took longer than --limit, or --until had passed

The list has one paragraph a fault:

    cache: commit forgets the lengths           a name, unique
    in src/cache/contiguous_cache.cpp
    run test_cache; test_session -tc=*restart*  programs of build/bin with their options
    - lengths_[plan.sequences[i]]               text that stands once in the file; "- " again: its next line
    + lengths_[0]                               what replaces it; none: the text is removed
    equivalent because …                        only if no test can see it

Exit status: 0 if all that ran were caught or are equivalent, 1 if not, 2 if the list or the tree is wrong.
"""
import argparse
import datetime
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TIMED_OUT = -1000


class Fault:
    def __init__(self, paragraph):
        self.name, self.file, self.run, self.why_equivalent = paragraph[0], "", [], ""
        old, new = [], []
        for line in paragraph[1:]:
            word, _, rest = line.partition(" ")
            if word == "in":
                self.file = rest
            elif word == "run":
                self.run = [command.strip() for command in rest.split(";")]
            elif word == "-":
                old.append(rest)
            elif word == "+":
                new.append(rest)
            elif word == "equivalent":
                self.why_equivalent = rest
            else:
                sys.exit(f"{self.name}: a line that begins with '{word}'")
        self.old, self.new = "\n".join(old), "\n".join(new)

    def seeded(self, text):
        if not self.old or text.count(self.old) != 1:
            sys.exit(f"{self.name}: its text stands {text.count(self.old)} times in {self.file}, not once")
        return text.replace(self.old, self.new)


def read_list(path):
    faults, paragraph = [], []
    for line in path.read_text().splitlines() + [""]:
        if line.startswith("#"):
            continue
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            faults.append(Fault(paragraph))
            paragraph = []
    names = [fault.name for fault in faults]
    for fault in faults:
        if names.count(fault.name) > 1 or not fault.file or not fault.run:
            sys.exit(f"{fault.name}: the name is not unique, or 'in' or 'run' is missing")
        fault.seeded((ROOT / fault.file).read_text())
    return faults


def copy_tree(work):
    """Tracked files and new ones; a file that is as it was keeps its time, so that it is not built again."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.splitlines()
    for name in listed:
        source, target = ROOT / name, work / name
        if not source.is_file():
            continue
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)


def ended(command, work, limit):
    """Exit status; TIMED_OUT after `limit` seconds. What it printed is in the file of that name."""
    with open(work / "seed.log", "a") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        log.flush()
        process = subprocess.Popen(command, cwd=work, stdout=log, stderr=log, start_new_session=True,
                                   env={**os.environ, "OMP_WAIT_POLICY": "passive"})
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)  # with the compilers that it started
            process.wait()
            return TIMED_OUT


def build(commands, work, jobs, limit):
    programs = sorted({command.split()[0] for command in commands})
    return ended(["cmake", "--build", "build", f"-j{jobs}", "--target", *programs], work, limit)


def run(command, work, limit):
    program, *options = shlex.split(command)
    return ended([str(work / "build" / "bin" / program), *options], work, limit)


def try_fault(fault, work, options):
    path = work / fault.file
    text = path.read_text()
    try:
        path.write_text(fault.seeded(text))
        status = build(fault.run, work, options.jobs, options.limit)
        if status != 0:
            return "not run" if status == TIMED_OUT else "no build"
        for command in fault.run:
            status = run(command, work, options.limit)
            if status != 0:
                how = " (time limit)" if status == TIMED_OUT else " (crash)" if status < 0 else ""
                return f"caught{how} by {command}"
        return "equivalent" if fault.why_equivalent else "NOT CAUGHT"
    finally:
        path.write_text(text)


def seed_all(faults, work, options):
    copy_tree(work)
    configure = ["cmake", "--preset", "default", "-DLASTROW_VIEWER=OFF", "-DLASTROW_CUDA=OFF"]
    if not (work / "build" / "CMakeCache.txt").exists() and ended(configure, work, 600) != 0:
        sys.exit(f"cmake failed: see {work}/seed.log")
    commands = sorted({command for fault in faults for command in fault.run})
    if build(commands, work, options.jobs, None) != 0:
        sys.exit(f"the tree without a fault does not build: see {work}/seed.log")
    for command in commands:
        if run(command, work, 10 * options.limit) != 0:
            sys.exit(f"without a fault, {command} fails: see {work}/seed.log")
    print(f"{len(commands)} commands pass without a fault", flush=True)

    results = []
    for fault in faults:
        start = time.monotonic()
        if options.until and datetime.datetime.now().strftime("%H:%M") >= options.until:
            result = "not run"
        else:
            result = try_fault(fault, work, options)
        results.append(result)
        print(f"{time.monotonic() - start:5.0f} s  {fault.name}: {result}", flush=True)
        if result == "equivalent":
            print(f"         {fault.why_equivalent}", flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", type=pathlib.Path, default=HERE / "faults.txt")
    parser.add_argument("--only", default="", help="names hold one of these words, separated by commas")
    parser.add_argument("--work", type=pathlib.Path, help="folder of the copy; else a temporary one")
    parser.add_argument("--limit", type=float, default=300, help="seconds of one build or one test (300)")
    parser.add_argument("--until", default="", help="begin no fault after this time, HH:MM")
    parser.add_argument("--check", action="store_true", help="only read the list")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()

    words = [word for word in options.only.split(",") if word]
    faults = [f for f in read_list(options.list) if not words or any(word in f.name for word in words)]
    if options.check:
        print(f"{len(faults)} faults, each in its file")
        return 0
    work = (options.work or pathlib.Path(tempfile.mkdtemp(prefix="lastrow_faults_"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    try:
        results = seed_all(faults, work, options)
    finally:
        if not options.work:
            shutil.rmtree(work)
    count = {kind: sum(result.startswith(kind) for result in results)
             for kind in ("caught", "NOT CAUGHT", "equivalent", "no build", "not run")}
    n_real = count["caught"] + count["NOT CAUGHT"]
    print(f"{len(faults)} faults: " + ", ".join(f"{n} {kind.lower()}" for kind, n in count.items()) +
          (f"; {100 * count['caught'] / n_real:.0f} % of {n_real} caught" if n_real else ""))
    return 1 if count["NOT CAUGHT"] else 2 if count["no build"] else 0


if __name__ == "__main__":
    sys.exit(main())
