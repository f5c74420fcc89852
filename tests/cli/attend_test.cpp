// `lastrow attend`: a case that can be checked by eye, a comparison with double precision, and unusual
// shapes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cli/attend_files.h"
#include "cli/lastrow_program.h"
#include "io/safetensors.h"
#include "judge/random_tensor.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Case {
  int64_t q_len, kv_len, n_q_heads, n_kv_heads, head_dim;
  bool causal = true;
  double scale = 0;  // 0: not given
};

struct CaseInputs {
  Tensor q, k, v;
};

Tensor case_tensor(Shape shape, uint64_t stream) { return judge::random_tensor(shape, 11, stream); }

CaseInputs make_inputs(const Case& c) {
  return {case_tensor({c.q_len, c.n_q_heads, c.head_dim}, 0),
          case_tensor({c.kv_len, c.n_kv_heads, c.head_dim}, 1),
          case_tensor({c.kv_len, c.n_kv_heads, c.head_dim}, 2)};
}

void write_inputs(const std::string& path, ConstTensorView q, ConstTensorView k, ConstTensorView v,
                  const Metadata& metadata = {}) {
  SafetensorsWriter writer;
  writer.add("q", q);
  writer.add("k", k);
  writer.add("v", v);
  for (const auto& [key, value] : metadata) writer.metadata(key, value);
  writer.write(path);
}

Metadata metadata_of(const Case& c) {
  Metadata m = {{"causal", c.causal ? "true" : "false"}};
  if (c.scale != 0) m.emplace_back("scale", fmt::format("{}", c.scale));
  return m;
}

SafetensorsFile attended(const Folder& folder, const std::string& backend, bool probe = false) {
  std::vector<std::string> arguments = {
      "attend",    "--in", folder.file("in.safetensors"), "--out", folder.file("out.safetensors"),
      "--backend", backend};
  if (probe) arguments.push_back("--probe");
  const LastrowOutcome o = lastrow_program(arguments);
  CAPTURE(o.err);
  REQUIRE(o.exit_code == 0);
  return SafetensorsFile::open(folder.file("out.safetensors"));
}

/// Equation 1 in double precision, one query and head at a time.
struct CaseReference {
  std::vector<double> out, lse, scores, probs;
  double largest_term = 0;  // max over (h, t, s) of scale · Σ_d |q k|, which bounds the rounding of a score
};

CaseReference reference_of(const Case& c, const CaseInputs& in) {
  CaseReference r;
  const double scale = c.scale != 0 ? c.scale : 1 / std::sqrt(static_cast<double>(c.head_dim));
  const int64_t cells = c.n_q_heads * c.q_len * c.kv_len;
  r.out.assign(static_cast<size_t>(c.q_len * c.n_q_heads * c.head_dim), 0);
  r.lse.assign(static_cast<size_t>(c.q_len * c.n_q_heads), -kInfinity);
  r.scores.assign(static_cast<size_t>(cells), -kInfinity);
  r.probs.assign(static_cast<size_t>(cells), 0);
  const float *q = in.q.data<float>(), *k = in.k.data<float>(), *v = in.v.data<float>();
  for (int64_t h = 0; h < c.n_q_heads; ++h)
    for (int64_t t = 0; t < c.q_len; ++t) {
      const int64_t g = h / (c.n_q_heads / c.n_kv_heads), cell = (h * c.q_len + t) * c.kv_len;
      const int64_t seen = std::max<int64_t>(c.causal ? c.kv_len - c.q_len + t + 1 : c.kv_len, 0);
      double sum = 0;
      for (int64_t s = 0; s < seen; ++s) {
        double dot = 0, size = 0;
        for (int64_t d = 0; d < c.head_dim; ++d) {
          const double term = double{q[(t * c.n_q_heads + h) * c.head_dim + d]} *
                              double{k[(s * c.n_kv_heads + g) * c.head_dim + d]};
          dot += term;
          size += std::abs(term);
        }
        r.scores[cell + s] = scale * dot;
        r.largest_term = std::max(r.largest_term, std::abs(scale) * size);
        sum += std::exp(scale * dot);
      }
      if (seen == 0) continue;
      r.lse[t * c.n_q_heads + h] = std::log(sum);
      for (int64_t s = 0; s < seen; ++s) {
        r.probs[cell + s] = std::exp(r.scores[cell + s]) / sum;
        for (int64_t d = 0; d < c.head_dim; ++d)
          r.out[(t * c.n_q_heads + h) * c.head_dim + d] +=
              r.probs[cell + s] * double{v[(s * c.n_kv_heads + g) * c.head_dim + d]};
      }
    }
  return r;
}

