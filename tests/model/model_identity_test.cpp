// Whether two models compute the same function, judged by their configs and the bits of their weights.
#include "model/model_identity.h"

#include <doctest/doctest.h>

#include "core/error.h"

using namespace lastrow;

namespace {

const char* const kModel = "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=2";

ModelIdentity identity(const std::string& spec) { return identity_of(*load_model(spec)); }

}  // namespace

TEST_CASE("the same model is equal to itself, loaded twice, and written and read") {
  const ModelIdentity a = identity(kModel), b = identity(kModel);
  CHECK(a == b);
  const ModelIdentity read = identity_from_json(to_json(a));
  CHECK(read == a);
  CHECK(read.config.name == a.config.name);
  ModelIdentity renamed = a;
  renamed.config.name = "another name";
  CHECK(renamed == a);
}

TEST_CASE("other weights, sizes or architectures differ, and the message names the difference") {
  const ModelIdentity own = identity(kModel);
  const ModelIdentity seed =
      identity("random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=3");
  CHECK(seed != own);
  CHECK(difference(seed, own).find("the weights differ") != std::string::npos);
  const ModelIdentity layers =
      identity("random:layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=2");
  CHECK(layers != own);
  CHECK(difference(layers, own) == "n_layers is 3 there and 2 here");
  const ModelIdentity gpt2 =
      identity("random:arch=gpt2,layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=2");
  CHECK(gpt2 != own);
  CHECK(difference(gpt2, own).find("architecture") != std::string::npos);
  ModelIdentity theta = own;
  theta.config.rope_theta = 500000;
  CHECK(theta != own);
  CHECK(difference(theta, own).find("rope_theta is 500000") != std::string::npos);
  ModelIdentity windowed = own;
  windowed.config.window = 16;
  CHECK(difference(windowed, own) == "window is 16 there and not set here");
  CHECK(difference(own, windowed) == "window is not set there and 16 here");
  for (const std::string& a : builtin_model_names())
    for (const std::string& b : builtin_model_names()) CHECK((identity(a) == identity(b)) == (a == b));
}

TEST_CASE("one changed bit of any weight, and a changed type, changes the hash") {
  const auto model = load_model(kModel);
  const ModelIdentity own = identity_of(*model);
  const auto changed = [&](const std::string& name, auto change) {
    std::map<std::string, Tensor> weights;
    for (const auto& [each, weight] : model->weights()) {
      Tensor copy = Tensor::host(weight.dtype(), weight.shape());
      convert(weight, copy.view());
      if (each == name) change(copy);
      weights.emplace(each, std::move(copy));
    }
    return identity_of(Model("test", model->config(), model->tokenizer(), std::move(weights)));
  };
  CHECK(changed("none", [](Tensor&) {}) == own);
  for (const auto& entry : model->weights()) {
    CAPTURE(entry.first);
    CHECK(changed(entry.first, [](Tensor& weight) {
            static_cast<unsigned char*>(weight.view().raw())[weight.size_bytes() - 4] ^= 1;
          }) != own);
  }
  CHECK(changed("model.norm.weight", [](Tensor& weight) {
          Tensor wide = Tensor::host(DType::f64, weight.view().shape());
          convert(std::as_const(weight).view(), wide.view());
          weight = std::move(wide);
        }) != own);
}

TEST_CASE("damaged identities are refused with one line") {
  const std::string good = to_json(identity(kModel));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string("{\"config\":1}"),
        with("weights_xxh64\":\"", "weights_xxh64\":\"x"), with("weights_xxh64\":\"", "other\":\""),
        with("\"n_layers\":2", "\"n_layers\":-2"), with("\"n_layers\":2", "\"n_layers\":\"2\""),
        with("\"n_kv_heads\":2", "\"n_kv_heads\":3"), with("\"head_dim\":8", "\"head_dim\":1073741824")}) {
    CAPTURE(text);
    CHECK_THROWS_AS((void)identity_from_json(text), FileError);
  }
}
