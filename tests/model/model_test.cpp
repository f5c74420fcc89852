// Models: loading, what is refused, and one forward over a batch.
#include "model/model.h"

#include <doctest/doctest.h>
#include <malloc.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <set>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "cache/contiguous_cache.h"
#include "core/conversions.h"
#include "core/random.h"
#include "io/safetensors.h"
#include "model/builtin.h"
#include "model/decoder.h"
#include "trace/forwarding.h"

using namespace lastrow;

namespace {

ModelConfig tiny() {
  ModelConfig c;
  c.name = "tiny";
  c.n_layers = 1, c.model_dim = 4, c.n_q_heads = 2, c.n_kv_heads = 1, c.head_dim = 2, c.ffn_dim = 3,
  c.vocab_size = 5;
  c.max_seq_len = 6;
  return c;
}

std::map<std::string, Tensor> tiny_weights() {
  std::map<std::string, Tensor> w;
  const auto add = [&](const std::string& name, Shape shape) {
    w.emplace(name, Tensor::host(DType::f16, shape));
  };
  add("model.embed_tokens.weight", {5, 4});
  add("model.norm.weight", {4});
  add(weight_name(0, "input_layernorm.weight"), {4});
  add(weight_name(0, "self_attn.q_proj.weight"), {4, 4});
  add(weight_name(0, "self_attn.k_proj.weight"), {2, 4});
  add(weight_name(0, "self_attn.v_proj.weight"), {2, 4});
  add(weight_name(0, "self_attn.o_proj.weight"), {4, 4});
  add(weight_name(0, "post_attention_layernorm.weight"), {4});
  add(weight_name(0, "mlp.gate_proj.weight"), {3, 4});
  add(weight_name(0, "mlp.up_proj.weight"), {3, 4});
  add(weight_name(0, "mlp.down_proj.weight"), {4, 3});
  return w;
}

/// Writes a model file with the given metadata; returns its path.
std::string write_model(const std::map<std::string, Tensor>& weights,
                        const std::map<std::string, std::string>& metadata) {
  const std::string path =
      (std::filesystem::temp_directory_path() / "lastrow_test_model.safetensors").string();
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : weights) writer.add(name, tensor.view());
  for (const auto& [key, value] : metadata) writer.metadata(key, value);
  writer.write(path);
  return path;
}

std::map<std::string, std::string> tiny_metadata() {
  return {{"lastrow.config", to_json(tiny())}, {"lastrow.tokenizer", Tokenizer::numbered(5).to_json()}};
}

}  // namespace

TEST_CASE("a config stays the same through JSON") {
  const ModelConfig c = tiny();
  CHECK(config_from_json(to_json(c)) == c);
  ModelConfig other = c;
  other.alibi = true, other.score_soft_cap = 30.5f, other.window = 12, other.window_period = 3;
  CHECK(config_from_json(to_json(other)) == other);
  CHECK(to_json(c).find("window") == std::string::npos);  // what is usual is left out
}

TEST_CASE("the window of a model is in every window_period-th layer") {
  ModelConfig c = tiny();
  c.window = 4, c.window_period = 2, c.score_soft_cap = 50;
  for (int layer = 0; layer < 4; ++layer) {
    CHECK(attend_spec(c, layer).mask.window == (layer % 2 == 0 ? 4 : 0));
    CHECK(attend_spec(c, layer).score.soft_cap == 50);
    CHECK(attend_spec(c, layer).score.alibi_heads == 0);
    CHECK(shape_of(c).layer_window(layer) == attend_spec(c, layer).mask.window);
  }
  c.alibi = true;
  CHECK(attend_spec(c, 1).score.alibi_heads == c.n_q_heads);
}