/// Largest |x − y|, where equal infinities differ by 0.
double largest_difference(const std::vector<double>& expected, ConstTensorView actual) {
  REQUIRE(static_cast<int64_t>(expected.size()) == actual.size());
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double x = actual.data<float>()[i];
    if (x != expected[i])
      largest = std::max(largest, std::isfinite(x - expected[i]) ? std::abs(x - expected[i]) : kInfinity);
  }
  return largest;
}

}  // namespace

TEST_CASE("a query that asks for one key gets its value") {
  // Key 0 points along x, and key 1 along y. Query 0 sees only key 0. Query 1 is large and points along y.
  float q[] = {0, 1000, 0, 1000}, k[] = {1, 0, 0, 1}, v[] = {3, 4, 5, 6};
  const Folder folder;
  write_inputs(folder.file("in.safetensors"), TensorView(q, {2, 1, 2}), TensorView(k, {2, 1, 2}),
               TensorView(v, {2, 1, 2}), {{"scale", "0.5"}});
  for (const char* backend : {"eigen", "naive", "naive-f64"}) {
    const SafetensorsFile result = attended(folder, backend, /*probe=*/true);
    const float *out = result.tensor("out").data<float>(), *lse = result.tensor("lse").data<float>();
    CHECK(std::vector<float>(out, out + 4) == std::vector<float>{3, 4, 5, 6});
    CHECK(std::vector<float>(lse, lse + 2) == std::vector<float>{0, 500});
    const float *scores = result.tensor("scores").data<float>(),
                *probs = result.tensor("probs").data<float>();
    CHECK(std::vector<float>(scores, scores + 4) == std::vector<float>{0, -INFINITY, 0, 500});
    CHECK(std::vector<float>(probs, probs + 4) == std::vector<float>{1, 0, 0, 1});
  }
}

TEST_CASE("every backend agrees with double precision on ugly shapes") {
  const Case cases[] = {{1, 1, 1, 1, 1},
                        {3, 7, 4, 2, 5},
                        {5, 3, 2, 1, 8},
                        {0, 4, 2, 2, 4},
                        {4, 0, 2, 1, 4},
                        {33, 65, 6, 2, 16},
                        {1, 129, 8, 1, 64},
                        {2, 31, 3, 3, 80, false},
                        {9, 4, 4, 4, 3, false},
                        {7, 7, 2, 1, 4, true, 3},
                        {1, 600, 4, 2, 8, true, -0.25}};
  for (const Case& c : cases) {
    CAPTURE(c.q_len);
    CAPTURE(c.kv_len);
    const Folder folder;
    const CaseInputs in = make_inputs(c);
    write_inputs(folder.file("in.safetensors"), in.q.view(), in.k.view(), in.v.view(), metadata_of(c));
    const CaseReference r = reference_of(c, in);
    double largest_v = 0;
    for (int64_t i = 0; i < in.v.size(); ++i)
      largest_v = std::max(largest_v, std::abs(double{in.v.data<float>()[i]}));
    for (const char* backend : {"eigen", "naive", "naive-f64"}) {
      CAPTURE(backend);
      const SafetensorsFile result = attended(folder, backend, /*probe=*/true);
      // In single precision, a sum of n terms is wrong by at most n · ε · Σ|terms|. So a score is wrong by at
      // most `score`, and a probability by a factor e^(2·score), plus a few ε per key for sum, division and
      // exp.
      const double eps = 0x1p-23, n_terms = static_cast<double>(c.head_dim + 4);
      const double score = n_terms * eps * r.largest_term;
      const double relative = 2 * score + static_cast<double>(c.kv_len + 8) * eps;
      CHECK(result.tensor("out").shape() == in.q.shape());
      CHECK(result.tensor("scores").shape() == Shape{c.n_q_heads, c.q_len, c.kv_len});
      CHECK(largest_difference(r.scores, result.tensor("scores")) <= score);
      CHECK(largest_difference(r.lse, result.tensor("lse")) <= relative + 8 * eps * r.largest_term);
      CHECK(largest_difference(r.probs, result.tensor("probs")) <= 2 * relative + 16 * eps * r.largest_term);
      CHECK(largest_difference(r.out, result.tensor("out")) <= 2 * relative * largest_v);
    }
  }
}

