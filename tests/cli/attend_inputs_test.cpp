// `lastrow attend` with all types, layouts and file formats, and its notes about NaN and infinity.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/attend_files.h"
#include "cli/lastrow_program.h"
#include "cli/model_file.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "judge/random_tensor.h"
#include "trace/trace_file.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

constexpr int64_t kQueries = 3, kKeys = 37, kQHeads = 4, kKvHeads = 2, kHeadDim = 64;

Tensor normal(Shape shape, uint64_t stream) { return judge::random_tensor(shape, 5, stream); }

Tensor as(DType dtype, ConstTensorView x) {
  Tensor t = Tensor::host(dtype, x.shape());
  convert(x, t.view());
  return t;
}

struct Inputs {
  Tensor q = normal({kQueries, kQHeads, kHeadDim}, 0), k = normal({kKeys, kKvHeads, kHeadDim}, 1),
         v = normal({kKeys, kKvHeads, kHeadDim}, 2);
};

LastrowOutcome attend(const Folder& folder, const std::string& in, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"attend", "--in", folder.file(in), "--out", folder.file("out")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return lastrow_program(arguments);
}

/// [tokens, heads, dim] → [1, heads, tokens, dim].
Tensor heads_first(const Tensor& x) {
  const int64_t n = x.shape()[0], heads = x.shape()[1], dim = x.shape()[2];
  Tensor t = Tensor::host(DType::f32, {1, heads, n, dim});
  for (int64_t s = 0; s < n; ++s)
    for (int64_t h = 0; h < heads; ++h)
      std::copy_n(x.data<float>() + (s * heads + h) * dim, dim, t.data<float>() + (h * n + s) * dim);
  return t;
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("f16 and bf16 tensors give the same result as their values in f32") {
  const Inputs in;
  const Folder folder;
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const Tensor q = as(dtype, in.q.view()), k = as(dtype, in.k.view()), v = as(dtype, in.v.view());
    write(folder.file("narrow"), {{"q", q.view()}, {"k", k.view()}, {"v", v.view()}});
    const Tensor wide_q = as(DType::f32, q.view()), wide_k = as(DType::f32, k.view()),
                 wide_v = as(DType::f32, v.view());
    write(folder.file("wide"), {{"q", wide_q.view()}, {"k", wide_k.view()}, {"v", wide_v.view()}});
    const LastrowOutcome o = attend(folder, "narrow");
    CHECK(o.exit_code == 0);
    CHECK(holds(o.out, "K/V in " + std::string(name_of(dtype))));
    const auto narrow = result(folder, "out");
    CHECK(attend(folder, "wide").exit_code == 0);
    CHECK(result(folder, "out") == narrow);
  }
}