TEST_CASE("configs that cannot run are refused, and the message has the numbers") {
  const auto refused = [](auto change, const char* words) {
    ModelConfig c = tiny();
    change(c);
    CHECK_THROWS_WITH_AS(validate(c), doctest::Contains(words), ShapeError);
  };
  refused([](auto& c) { c.n_q_heads = 3, c.n_kv_heads = 2; }, "3 query heads cannot share 2 K/V heads");
  refused([](auto& c) { c.head_dim = 3; }, "head_dim 3 is odd");
  refused([](auto& c) { c.n_layers = 0; }, "n_layers is 0");
  refused([](auto& c) { c.vocab_size = 1 << 30; }, "too large for any model");
  refused([](auto& c) { c.norm_eps = std::numeric_limits<float>::quiet_NaN(); }, "norm_eps");
  refused([](auto& c) { c.rope_theta = 0; }, "rope_theta");
  refused([](auto& c) { c.score_soft_cap = -1; }, "score_soft_cap is -1");
  refused([](auto& c) { c.window = -1; }, "window is -1");
  refused([](auto& c) { c.window_period = 2; }, "window_period is 2 without a window");
  refused([](auto& c) { c.window = 4, c.window_period = 0; }, "window_period is 0");
  refused([](auto& c) { c.architecture = Architecture::gpt2, c.alibi = true; },
          "ALiBi beside learned positions");
  refused([](auto& c) { c.n_layers = c.model_dim = c.ffn_dim = 1 << 24; }, "parameters are too many");
  CHECK_THROWS_WITH_AS(config_from_json("{}"), doctest::Contains("'name' is missing"), FileError);
  CHECK_THROWS_WITH_AS(config_from_json("[1]"), doctest::Contains("missing"), FileError);
  CHECK_THROWS_WITH_AS(config_from_json(R"({"name":1})"), doctest::Contains("wrong type"), FileError);
}

TEST_CASE("a model file is loaded completely, or refused with a reason") {
  const auto model = load_model(write_model(tiny_weights(), tiny_metadata()));
  CHECK(model->config().name == "tiny");
  CHECK(model->n_params() == 5 * 4 + 4 + 4 + 16 + 8 + 8 + 16 + 4 + 12 + 12 + 12);
  CHECK(model->weight_bytes() == 2 * model->n_params());
  CHECK(n_params(shape_of(model->config())) == model->n_params());

  const auto refused = [](std::map<std::string, Tensor> weights, std::map<std::string, std::string> metadata,
                          const char* words) {
    const std::string path = write_model(weights, metadata);
    CHECK_THROWS_WITH_AS(load_model(path), doctest::Contains(words), FileError);
    CHECK_THROWS_WITH_AS(load_model(path), doctest::Contains(path.c_str()),
                         FileError);  // the message names the file
  };
  auto weights = tiny_weights();
  weights.erase("model.norm.weight");
  refused(std::move(weights), tiny_metadata(), "'model.norm.weight' [4] is missing");
  weights = tiny_weights();
  weights["model.norm.weight"] = Tensor::host(DType::f16, {5});
  refused(std::move(weights), tiny_metadata(), "is [5], but the config needs [4]");
  weights = tiny_weights();
  weights["model.norm.weight"] = Tensor::host(DType::i32, {4});
  refused(std::move(weights), tiny_metadata(), "is i32");
  weights = tiny_weights();
  weights["model.norm.weight"].data<Half>()[2] = to_half(std::numeric_limits<float>::quiet_NaN());
  refused(std::move(weights), tiny_metadata(), "'model.norm.weight' holds NaN or infinity at element 2");
  refused(tiny_weights(), {}, "not a lastrow model");
  auto metadata = tiny_metadata();
  metadata["lastrow.tokenizer"] = Tokenizer::numbered(6).to_json();
  refused(tiny_weights(), metadata, "the tokenizer has 6 tokens");
  metadata = tiny_metadata();
  metadata["lastrow.config"] = R"({"name": "x", "n_layers": 99999999999})";
  refused(tiny_weights(), metadata, "out of range");
  std::filesystem::remove(write_model(tiny_weights(), tiny_metadata()));
}

TEST_CASE("weights are not copied out of the bytes of the file") {
  for (const BuiltinFile& file : builtin_files()) {
    const auto model = load_model(std::string(file.name));
    const auto* norm = static_cast<const std::byte*>(model->weight("model.norm.weight").raw());
    CHECK(norm >= file.bytes.data());
    CHECK(norm < file.bytes.data() + file.bytes.size());
  }
  const std::string path = write_model(tiny_weights(), tiny_metadata());
  const auto model = load_model(path);
  const auto* first = static_cast<const std::byte*>(model->weight("model.embed_tokens.weight").raw());
  for (const char* name : {"model.norm.weight", "model.layers.0.mlp.up_proj.weight"}) {
    const auto* weight = static_cast<const std::byte*>(model->weight(name).raw());
    CHECK(std::abs(weight - first) < static_cast<std::ptrdiff_t>(std::filesystem::file_size(path)));
  }
  std::filesystem::remove(path);
}