TEST_CASE("a large problem is split into steps, which changes no bit") {
  const Case whole{600, 1500, 8, 2, 64};  // 1.8 times the work that is done at once
  const CaseInputs in = make_inputs(whole);
  const Folder folder;
  write_inputs(folder.file("in.safetensors"), in.q.view(), in.k.view(), in.v.view());
  const SafetensorsFile all = attended(folder, "eigen");
  const ConstTensorView out = all.tensor("out");
  const auto same_as_alone = [&](int64_t begin,
                                 int64_t n) {  // queries of [begin, begin + n), and what they see
    const int64_t seen = whole.kv_len - whole.q_len + begin + n;
    write_inputs(folder.file("in.safetensors"), in.q.view().rows(begin, n), in.k.view().rows(0, seen),
                 in.v.view().rows(0, seen));
    const SafetensorsFile part = attended(folder, "eigen");
    const float *a = out.rows(begin, n).data<float>(), *b = part.tensor("out").data<float>();
    return std::equal(a, a + part.tensor("out").size(), b);
  };
  CHECK(same_as_alone(0, 100));
  CHECK(same_as_alone(500, 100));
}

TEST_CASE("NaN in the input reaches the output, and a note says so") {
  CaseInputs in = make_inputs({2, 3, 1, 1, 4});
  in.v.data<float>()[8] = NAN;  // of the last key, which only the last query sees
  const Folder folder;
  write_inputs(folder.file("in.safetensors"), in.q.view(), in.k.view(), in.v.view());
  const LastrowOutcome o = lastrow_program(
      {"attend", "--in", folder.file("in.safetensors"), "--out", folder.file("out.safetensors")});
  CHECK(o.exit_code == 0);
  CHECK(o.err.find("v holds NaN or infinity in 1 of its elements, first at element 8") != std::string::npos);
  const SafetensorsFile result = SafetensorsFile::open(folder.file("out.safetensors"));
  const float* out = result.tensor("out").data<float>();
  CHECK(std::isfinite(out[0]));
  CHECK(std::isnan(out[4]));
}

TEST_CASE("wrong tensors or metadata give an error, and an existing output stays unchanged") {
  const Folder folder;
  const std::string in = folder.file("in.safetensors"), out = folder.file("out.safetensors");
  write_text(out, "precious");
  const auto refused = [&](const std::string& expected) {
    CAPTURE(expected);
    check_refused({"attend", "--in", in, "--out", out}, expected);
    CHECK(read_text(out) == "precious");
  };
  const auto shapes = [&](Shape q, Shape k, Shape v, const Metadata& metadata = {}) {
    const Tensor tq = Tensor::host(DType::f32, q), tk = Tensor::host(DType::f32, k),
                 tv = Tensor::host(DType::f32, v);
    write_inputs(in, tq.view(), tk.view(), tv.view(), metadata);
  };
  shapes({2, 3, 4}, {5, 2, 4}, {5, 2, 4});
  refused("3 query heads cannot share 2 K/V heads");
  shapes({2, 2, 4}, {5, 2, 3}, {5, 2, 3});
  refused("q has head_dim 4, but k has 3");
  shapes({2, 2, 4}, {5, 2, 4}, {6, 2, 4});
  refused("k is [5, 2, 4], but v is [6, 2, 4]");
  shapes({2, 8}, {5, 2, 4}, {5, 2, 4});
  refused("reshape it to [q_len, n_q_heads, head_dim]");
  shapes({2, 2, 0}, {5, 2, 0}, {5, 2, 0});
  refused("head_dim is 0");
  shapes({2, 0, 4}, {5, 2, 4}, {5, 2, 4});
  refused("n_q_heads is 0");
  shapes({2, 2, 4}, {5, 0, 4}, {5, 0, 4});
  refused("n_kv_heads is 0");
  shapes({int64_t{1} << 40, 0, 4}, {5, 2, 4}, {5, 2, 4});
  refused("q_len is 1099511627776");
  shapes({0, int64_t{1} << 33, 4}, {0, int64_t{1} << 33, 4}, {0, int64_t{1} << 33, 4});
  refused("n_q_heads is 8589934592");
  shapes({0, 1, int64_t{1} << 33}, {0, 1, int64_t{1} << 33}, {0, 1, int64_t{1} << 33});
  refused("head_dim is 8589934592");
  for (const char* causal : {"True", "1", "", "false "}) {
    shapes({2, 2, 4}, {5, 2, 4}, {5, 2, 4}, {{"causal", causal}});
    refused("write \"true\" or \"false\"");
  }
  for (const char* scale : {"", "x", "0.5x", " 0.5", "nan", "inf", "1e99"}) {
    shapes({2, 2, 4}, {5, 2, 4}, {5, 2, 4}, {{"scale", scale}});
    refused("write a finite number");
  }
  shapes({2, 2, 4}, {5, 2, 4}, {5, 2, 4}, {{"scale", "1e-46"}});  // too small for a float: 0
  CHECK(lastrow_program({"attend", "--in", in, "--out", folder.file("small.safetensors")}).exit_code == 0);
  std::filesystem::remove(folder.file("small.safetensors"));
  SafetensorsWriter doubles;
  const Tensor wide = Tensor::host(DType::f64, {1, 1, 4});
  for (const char* name : {"q", "k", "v"}) doubles.add(name, wide.view());
  doubles.write(in);
  refused("q is f64; convert it to f32, f16 or bf16");
  SafetensorsWriter no_v;
  const Tensor x = Tensor::host(DType::f32, {1, 1, 4});
  no_v.add("q", x.view());
  no_v.add("k", x.view());
  no_v.write(in);
  refused("has no tensor \"v\"");
  CHECK(folder.listing() == "in.safetensors out.safetensors ");
}