TEST_CASE("fp8, int8 with its scales, and K and V stored narrower than they are in the file") {
  Inputs in;
  const Folder folder;
  const Tensor k8 = as(DType::fp8_e4m3, in.k.view()), v8 = as(DType::fp8_e4m3, in.v.view());
  write(folder.file("fp8"), {{"q", in.q.view()}, {"k", k8.view()}, {"v", v8.view()}});
  CHECK(attend(folder, "fp8").exit_code == 0);
  const auto fp8 = result(folder, "out");
  write(folder.file("f32"), {{"q", in.q.view()}, {"k", in.k.view()}, {"v", in.v.view()}});
  CHECK(attend(folder, "f32", {"--kv-dtype", "fp8"}).exit_code == 0);
  CHECK(result(folder, "out") == fp8);
  CHECK(attend(folder, "f32").exit_code == 0);
  CHECK(result(folder, "out") != fp8);

  Tensor codes = Tensor::host(DType::i8, in.k.shape()), scales = Tensor::host(DType::f32, {kKeys, kKvHeads}),
         decoded = Tensor::host(DType::f32, in.k.shape());
  for (int64_t i = 0; i < codes.size(); ++i) {
    codes.data<int8_t>()[i] = static_cast<int8_t>(i % kHeadDim == 0 ? 127 : i % 120 - 60);
    scales.data<float>()[i / kHeadDim] = 0.0078125f * static_cast<float>(1 + i / kHeadDim % 3);
    decoded.data<float>()[i] =
        static_cast<float>(codes.data<int8_t>()[i]) * scales.data<float>()[i / kHeadDim];
  }
  write(folder.file("int8"), {{"q", in.q.view()},
                              {"k", codes.view()},
                              {"v", codes.view()},
                              {"k_scale", scales.view()},
                              {"v_scale", scales.view()}});
  CHECK(attend(folder, "int8").exit_code == 0);
  const auto int8 = result(folder, "out");
  write(folder.file("decoded"), {{"q", in.q.view()}, {"k", decoded.view()}, {"v", decoded.view()}});
  CHECK(attend(folder, "decoded").exit_code == 0);
  CHECK(result(folder, "out") == int8);
  write(folder.file("bare"), {{"q", in.q.view()}, {"k", codes.view()}, {"v", codes.view()}});
  check_refused({"attend", "--in", folder.file("bare"), "--out", folder.file("out")}, "there is no k_scale");
  write(folder.file("mixed"), {{"q", in.q.view()}, {"k", k8.view()}, {"v", in.v.view()}});
  CHECK(attend(folder, "mixed").exit_code == 0);  // K stays fp8, V stays f32
  const auto mixed = result(folder, "out");
  CHECK(attend(folder, "f32", {"--kv-dtype", "k=fp8,v=f32"}).exit_code == 0);
  CHECK(result(folder, "out") == mixed);
}

TEST_CASE("--layout bhsd gives the same numbers in another order") {
  const Inputs in;
  const Folder folder;
  write(folder.file("shd"), {{"q", in.q.view()}, {"k", in.k.view()}, {"v", in.v.view()}});
  const Tensor q = heads_first(in.q), k = heads_first(in.k), v = heads_first(in.v);
  write(folder.file("bhsd"), {{"q", q.view()}, {"k", k.view()}, {"v", v.view()}});
  CHECK(attend(folder, "shd").exit_code == 0);
  Tensor out = Tensor::host(DType::f32, {kQueries, kQHeads, kHeadDim});
  const auto shd = result(folder, "out");
  std::copy(shd.begin(), shd.end(), out.data<float>());
  CHECK(attend(folder, "bhsd", {"--layout", "bhsd", "--probe"}).exit_code == 0);
  const Tensor expected = heads_first(out);
  CHECK(result(folder, "out") ==
        std::vector<float>(expected.data<float>(), expected.data<float>() + expected.size()));
  const SafetensorsFile file = SafetensorsFile::open(folder.file("out"));
  CHECK(file.tensor("out").shape() == Shape{1, kQHeads, kQueries, kHeadDim});
  CHECK(file.tensor("lse").shape() == Shape{1, kQHeads, kQueries});
  CHECK(file.tensor("scores").shape() == Shape{1, kQHeads, kQueries, kKeys});
  CHECK(file.tensor("lse_distance").shape() == Shape{1, kQHeads, kQueries});
  check_refused({"attend", "--in", folder.file("bhsd"), "--out", folder.file("out")}, "give --layout bhsd");
}

TEST_CASE("a batch gives the results of its problems one by one") {
  const Inputs in;
  const Folder folder;
  const Tensor q = normal({2, kQHeads, kQueries, kHeadDim}, 3), k = normal({2, kKvHeads, kKeys, kHeadDim}, 4),
               v = normal({2, kKvHeads, kKeys, kHeadDim}, 5);
  write(folder.file("both"), {{"q", q.view()}, {"k", k.view()}, {"v", v.view()}});
  CHECK(attend(folder, "both", {"--layout", "bhsd"}).exit_code == 0);
  const auto both = result(folder, "out");
  std::vector<float> one_by_one;
  for (int64_t b = 0; b < 2; ++b) {
    write(folder.file("one"), {{"q", std::as_const(q).view().rows(b, 1)},
                               {"k", std::as_const(k).view().rows(b, 1)},
                               {"v", std::as_const(v).view().rows(b, 1)}});
    CHECK(attend(folder, "one", {"--layout", "bhsd"}).exit_code == 0);
    const auto out = result(folder, "out");
    one_by_one.insert(one_by_one.end(), out.begin(), out.end());
  }
  CHECK(both == one_by_one);
}

