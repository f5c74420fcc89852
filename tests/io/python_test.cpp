// Python's numpy and safetensors read the files that we write, and we read theirs. The test needs both
// packages in python3, or in the interpreter that the environment variable LASTROW_PYTHON names. Without them
// it is skipped with a message.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "io/npy.h"
#include "io/safetensors.h"
#include "tests/io/files.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

const std::pair<std::string, DType> kTypes[] = {
    {"float64", DType::f64}, {"float32", DType::f32}, {"float16", DType::f16}, {"int64", DType::i64},
    {"int32", DType::i32},   {"int8", DType::i8},     {"uint8", DType::u8}};

/// These numbers as a tensor of the given dtype.
Tensor make_tensor(DType dtype, const std::vector<double>& numbers, const Shape& shape) {
  Tensor t = Tensor::host(dtype, shape);
  convert(ConstTensorView(numbers.data(), shape), t.view());
  return t;
}

std::vector<double> to_doubles(ConstTensorView view) {
  std::vector<double> numbers(static_cast<size_t>(view.size()));
  convert(view, TensorView(numbers.data(), view.shape()));
  return numbers;
}

void write_ours(const TemporaryFolder& folder) {
  SafetensorsWriter writer;
  std::vector<Tensor> tensors;
  const auto add = [&](const std::string& name, Tensor t) {
    write_npy(folder / (name + ".npy"), t.view());
    writer.add(name, t.view());
    tensors.push_back(std::move(t));  // moving a tensor does not move its elements
  };
  for (const auto& [name, dtype] : kTypes) {
    add(name + ".matrix", make_tensor(dtype, {0, 1, 2, 3, 4, 5}, {2, 3}));
    add(name + ".scalar", make_tensor(dtype, {7}, {}));
    add(name + ".none", Tensor::host(dtype, {0, 4}));
  }
  writer.metadata("causal", "true");
  writer.metadata("prompt", "the \"quick\" fuchs läuft\n");
  writer.write(folder / "ours.safetensors");

  SafetensorsWriter odd;  // NumPy has neither of these types, but the format has
  const Tensor bf16 = make_tensor(DType::bf16, {1, 2, 3}, {3}), fp8 = make_tensor(DType::fp8_e4m3, {1}, {});
  odd.add("bf16", bf16.view());
  odd.add("fp8", fp8.view());
  odd.write(folder / "odd.safetensors");
}

}  // namespace

TEST_CASE("Python's numpy and safetensors read our files, and we read theirs") {
  const TemporaryFolder folder;
  write_ours(folder);
  const char* chosen = std::getenv("LASTROW_PYTHON");
  const std::string python = chosen != nullptr ? chosen : "python3";
  const std::string command =
      fmt::format("'{}' '{}/tests/io/interop.py' '{}' > '{}' 2>&1", python, LASTROW_SOURCE_DIR,
                  folder.path().string(), (folder / "output").string());
  const int status = std::system(command.c_str());
  const int exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  const std::string output = get(folder / "output");
  if (exit_code == 77 || exit_code == 127) {
    MESSAGE("skipped: " << python << " lacks numpy or safetensors: " << output);
    return;
  }
  REQUIRE_MESSAGE(exit_code == 0, output);

  const auto theirs = SafetensorsFile::open(folder / "theirs.safetensors");
  CHECK(theirs.names().size() == 8);
  CHECK(theirs.metadata() == std::map<std::string, std::string>{{"from", "Python"}, {"sign", "π"}});
  CHECK(to_doubles(theirs.tensor("flags")) == std::vector<double>{1, 0, 1});
  for (const auto& [name, dtype] : kTypes) {
    CAPTURE(name);
    const bool whole = dtype == DType::i64 || dtype == DType::i32 || dtype == DType::i8 || dtype == DType::u8;
    const auto expected =
        whole ? std::vector<double>{0, 1, 3, 4, 6, 7} : std::vector<double>{0, 1.5, 3, 4.5, 6, 7.5};
    const Tensor npy = read_npy(folder / ("theirs." + name + ".npy"));
    for (const ConstTensorView found : {theirs.tensor(name + ".matrix"), npy.view()}) {
      CHECK(found.dtype() == dtype);
      CHECK(found.shape() == Shape{2, 3});
      CHECK(to_doubles(found) == expected);
    }
  }
  CHECK_FILE_ERROR(read_npy(folder / "fortran.npy"), "fortran.npy: is in Fortran order");
  CHECK_FILE_ERROR(read_npy(folder / "big_endian.npy"), "big_endian.npy", "\">f4\" (big endian)");
  CHECK_FILE_ERROR(read_npy(folder / "structures.npy"), "structures.npy", "structures");
}