TEST_CASE("a file that is cut anywhere or has a damaged header is refused, and nothing is written") {
  const Folder folder;
  const std::string in = folder.file("in.safetensors"), out = folder.file("out.safetensors");
  const CaseInputs inputs = make_inputs({2, 3, 2, 1, 4});
  write_inputs(in, inputs.q.view(), inputs.k.view(), inputs.v.view());
  const std::string good = read_text(in);
  for (size_t n = 0; n < good.size(); n += 31) {
    CAPTURE(n);
    write_text(in, good.substr(0, n));
    check_refused({"attend", "--in", in, "--out", out}, in);
  }
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    REQUIRE(text.find(from) != std::string::npos);
    text.replace(text.find(from), from.size(), to);
    write_text(in, text);
    check_refused({"attend", "--in", in, "--out", out}, in);
  };
  replaced("[0,64]", "[1,64]");                               // does not span the shape
  replaced("[0,64]", "[9,73]");                               // overlaps
  replaced("\"F32\"", "\"F99\"");                             // unknown type
  replaced("[2,2,4]", "[2,2,9]");                             // larger than its bytes
  replaced(std::string(good, 0, 8), std::string(8, '\xff'));  // header length 2^64 − 1
  CHECK(folder.listing() == "in.safetensors ");
}

TEST_CASE("an input larger than the free memory is refused before it is read") {
  const Folder folder;
  const std::string in = folder.file("in.safetensors");
  write_text(in, "large");
  std::error_code no_sparse_files;
  std::filesystem::resize_file(in, uintmax_t{1} << 42, no_sparse_files);
  if (no_sparse_files)
    MESSAGE("skipped: no sparse files here: " << no_sparse_files.message());
  else
    check_refused({"attend", "--in", in, "--out", folder.file("out")},
                  "are available: use fewer queries or keys");
}

TEST_CASE("an output that cannot be written, or is the input, is refused before the work") {
  const Folder folder;
  const std::string in = folder.file("in.safetensors");
  CaseInputs inputs = make_inputs({1, 1, 1, 1, 2});
  inputs.v.data<float>()[0] = NAN;  // would give a note if the work had started
  write_inputs(in, inputs.q.view(), inputs.k.view(), inputs.v.view());
  const std::string before = read_text(in);
  check_refused({"attend", "--in", in, "--out", folder.file("out"), "--kv-dtype", "int8-channel"},
                "attend stores each row by itself");
  check_refused({"attend", "--in", in, "--out", folder.file("no/such/folder/out.safetensors")},
                "create the folder");
  check_refused({"attend", "--in", in, "--out", in + "/out.safetensors"}, "cannot be written");
  check_refused({"attend", "--in", in, "--out", folder.file("")}, "is a folder");
  check_refused({"attend", "--in", in, "--out", in}, "same file");
  check_refused({"attend", "--in", folder.file("missing"), "--out", folder.file("out")}, "missing");
  check_refused({"attend", "--in", in, "--out", folder.file("out"), "--backend", "abacus"}, "eigen");
  CHECK(read_text(in) == before);
  CHECK(folder.listing() == "in.safetensors ");
}