TEST_CASE("a window from the metadata or from an option shows only the last keys") {
  const Inputs in;
  const Folder folder;
  const ConstTensorView q = std::as_const(in.q).view().rows(2, 1);  // the last query, which sees all
  write(folder.file("all"), {{"q", q}, {"k", in.k.view()}, {"v", in.v.view()}}, {{"window", "5"}});
  write(folder.file("last"), {{"q", q},
                              {"k", std::as_const(in.k).view().rows(kKeys - 5, 5)},
                              {"v", std::as_const(in.v).view().rows(kKeys - 5, 5)}});
  CHECK(attend(folder, "last", {"--backend", "naive"}).exit_code == 0);
  const auto last = result(folder, "out");
  const LastrowOutcome o = attend(folder, "all", {"--backend", "naive"});
  CHECK(holds(o.out, "window 5"));
  CHECK(result(folder, "out") == last);
  CHECK(attend(folder, "all", {"--backend", "naive", "--window", "0"}).exit_code == 0);
  CHECK(result(folder, "out") != last);
  check_refused({"attend", "--in", folder.file("all"), "--out", folder.file("out"), "--window", "-1"},
                "window is -1");
  check_refused({"attend", "--in", folder.file("all"), "--out", folder.file("out"), "--window", "2147483648"},
                "--window = 2147483648: it is not a number, or it is too large");
}

TEST_CASE("sinks beside a window: the result is that of the visible keys alone") {
  const Inputs in;
  const Folder folder;
  const ConstTensorView q = std::as_const(in.q).view().rows(2, 1);  // the last query, which sees all
  write(folder.file("all"), {{"q", q}, {"k", in.k.view()}, {"v", in.v.view()}},
        {{"window", "3"}, {"sinks", "2"}});
  const auto first_and_last = [](const Tensor& x) {
    Tensor rows = Tensor::host(DType::f32, x.shape().with_rows(5));
    convert(x.view().rows(0, 2), rows.view().rows(0, 2));
    convert(x.view().rows(kKeys - 3, 3), rows.view().rows(2, 3));
    return rows;
  };
  const Tensor k = first_and_last(in.k), v = first_and_last(in.v);
  write(folder.file("some"), {{"q", q}, {"k", k.view()}, {"v", v.view()}});
  CHECK(attend(folder, "some", {"--backend", "naive"}).exit_code == 0);
  const auto some = result(folder, "out");
  const LastrowOutcome o = attend(folder, "all", {"--backend", "naive"});
  CHECK(holds(o.out, "window 3, 2 sinks"));
  CHECK(result(folder, "out") == some);
  CHECK(attend(folder, "all", {"--backend", "naive", "--sinks", "0"}).exit_code == 0);
  CHECK(result(folder, "out") != some);
  check_refused({"attend", "--in", folder.file("all"), "--out", folder.file("out"), "--sinks", "-1"},
                "sinks is -1");
  check_refused({"attend", "--in", folder.file("all"), "--out", folder.file("out"), "--window", "0"},
                "there are 2 sinks, but no window");
}

