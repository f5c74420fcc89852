#!/usr/bin/env python3
"""What the machine code of a kernel's K/V loop allows: bounds that are computed from instructions, not measured.

    nvcc … -gencode=arch=compute_90,code=sm_90 -cubin -o k09.cubin gpu/ladder/k09_quantised.cu
    python3 tests/bench/sass_loops.py k09.cubin                  a line for each kernel of head_dim 64 and 128
    python3 tests/bench/sass_loops.py --classes k09.cubin        also its instructions by class
    python3 tests/bench/sass_loops.py --markdown --head-dim 128 *.cubin     the table of gpu/README.md

It needs nvdisasm and cuobjdump (from the CUDA toolkit, or --tools FOLDER). The loop is the one that loads K/V, 16 bytes
per lane, and computes exponentials. Of its branches the shortest path counts that makes all of these loads: that of a
tile that is seen whole. A loop inside it would count only once; k08 … k12 have none.

Assumptions for an H100, per multiprocessor and clock: 15 bytes of its 3.35 TB/s; 4 instructions of a warp issued, of
which at most 4 FFMA, FADD or FMUL, 2 IMAD, 2 of other arithmetic (alu), 1 shuffle, 1/2 MUFU, 1 HMMA.16816; 128 bytes
through shared memory or L1. The number of blocks at once follows from 65,536 registers, 2,048 threads and 228 KiB of
shared memory, of which the system takes 1 KiB per block. Bounds hold in a steady state: waiting for memory and the ends
of a split come on top.

One HMMA.16816 is 2,048 multiply-adds. At one per clock, 132 multiprocessors reach the dense peak of an H100, 989
TFLOP/s at 1.83 GHz. The chip reaches this peak by wgmma. By mma.sync, which these kernels use, others measured about
63 % of it (Luo et al. 2024, "Benchmarking and Dissecting the Nvidia Hopper GPU Architecture", arXiv 2402.13499). The
column *mma.sync* is the bound with tensor cores at that rate.
"""
import argparse
import collections
import re
import subprocess
import sys

BYTES_PER_CLOCK = 15.0
MMA_SYNC = 0.63  # of the dense peak
REGISTERS, SHARED_BYTES, THREADS, BLOCK = 65536, 228 << 10, 2048, 128  # every kernel here has blocks of 128
DTYPES = {"f": "f32", "a": "int8", "Half": "f16", "BFloat16": "bf16", "Fp8E4M3": "fp8"}
KERNEL = re.compile(r"\d(k\d\d)_\w+?I(a|f|NS_\d+(\w+?)E)((?:Li\d+E)+)E")
CLASSES = [  # the first that matches
    ("hmma", r"HMMA"), ("copy", r"LDGSTS"), ("load", r"LDG\."), ("ldsm", r"LDSM"), ("lds", r"LDS"), ("local", r"LDL|STL"),
    ("shfl", r"SHFL"), ("mufu", r"MUFU"), ("fp32", r"FFMA|FADD|FMUL"), ("half", r"HADD2|HMUL2|HFMA2"), ("imad", r"IMAD"),
    ("convert", r"F2F|I2F|F2I"), ("other", r"BRA|BSSY|BSYNC|NOP|BAR|WARPSYNC|DEPBAR|LDGDEPBAR|LDC|ULDC|U[A-Z]|R2UR|S2|VOTE|CALL|EXIT|YIELD|PLOP3"),
    ("alu", r"")]
BYTES = {"f32": 4, "f16": 2, "bf16": 2, "fp8": 1, "int8": 1}
SHARED = {"k10": lambda args, dtype: 2 * 4 * 4 * BLOCK * 16,
          "k11": lambda args, dtype: 2 * 3 * 64 * (BYTES[dtype] * args[0] + 4 * (dtype == "int8")) + 2 * args[0] * (16 * args[1] if args[1] > 1 else 0),
          "k12": lambda args, dtype: 2 * args[0] * (2 * 2 * 64 + (64 * args[1] if args[1] > 1 else 128))}  # bytes given at the launch
STAGES_AHEAD = {"k10": 3, "k11": 2, "k12": 1}  # requested while a tile is computed


class Instruction:
    def __init__(self, text):
        self.text = text
        self.op = re.sub(r"^@!?U?P\w+ +", "", text).split()[0]
        self.kind = next(name for name, pattern in CLASSES if re.match(pattern, self.op))
        self.kv_bytes = 512 if re.match(r"LDG\.E.*\.128|LDGSTS\..*128", self.op) else 0  # of a whole warp
        target = re.search(r"BRA.*`\((\.L_x_\d+)\)", text)
        self.target = target.group(1) if target else None
        self.conditional = text.startswith("@") or bool(re.search(r"BRA !?U?P", text))
        registers = [int(r) for r in re.findall(r"\bR(\d+)", text)]
        self.loaded = set()
        if self.kind == "load":
            self.loaded = set(range(registers[0], registers[0] + (4 if self.kv_bytes else 1)))
        self.reads = set(registers[1:])


