#include "train/evaluate.h"

#include <sstream>
#include <utility>

#include "train/grammar.h"
#include "train/network.h"

namespace lastrow::train {
namespace {

// Streams of kHeldOutSeed that do not overlap.
constexpr uint64_t kLossTexts = 0, kPromptTexts = 1'000'000, kHeadTexts = 2'000'000,
                   kCarriedStream = 4'000'000;

Sample held_out_text(uint64_t stream, int n_tokens) {
  Random random(kHeldOutSeed, stream);
  return write(n_tokens, random);
}

/// The index of the largest logit of a row; the first one if several are equal.
int32_t argmax(const Network<float>& network, int64_t row) {
  Eigen::Index best = 0;
  network.logits().row(row).maxCoeff(&best);
  return static_cast<int32_t>(best);
}

/// Adds, for each head of each layer, the mass from token t to the earlier mentions of its animal.
void add_mention(const Network<float>& network, const Sample& s, int64_t t, std::vector<HeadScore>& heads,
                 bool is_name) {
  const auto at = [&](int64_t i) { return s.animals[static_cast<size_t>(i)]; };
  int64_t begin = t;  // the first token of the mention that t is part of
  while (begin > 0 && at(begin - 1) == at(t)) --begin;
  std::vector<int64_t> earlier;
  for (int64_t i = 0; i < begin; ++i)
    if (at(i) == at(t)) earlier.push_back(i);
  const double chance = static_cast<double>(earlier.size()) / static_cast<double>(t + 1);
  const int64_t n = static_cast<int64_t>(s.tokens.size());
  for (HeadScore& h : heads) {
    const auto row = network.attention(h.layer).row(h.head * n + t);
    double mass = 0;
    for (int64_t i : earlier) mass += static_cast<double>(row(i));
    (is_name ? h.name : h.noun) += mass;
    (is_name ? h.name_chance : h.noun_chance) += chance;
  }
}

/// The words of a text in lines of at most `width` characters, each with its line break.
std::string wrapped(const std::string& text, size_t width) {
  std::string lines, line;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > width) lines += std::exchange(line, "") + "\n";
    line += (line.empty() ? "" : " ") + word;
  }
  return lines + line + "\n";
}

}  // namespace

std::vector<int32_t> carried_text(int i) {
  constexpr int kTokens = 256;
  return held_out_text(kCarriedStream + static_cast<uint64_t>(i), kTokens).tokens;
}

std::string held_out_file() {
  std::string file;
  for (int i = 0; i < kCarriedTexts; ++i)
    file += (i == 0 ? "" : "\n") + wrapped(fable_tokenizer().decode(carried_text(i)), 100);
  return file;
}

HeldOut held_out_loss(const TrainedModel& model, int n_texts) {
  const int n = model.layout.config().max_seq_len;
  Network<float> network(model.layout, n);
  HeldOut result;
  for (int i = 0; i < n_texts; ++i) {
    const Sample sample = held_out_text(kLossTexts + static_cast<uint64_t>(i), n);
    network.forward(model.params.data(), sample.tokens);
    result.loss += network.loss(sample.tokens);
    result.floor += sample.floor() * (n - 1);
    result.n_tokens += n - 1;
  }
  result.loss /= static_cast<double>(result.n_tokens);
  result.floor /= static_cast<double>(result.n_tokens);
  return result;
}

std::vector<int32_t> continue_greedily(const TrainedModel& model, std::vector<int32_t> tokens, int n_tokens) {
  Network<float> network(model.layout, model.layout.config().max_seq_len);
  for (int i = 0; i < n_tokens; ++i) {
    network.forward(model.params.data(), tokens);
    tokens.push_back(argmax(network, static_cast<int64_t>(tokens.size()) - 1));
  }
  return tokens;
}

Continuations continue_prompts(const TrainedModel& model, int n_prompts, int n_tokens) {
  Continuations result;
  for (int i = 0; i < n_prompts; ++i) {
    const uint64_t stream = kPromptTexts + static_cast<uint64_t>(i);
    Random lengths(kHeldOutSeed, stream + kHeadTexts);
    const auto length = static_cast<int>(4 + lengths.below(57));
    const std::vector<int32_t> prompt = held_out_text(stream, length).tokens;
    std::vector<int32_t> text = continue_greedily(model, prompt, n_tokens);
    const int64_t offence = first_offence(text);
    ++result.n;
    if (offence < 0) {
      ++result.parsed;
      continue;
    }
    const auto end = text.begin() + offence + 1;
    result.failures.push_back(fable_tokenizer().decode(prompt) + " | " +
                              fable_tokenizer().decode(std::vector(text.begin() + length, end)));
  }
  return result;
}

std::vector<HeadScore> look_back(const TrainedModel& model, int n_texts) {
  const ModelConfig& c = model.layout.config();
  Network<float> network(model.layout, c.max_seq_len);
  std::vector<HeadScore> heads;
  for (int layer = 0; layer < c.n_layers; ++layer)
    for (int head = 0; head < c.n_q_heads; ++head) heads.push_back({.layer = layer, .head = head});
  int64_t n_nouns = 0, n_letters = 0;
  for (int i = 0; i < n_texts; ++i) {
    const Sample s = held_out_text(kHeadTexts + static_cast<uint64_t>(i), c.max_seq_len);
    network.forward(model.params.data(), s.tokens);
    for (size_t t = 0; t < s.tokens.size(); ++t) {
      if (!s.again[t]) continue;
      const bool is_name = s.tokens[t] >= fable_tokenizer().id_of('a', false);
      ++(is_name ? n_letters : n_nouns);
      add_mention(network, s, static_cast<int64_t>(t), heads, is_name);
    }
  }
  for (HeadScore& h : heads) {
    h.noun /= static_cast<double>(n_nouns);
    h.noun_chance /= static_cast<double>(n_nouns);
    h.name /= static_cast<double>(n_letters);
    h.name_chance /= static_cast<double>(n_letters);
  }
  return heads;
}

}  // namespace lastrow::train