TEST_CASE("soft cap, scale and ALiBi from the metadata or from options give the same") {
  const Inputs in;
  const Folder folder;
  const auto file = [&](const char* name, const Metadata& metadata) {
    write(folder.file(name), {{"q", in.q.view()}, {"k", in.k.view()}, {"v", in.v.view()}}, metadata);
  };
  file("plain", {});
  file("rules", {{"soft_cap", "1.5"}, {"scale", "0.75"}, {"alibi", "true"}});
  CHECK(attend(folder, "plain", {"--backend", "naive"}).exit_code == 0);
  const auto plain = result(folder, "out");
  const LastrowOutcome o = attend(folder, "rules", {"--backend", "naive"});
  CHECK(holds(o.out, "scale 0.75, soft cap 1.5, ALiBi"));
  const auto rules = result(folder, "out");
  CHECK(rules != plain);
  CHECK(attend(folder, "plain", {"--backend", "naive", "--soft-cap", "1.5", "--scale", "0.75", "--alibi"})
            .exit_code == 0);
  CHECK(result(folder, "out") == rules);
  for (const auto& [option, value, message] : {std::tuple{"--soft-cap", "-1", "soft_cap is -1"},
                                               {"--soft-cap", "inf", "--soft-cap is"},
                                               {"--scale", "nan", "--scale is"},
                                               {"--scale", "fast", "--scale is"}})
    check_refused({"attend", "--in", folder.file("plain"), "--out", folder.file("out"), option, value},
                  message);
  for (const auto& [key, value, message] : {std::tuple{"soft_cap", "x", "metadata soft_cap is"},
                                            {"alibi", "1", "metadata alibi is"},
                                            {"sinks", "two", "metadata sinks is"}}) {
    file("bad", {{key, value}});
    check_refused({"attend", "--in", folder.file("bad"), "--out", folder.file("out")}, message);
  }
}

TEST_CASE("tensors beside q, k and v may be of any type and rank") {
  std::string header =
      R"({"q":{"dtype":"F32","shape":[1,1,1],"data_offsets":[0,4]},"k":{"dtype":"F32","shape":[1,1,1],"data_offsets":[4,8]},)"
      R"("v":{"dtype":"F32","shape":[1,1,1],"data_offsets":[8,12]},"ids":{"dtype":"U16","shape":[2],"data_offsets":[12,16]},)"
      R"("deep":{"dtype":"F32","shape":[1,1,1,1,1],"data_offsets":[16,20]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size() & 0xFF), file[1] = static_cast<char>(header.size() >> 8);
  const Folder folder;
  std::string ones;
  for (int i = 0; i < 5; ++i) ones += std::string("\0\0\x80\x3f", 4);
  write_text(folder.file("in"), file + header + ones);
  CHECK(attend(folder, "in").exit_code == 0);
  CHECK(result(folder, "out") == std::vector<float>{1});
}

TEST_CASE("if the scores of finite q and k overflow, a note counts the NaN, names the first and says why") {
  Inputs in;
  const Folder folder;
  for (int64_t i = 0; i < kHeadDim; ++i) in.q.data<float>()[(kQHeads + 1) * kHeadDim + i] = 1e38f;
  for (int64_t i = 0; i < in.k.size(); ++i) in.k.data<float>()[i] = 1e3f;
  write(folder.file("in"), {{"q", in.q.view()}, {"k", in.k.view()}, {"v", in.v.view()}});
  const LastrowOutcome o = attend(folder, "in");
  CHECK(o.exit_code == 0);
  CHECK(
      holds(o.err, "1 of 12 rows are NaN or infinite; the first is query 1, head 1: q, k and v are finite"));
  CHECK(holds(o.err, "overflow f32"));
  for (int64_t i = 0; i < in.k.size(); ++i) in.k.data<float>()[i] = -1e3f;
  write(folder.file("in"), {{"q", in.q.view()}, {"k", in.k.view()}, {"v", in.v.view()}});
  CHECK(holds(attend(folder, "in").err,
              "1 of 12 rows see keys, but have only scores of −∞; the first is query 1, head 1"));
  CHECK(attend(folder, "in", {"--backend", "naive-f64"}).err.empty());
}

TEST_CASE("elements that the stored type of K and V cannot hold are counted and named as the cause") {
  Inputs in;
  const Folder folder;
  in.k.data<float>()[(7 * kKvHeads + 1) * kHeadDim + 3] = 1e5f;
  in.k.data<float>()[(9 * kKvHeads + 1) * kHeadDim + 3] = -1e5f;
  write(folder.file("in"), {{"q", in.q.view()}, {"k", in.k.view()}, {"v", in.v.view()}});
  CHECK(attend(folder, "in").err.empty());
  const std::string f16 = attend(folder, "in", {"--kv-dtype", "f16"}).err;
  CHECK(holds(f16,
              "k holds 2 elements beyond ±65504, the largest number of f16; the first is 100000 at token 7, "
              "head 1, element 3"));
  CHECK(holds(f16, "rows are NaN or infinite"));
  CHECK(holds(f16, "k holds elements that f16 cannot store"));
  CHECK(holds(attend(folder, "in", {"--kv-dtype", "fp8"}).err,
              "k holds 2 elements beyond ±448, the largest number of fp8"));
  CHECK(attend(folder, "in", {"--kv-dtype", "bf16"}).err.empty());
}

