"""sass_loops.py on an invented disassembly. It needs no CUDA toolkit and no GPU.

    python3 sass_loops_test.py
"""
import importlib.util
import os
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sass_loops.py")
spec = importlib.util.spec_from_file_location("sass_loops", SCRIPT)
sass_loops = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sass_loops)

NAME = "_ZN7lastrow4cuda3_GL13k09_quantisedINS_4HalfELi128ELi4ELi8EEEvv"


def disassembly(lines):
    code = [f"{line}" if line.endswith(":") else f"        /*{16 * i:04x}*/                   {line} ;" for i, line in enumerate(lines)]
    return "\n".join([f".text.{NAME}:", *code, ""])


def path_of(lines):
    return sass_loops.kv_loop(*sass_loops.functions(disassembly(lines))[NAME])


# A loop that fills an array; then the loop to find, with a branch around what only ragged tiles do.
LOOP = [".L_x_0:", "STS [R9], RZ", "@P1 BRA `(.L_x_0)",
        ".L_x_1:", "@P0 LDG.E.128 R4, desc[UR8][R2.64]", "LDG.E.128 R8, desc[UR8][R2.64+0x10]", "FFMA R20, R4, R5, R20",
        "@P2 BRA `(.L_x_2)", "FSEL R20, R20, -INF , P3", ".L_x_2:", "MUFU.EX2 R21, R20", "FFMA R22, R8, R21, R22", "SHFL.BFLY PT, R23, R22, 0x1, 0x1f",
        "@!P4 BRA `(.L_x_1)", "EXIT"]


class SassLoops(unittest.TestCase):
    def test_finds_the_loop_and_its_shortest_path(self):
        self.assertEqual([i.op for i in path_of(LOOP)],
                         ["LDG.E.128", "LDG.E.128", "FFMA", "BRA", "MUFU.EX2", "FFMA", "SHFL.BFLY", "BRA"])

    def test_a_path_round_a_load_is_not_taken(self):
        lines = [".L_x_1:", "@P2 BRA `(.L_x_2)", "LDG.E.128 R4, desc[UR8][R2.64]", ".L_x_2:", "MUFU.EX2 R21, R4", "@!P4 BRA `(.L_x_1)"]
        self.assertEqual(sum(i.kv_bytes for i in path_of(lines)), 512)

    def test_no_loop(self):
        self.assertIsNone(path_of(["LDG.E.128 R4, desc[UR8][R2.64]", "MUFU.EX2 R21, R4", "EXIT"]))
        self.assertIsNone(path_of([".L_x_1:", "LDG.E R4, desc[UR8][R2.64]", "MUFU.EX2 R21, R4", "@!P4 BRA `(.L_x_1)"]))

    def test_both_loads_fly_where_none_is_used_before(self):
        self.assertEqual(sass_loops.flight(path_of(LOOP)), (1024, 1))
        one_by_one = LOOP[:5] + [LOOP[6], LOOP[5]] + LOOP[7:]
        self.assertEqual(sass_loops.flight(path_of(one_by_one)), (512, 2))

    def test_bounds(self):
        r = sass_loops.analyse(NAME, path_of(LOOP), {"REG": 128, "STACK": 0, "SHARED": 9 << 10})
        self.assertEqual((r["rung"], r["dtype"], r["head_dim"], r["shape"], r["kv_bytes"], r["instructions"]), ("k09", "f16", 128, 4, 1024, 8))
        self.assertEqual((r["blocks"], r["in_flight"]), (4, 4 * 4 * 1024))  # 128 · 128 registers a block
        self.assertAlmostEqual(r["issue"], 1024 / (8 / 4) / 15)
        self.assertEqual(r["bound"], "shared")  # 8 passes of 128 bytes and a shuffle
        self.assertAlmostEqual(r["share"], 1024 / 9 / 15)

    def test_one_tensor_instruction_a_clock_of_the_chip_and_fewer_by_mma_sync(self):
        code = [".L_x_1:", "LDGSTS.E.BYPASS.128 [R1], desc[UR8][R2.64]", *["HMMA.16816.F32 R4, R8, R12, R4"] * 63, "MUFU.EX2 R21, R20", "@!P4 BRA `(.L_x_1)"]
        name = NAME.replace("13k09_quantised", "17k11_tensor_decode").replace("ELi4ELi8E", "ELi1E")
        r = sass_loops.analyse(name, path_of(code), {"REG": 128, "STACK": 0, "SHARED": 0})
        self.assertEqual((r["bound"], r["clocks"]["hmma"]), ("hmma", 63))  # 63 products in 63 clocks
        self.assertAlmostEqual(r["share"], 512 / 63 / 15)
        self.assertAlmostEqual(r["mma_sync"], 512 / 100 / 15)  # they take 100 clocks where 63 % is reached
        self.assertEqual(sass_loops.row(r)[-2:], ["100 %", "34 %"])
        self.assertEqual(sass_loops.row(sass_loops.analyse(NAME, path_of(LOOP), {"REG": 128, "STACK": 0, "SHARED": 0}))[-2:], ["", ""])

    def test_a_spill_and_predicates_are_told_apart(self):
        kinds = [sass_loops.Instruction(text).kind for text in
                 ("LDL R1, [R2]", "@!UP0 UIADD3 UR4, UR4, 0x1, URZ", "@P0 HMMA.16816.F32 R4, R8, R12, R4", "LDGSTS.E.BYPASS.128 [R1], desc[UR8][R2.64]",
                  "LDGDEPBAR", "LDSM.16.M88.4 R4, [R2]", "PRMT R1, R2, 0x5410, R3")]
        self.assertEqual(kinds, ["local", "other", "hmma", "copy", "other", "ldsm", "alu"])


if __name__ == "__main__":
    unittest.main()