def functions(disassembly):
    """name → (instructions, label → index)"""
    found, code, labels = {}, None, None
    for line in disassembly.splitlines():
        if line.startswith(".text."):
            code, labels = [], {}
            found[line[6:-1]] = code, labels
        elif code is not None:
            label = re.match(r"(\.L_x_\d+):", line)
            instruction = re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(.*?) *;", line)
            if label:
                labels[label.group(1)] = len(code)
            elif instruction:
                code.append(Instruction(instruction.group(1)))
    return found


def kv_loop(code, labels):
    """The path of one tile through the smallest loop that loads K/V and takes exponentials, or None."""
    loops = []
    for end, i in enumerate(code):
        begin = labels.get(i.target, end + 1)
        body = code[begin:end + 1]
        if any(x.kv_bytes for x in body) and any(x.kind == "mufu" for x in body):
            loops.append((end - begin, begin, end))
    for _, begin, end in sorted(loops):
        best = {end: (code[end].kv_bytes, -1, None)}  # of the path from there to the end: K/V bytes, −length, next
        for at in range(end - 1, begin - 1, -1):
            i, ways = code[at], []
            if i.target is None or i.conditional:
                ways.append(at + 1)
            if i.target and labels.get(i.target, -1) > at:
                ways.append(labels[i.target])
            ways = [(best[n][0] + i.kv_bytes, best[n][1] - 1, n) for n in ways if n in best]
            if ways and (i.op != "EXIT" or i.conditional):
                best[at] = max(ways)
        if begin in best:
            path, at = [], begin
            while at is not None:
                path.append(code[at])
                at = best[at][2]
            return path
    return None


def flight(path):
    """The most K/V bytes that a warp has in flight, and how often an iteration waits for memory."""
    landing, now, most, waits = {}, 0, 0, 0
    for turn in range(2):
        for i in path:
            late = [when for registers, _, when in landing.values() if registers & i.reads and when >= now]
            if late:
                now, waits = max(late) + 1, waits + turn
            landing = {k: l for k, l in landing.items() if not l[0] & i.reads}
            if i.loaded:
                landing[id(i)] = i.loaded, i.kv_bytes, now
            most = max(most, sum(n for _, n, _ in landing.values()))
    return most, waits