TEST_CASE("generate names the type of K and V as the cause, not the weights") {
  const Folder folder;
  write_model(folder.file("m.safetensors"), {.k_factor = 1e6f});
  const std::vector<std::string> arguments = {"generate", "--model",   folder.file("m.safetensors"),
                                              "--prompt", "the quick", "--tokens",
                                              "2",        "--kv-dtype"};
  const auto with = [&](const char* dtype) {
    std::vector<std::string> all = arguments;
    all.push_back(dtype);
    return lastrow_program(all);
  };
  CHECK(with("f32").exit_code == 0);
  CHECK(with("f32").err.empty());
  const LastrowOutcome f16 = with("f16");
  CHECK(holds(f16.err, "NaN or infin"));
  CHECK(holds(f16.err, "K of layer 0, position 0, head"));
  CHECK(holds(f16.err, "f16"));
  CHECK_FALSE(holds(f16.err, "weights are damaged"));
  CHECK(holds(with("fp8").err, "the limit of fp8"));
}

TEST_CASE("--backend all is refused with options that do not fit, before the file is read") {
  for (const char* option : {"--kernel", "--out"}) {
    const LastrowOutcome o =
        lastrow_program({"attend", "--in", "/nonexistent", "--backend", "all", option, "k05"});
    CHECK(o.exit_code == 2);
    CHECK(holds(o.err, "drop --"));
  }
}

TEST_CASE("the JSON and the trace count the elements that the stored type could not hold") {
  const Folder folder;
  write_model(folder.file("m.safetensors"), {.k_factor = 1e6f});
  const LastrowOutcome o = lastrow_program({"generate", "--model", folder.file("m.safetensors"), "--prompt",
                                            "the quick", "--tokens", "2", "--kv-dtype", "fp8", "--json",
                                            "--trace", folder.file("t.safetensors")});
  CAPTURE(o.err);
  REQUIRE(o.exit_code == 0);
  const nlohmann::json run = nlohmann::json::parse(o.out).at("modes").at("cached");
  CHECK(run.at("stored_not_finite") == 0);
  CHECK(run.at("stored_at_limit") > 0);
  CHECK(holds(o.err, fmt::format("{} stored elements are ±448", run.at("stored_at_limit").get<int>())));
  const TraceInfo info = TraceFile::open(folder.file("t.safetensors")).info;
  CHECK(info.n_stored_not_finite == 0);
  CHECK(info.n_stored_at_limit == run.at("stored_at_limit"));
}

TEST_CASE("--backend all prints one table that compares every backend and kernel with naive-f64") {
  const Inputs in;
  const Folder folder;
  write(folder.file("in"), {{"q", in.q.view()}, {"k", in.k.view()}, {"v", in.v.view()}});
  const LastrowOutcome o =
      lastrow_program({"attend", "--in", folder.file("in"), "--backend", "all", "--kv-dtype", "f16"});
  CAPTURE(o.out);
  CAPTURE(o.err);
  CHECK(o.exit_code == 0);
  for (const char* name :
       {"eigen ", "naive ", "cuda-emulated:k09", "cuda-emulated:k11", "cuda-emulated:k12", "bound"})
    CHECK(holds(o.out, name));
  CHECK(holds(o.out, "yes"));
  CHECK_FALSE(holds(o.out, "  no\n"));
  CHECK(holds(o.out, "cannot take this call"));  // k01 to k08 take f32
  check_refused({"attend", "--in", folder.file("in"), "--backend", "all", "--out", folder.file("out")},
                "drop --out");
  check_refused({"attend", "--in", folder.file("in")}, "--out is missing");
}