TEST_CASE("the values of a random model depend only on seed, matrix and index") {
  const std::string spec = "random:layers=1,q_heads=2,head_dim=8,vocab=10,context=4,seed=";
  const auto one = load_model(spec + "1"), again = load_model(spec + "1"), other = load_model(spec + "2");
  const std::string name = weight_name(0, "mlp.up_proj.weight");
  const auto values = [&](const Model& m) {
    const ConstTensorView w = m.weight(name);
    return std::vector<float>(w.data<float>(), w.data<float>() + w.size());
  };
  CHECK(values(*one) == values(*again));
  CHECK(values(*one) != values(*other));
  Random random(1, /*stream: after the embedding, q, k, v, o and gate*/ 6);
  random.seek(5);
  const double word = random.next_u32() >> 9;
  CHECK(values(*one)[5] ==
        doctest::Approx(std::sqrt(12.0 / 16) * ((word + 0.5) * 0x1p-23 - 0.5)).epsilon(1e-6));
  double sum = 0, squares = 0;
  const auto model = load_model("random:layers=1,q_heads=1,head_dim=64,vocab=2000,context=4");
  const float* x = model->weight("model.embed_tokens.weight").data<float>();
  for (int i = 0; i < 128'000; ++i) sum += x[i], squares += double{x[i]} * x[i];
  CHECK(std::abs(sum / 128'000) < 4 * 0.125 / std::sqrt(128'000));  // 4 standard errors
  CHECK(squares / 128'000 == doctest::Approx(1.0 / 64).epsilon(0.02));
}

TEST_CASE("the norms of a random model differ, and are around 1") {
  const auto model = load_model("random:layers=2,q_heads=2,head_dim=8,vocab=10,context=4,seed=1");
  std::set<std::vector<float>> norms;
  for (const std::string& name :
       {std::string("model.norm.weight"), weight_name(0, "input_layernorm.weight"),
        weight_name(0, "post_attention_layernorm.weight"), weight_name(1, "input_layernorm.weight"),
        weight_name(1, "post_attention_layernorm.weight")}) {
    const ConstTensorView w = model->weight(name);
    const std::vector<float> values(w.data<float>(), w.data<float>() + w.size());
    for (const float x : values) CHECK((x >= 0.75f && x < 1.25f));
    CHECK_MESSAGE(norms.insert(values).second, name << " is that of another norm");
  }
  // By hand: the second norm of layer 0 is the third norm that is made.
  Random random(1, (uint64_t{1} << 32) + 2);
  CHECK(model->weight(weight_name(0, "post_attention_layernorm.weight")).data<float>()[0] ==
        0.75f + static_cast<float>(random.next_u32() >> 10) * 0x1p-23f);
}

TEST_CASE("a model that does not fit in memory is refused before it is made, with both sizes and a hint") {
  const std::string huge = "random:layers=100,q_heads=256,head_dim=64";  // about 10^12 bytes
  CHECK_THROWS_WITH_AS(load_model(huge), doctest::Contains("GB are available: use fewer or narrower layers"),
                       CapacityError);
  CHECK(random_model_config(huge).n_layers == 100);
}

TEST_CASE("the memory that is checked before is the memory that is allocated") {
  struct Counting final : ForwardingBackend {
    using ForwardingBackend::ForwardingBackend;
    Tensor make_tensor(Shape shape, std::optional<DType> dtype) override {
      return counted(inner().make_tensor(shape, dtype));
    }
    Tensor upload(ConstTensorView host) override { return counted(inner().upload(host)); }
    Tensor counted(Tensor t) { return total_bytes += t.size_bytes(), std::move(t); }
    int64_t total_bytes = 0;
  };
  const auto model =
      load_model("random:layers=2,q_heads=6,kv_heads=2,head_dim=8,model_dim=20,ffn=33,vocab=30,context=50");
  NaiveBackend<float> single;
  NaiveBackend<double> twice;
  for (Backend* backend : {static_cast<Backend*>(&single), static_cast<Backend*>(&twice)}) {
    const DType dtype = backend->info().activation_dtype;
    Counting of_decoder(*backend), of_workspace(*backend);
    const Decoder decoder(*model, of_decoder);
    CHECK(of_decoder.total_bytes == Decoder::bytes(model->config(), dtype));
    const Workspace workspace(model->config(), of_workspace, 17, 3);
    CHECK(of_workspace.total_bytes == Workspace::bytes(model->config(), dtype, 17, 3));
  }
}

TEST_CASE("a name is a built-in model, a file, a random model, or an error") {
  CHECK_THROWS_WITH_AS(load_model("fable"), doctest::Contains("unknown model 'fable': use fable-mha"),
                       UsageError);
  CHECK_THROWS_WITH_AS(load_model("nowhere/model.safetensors"),
                       doctest::Contains("nowhere/model.safetensors"), FileError);
  const auto model = load_model(
      "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,model_dim=24,ffn=40,vocab=30,context=50,seed=9");
  const ModelConfig& c = model->config();
  CHECK(c.n_layers == 2);
  CHECK(c.model_dim == 24);
  CHECK(c.group_size() == 2);
  CHECK(c.ffn_dim == 40);
  CHECK(c.max_seq_len == 50);
  CHECK_THROWS_WITH_AS(load_model("random:layers"), doctest::Contains("not KEY=NUMBER"), UsageError);
  CHECK_THROWS_WITH_AS(load_model("random:layers=2x"), doctest::Contains("not KEY=NUMBER"), UsageError);
  CHECK_THROWS_WITH_AS(load_model("random:seed=16777217"), doctest::Contains("from 0 to 16777216"),
                       UsageError);
  CHECK_THROWS_WITH_AS(load_model("random:layers=1,q_heads=65536,kv_heads=1,head_dim=65536,model_dim=1"),
                       doctest::Contains("their product must be at most"), ShapeError);
  CHECK_THROWS_AS(load_model(std::string(5000, 'x')), UsageError);  // longer than any file name
  CHECK_THROWS_WITH_AS(load_model("random:depth=2"), doctest::Contains("'depth' is no key of a random model"),
                       UsageError);
  CHECK_THROWS_AS(load_model("random:q_heads=3,kv_heads=2"), ShapeError);
  CHECK_THROWS_AS(load_model("random:layers=-1"), UsageError);
  CHECK_THROWS_WITH_AS(load_model("random:alibi=2"), doctest::Contains("give 1 for ALiBi"), UsageError);
  const ModelConfig gemma = random_model_config("random:soft_cap=50,window=32,window_period=2");
  CHECK((gemma.score_soft_cap == 50 && gemma.window == 32 && gemma.window_period == 2 && gemma.has_rope()));
  CHECK_FALSE(random_model_config("random:alibi=1").has_rope());
}

TEST_CASE("the built-in models match their names, and each is smaller than a megabyte") {
  const std::vector<std::string> names = builtin_model_names();
  REQUIRE(names == std::vector<std::string>{"fable-mha", "fable-gqa", "fable-mqa"});
  const int n_kv_heads[] = {8, 2, 1};
  for (int i = 0; i < 3; ++i) {
    const auto model = load_model(names[i]);
    CHECK(model->config().n_kv_heads == n_kv_heads[i]);
    CHECK(model->config().n_q_heads == 8);
    CHECK(model->config().head_dim == 16);
    CHECK(model->config().vocab_size <= 320);
    CHECK(model->config().max_seq_len == 256);
    CHECK(model->weight_bytes() < 1'000'000);
    CHECK(model->tokenizer().encode("the quick brown fox").size() == 4);
  }
}

TEST_CASE(
    "a batch of sequences through the decoder gives each what it gets alone, to the last bit on the "
    "yardstick") {
  const auto model = load_model("random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=40,context=20,seed=5");
  NaiveBackend<float> backend;
  const Decoder decoder(*model, backend);
  Workspace workspace(model->config(), backend, 60, 60);
  const std::vector<std::vector<int32_t>> texts = {{1, 2, 3, 4, 5}, {7}, {9, 8, 7, 6, 5, 4, 3, 2, 1}};
  const auto logits_of = [&](ContiguousCache& cache, KvStorage& storage, std::vector<SequenceInput> inputs) {
    const StepPlan& plan = cache.plan(inputs);
    const TensorView logits = decoder.forward(backend, backend.begin_step(plan, storage), storage, workspace);
    std::vector<float> values(logits.data<float>(), logits.data<float>() + logits.size());
    cache.commit(plan);
    return values;
  };
  ContiguousCache together(CacheSpec::contiguous(2, 2, 8, 20, 3));
  const auto shared = backend.make_storage(together.spec());
  // Two steps: prompts of different lengths, then one more token each.
  std::vector<SequenceInput> prompts, next;
  const int32_t more[] = {11, 12, 13};
  for (int32_t i = 0; i < 3; ++i) {
    prompts.push_back({i, texts[i], LogitRows::all});
    next.push_back({i, std::span(more).subspan(i, 1), LogitRows::last});
  }
  const auto first = logits_of(together, *shared, prompts), second = logits_of(together, *shared, next);
  size_t row = 0;
  for (size_t i = 0; i < 3; ++i) {
    ContiguousCache alone(CacheSpec::contiguous(2, 2, 8, 20));
    const auto storage = backend.make_storage(alone.spec());
    const auto a = logits_of(alone, *storage, {{0, texts[i], LogitRows::all}});
    const auto b = logits_of(alone, *storage, {{0, std::span(more).subspan(i, 1), LogitRows::last}});
    CHECK(std::equal(a.begin(), a.end(), first.begin() + static_cast<std::ptrdiff_t>(row * 40)));
    CHECK(std::equal(b.begin(), b.end(), second.begin() + static_cast<std::ptrdiff_t>(i * 40)));
    row += texts[i].size();
  }
}

TEST_CASE("RoPE: a score depends only on the distance of the two positions") {
  const auto model = load_model("random:layers=1,q_heads=1,head_dim=16,vocab=10,context=64");
  NaiveBackend<double> backend;
  const RopeTable table = make_rope_table(model->config(), backend);
  const auto turned = [&](int64_t position, const std::vector<double>& x) {
    std::vector<double> y(16);
    for (int64_t d = 0; d < 8; ++d) {
      const double c = table.cos.data<double>()[position * 8 + d],
                   s = table.sin.data<double>()[position * 8 + d];
      y[d] = x[d] * c - x[d + 8] * s;
      y[d + 8] = x[d] * s + x[d + 8] * c;
    }
    return y;
  };
  std::vector<double> q(16), k(16);
  for (int i = 0; i < 16; ++i) q[i] = std::sin(i + 1.0), k[i] = std::cos(2.0 * i);
  const auto score = [&](int64_t a, int64_t b) {
    const auto x = turned(a, q), y = turned(b, k);
    double sum = 0;
    for (int i = 0; i < 16; ++i) sum += x[i] * y[i];
    return sum;
  };
  CHECK(score(9, 4) == doctest::Approx(score(60, 55)).epsilon(1e-12));
  CHECK(score(9, 4) != doctest::Approx(score(9, 5)).epsilon(1e-3));
}

TEST_CASE("the memory check counts what tensors take beside their numbers") {
  constexpr int64_t kLayers = 2000;
  const std::string spec = fmt::format("random:layers={},q_heads=1,head_dim=2,vocab=8,context=8", kLayers);
  const auto in_use = [] { return static_cast<int64_t>(mallinfo2().uordblks); };
  const int64_t before = in_use();
  const auto model = random_model(spec);
  const int64_t taken = in_use() - before, asked = random_model_bytes(model->config());
  if (taken == 0) {
    MESSAGE("skipped: this allocator does not say what is in use");
    return;
  }
  CAPTURE(taken);
  CHECK(taken > 10 * model->weight_bytes());
  CHECK(asked >= taken);
  CHECK(asked < 2 * taken);
  // A million layers would need more than the 200 MB of their weights. So many layers are refused as a model.
  ModelConfig million = model->config();
  million.n_layers = 1'000'000;
  CHECK(random_model_bytes(million) > int64_t{6'000'000'000});
  CHECK_THROWS_WITH_AS(random_model_config("random:layers=1000000,q_heads=1,head_dim=2"),
                       doctest::Contains("n_layers is 1000000: at most 65536"), ShapeError);
}

TEST_CASE("a random GPT-2 has positions and biases, no gate, and as many parameters as its shape says") {
  const auto model =
      load_model("random:arch=gpt2,layers=2,q_heads=2,kv_heads=1,head_dim=4,vocab=10,context=6");
  const ModelConfig& c = model->config();
  CHECK(c.architecture == Architecture::gpt2);
  CHECK(model->weight("model.embed_positions.weight").shape() == Shape{6, 8});
  CHECK(model->weight(weight_name(1, "self_attn.k_proj.bias")).shape() == Shape{4});
  CHECK(model->weight("model.norm.bias").shape() == Shape{8});
  CHECK(model->n_params() == n_params(shape_of(c)));
  CHECK(config_from_json(to_json(c)) == c);
  CHECK_THROWS_WITH_AS(load_model("random:arch=bert"),
                       "'arch=bert' in 'random:arch=bert': the architectures are llama, gpt2", UsageError);
}

TEST_CASE("a bias that the architecture does not use is refused, and not ignored") {
  auto weights = tiny_weights();
  weights.emplace("model.norm.bias", Tensor::host(DType::f16, {4}));
  CHECK_THROWS_WITH_AS(Model("m", tiny(), Tokenizer::numbered(5), std::move(weights)),
                       doctest::Contains("holds the bias 'model.norm.bias'"), FileError);
}