def analyse(name, path, usage):
    kernel = KERNEL.search(name)
    rung, args = kernel.group(1), [int(n) for n in re.findall(r"Li(\d+)E", kernel.group(4))]
    n = collections.Counter(i.kind for i in path)
    kv_bytes = sum(i.kv_bytes for i in path)
    wide = sum(4 if ".128" in i.op or i.kind == "ldsm" else 1 for i in path if i.kind in ("copy", "load", "ldsm", "lds"))
    clocks = {"issue": len(path) / 4, "fma": max((n["fp32"] + n["imad"]) / 4, n["imad"] / 2),
              "alu": (n["alu"] + n["half"] + n["convert"]) / 2, "shuffle": n["shfl"], "mufu": 2 * n["mufu"],
              "shared": wide + n["shfl"], "hmma": n["hmma"]}
    dtype = DTYPES[kernel.group(3) or kernel.group(2)]
    shared = usage["SHARED"] + SHARED.get(rung, lambda *_: 0)(args, dtype)
    blocks = min(REGISTERS // ((usage["REG"] + 7) // 8 * 8 * BLOCK), SHARED_BYTES // max(shared, 1), THREADS // BLOCK)
    in_flight, waits = flight(path)
    if rung in STAGES_AHEAD:
        in_flight, waits = STAGES_AHEAD[rung] * kv_bytes, 0
    bound = max(clocks, key=clocks.get)
    return {"rung": rung, "dtype": dtype, "head_dim": args[0], "shape": args[1] if len(args) > 1 else 1,
            "registers": usage["REG"], "stack": usage["STACK"], "shared": shared, "blocks": blocks, "in_flight": in_flight * 4 * blocks,
            "waits": waits, "kv_bytes": kv_bytes, "instructions": len(path), "classes": n, "clocks": clocks, "bound": bound,
            "per_kib": 1024 * len(path) / kv_bytes, "issue": kv_bytes / clocks["issue"] / BYTES_PER_CLOCK,
            "share": kv_bytes / clocks[bound] / BYTES_PER_CLOCK,
            "mma_sync": kv_bytes / max(clocks[bound], clocks["hmma"] / MMA_SYNC) / BYTES_PER_CLOCK}


def fail(message):
    print(f"sass_loops.py: {message}", file=sys.stderr)
    sys.exit(2)


def run(program, *arguments):
    try:
        return subprocess.run([program, *arguments], capture_output=True, text=True, errors="replace", check=True).stdout
    except OSError as e:
        fail(f"{program}: {e.strerror}: give the folder of the CUDA toolkit's programs with --tools")
    except subprocess.CalledProcessError as e:
        fail(f"{' '.join([program, *arguments])}: {e.stderr.strip() or f'status {e.returncode}'}")


def resources(text):
    """name → REG, STACK, SHARED"""
    pairs = re.findall(r"Function (\S+):\s+(REG:.*)", text)
    return {name: {key: int(value) for key, value in re.findall(r"(\w+):(\d+)", line)} for name, line in pairs}


# heads: per block in k05 … k10; in k11 and k12, which take 16 rows per warp, the parts of q and p
# blocks, in flight: at once on a multiprocessor
# waits: how often one round of the loop waits for memory (0: copies)
# issue, bound: the share of the read bandwidth that issue slots, and the scarcest unit, allow
# products: the share of that time in which a tensor core multiplies
# mma.sync: the bound at the rate of that instruction
COLUMNS = ["rung", "K/V", "head_dim", "heads", "registers", "shared", "blocks", "in flight", "waits", "instr/KiB", "issue", "bound", "by",
           "products", "mma.sync"]


def row(r):
    heads = f"{r['shape']} part{'s' if r['shape'] > 1 else ''}" if r["rung"] in ("k11", "k12") else str(r["shape"])
    products = f"{100 * r['clocks']['hmma'] / r['clocks'][r['bound']]:.0f} %" if r["clocks"]["hmma"] else ""
    mma_sync = f"{100 * r['mma_sync']:.0f} %" if r["clocks"]["hmma"] else ""
    return [r["rung"], r["dtype"], str(r["head_dim"]), heads, f"{r['registers']}{' (spills)' if r['stack'] else ''}", f"{r['shared'] / 1024:.0f} KiB",
            str(r["blocks"]), f"{r['in_flight'] / 1024:.0f} KiB", str(r["waits"]), f"{r['per_kib']:.0f}", f"{100 * r['issue']:.0f} %",
            f"{100 * r['share']:.0f} %", r["bound"], products, mma_sync]


def merged(rows):
    """Merges rows that differ only in the type of K/V."""
    kinds = {}
    for cells in rows:
        kinds.setdefault((cells[0], *cells[2:]), []).append(cells[1])
    return [[rest[0], " ".join(types), *rest[1:]] for rest, types in kinds.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cubin", nargs="+")
    parser.add_argument("--tools", default="", metavar="FOLDER", help="where nvdisasm and cuobjdump are")
    parser.add_argument("--classes", action="store_true", help="also print the instructions of an iteration by class, and the clocks by unit")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--head-dim", type=int, choices=[64, 128], help="only kernels of this head_dim")
    options = parser.parse_args()
    tool = lambda name: f"{options.tools}/{name}" if options.tools else name
    found = []
    for cubin in options.cubin:
        usage = resources(run(tool("cuobjdump"), "-res-usage", cubin))
        for name, (code, labels) in functions(run(tool("nvdisasm"), "-c", cubin)).items():
            path = kv_loop(code, labels) if KERNEL.search(name) else None
            if path:
                found.append(analyse(name, path, usage[name]))
    wanted = [options.head_dim] if options.head_dim else [64, 128]
    found = sorted((r for r in found if r["head_dim"] in wanted), key=lambda r: (r["rung"], r["dtype"], r["head_dim"], r["shape"]))
    if not found:
        fail("no kernel has a loop that loads K/V, 16 bytes per lane")
    rows = [COLUMNS] + [row(r) for r in found]
    if options.markdown:
        rows = [COLUMNS, ["---"] * len(COLUMNS)] + merged(rows[1:])
    widths = [0 if options.markdown else max(len(r[c]) for r in rows) for c in range(len(COLUMNS))]
    for i, cells in enumerate(rows):
        print("| " + " | ".join(cells) + " |" if options.markdown else "  ".join(c.rjust(w) for c, w in zip(cells, widths)))
        if options.classes and i > 0 and not options.markdown:
            r = found[i - 1]
            print("     ", r["instructions"], "for", r["kv_bytes"], "bytes:", ", ".join(f"{k} {v}" for k, v in r["classes"].most_common()))
            print("      clocks:", ", ".join(f"{k} {v:.0f}" for k, v in r["clocks"].items()))


if __name__ == "__main__":
    main()
