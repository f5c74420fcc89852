#include "cli/generation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cache/kv_codec.h"

namespace lastrow::cli {
namespace {

/// `from`: the loaded rows, or null.
[[noreturn]] void fail_not_finite(const DecodeSession& session, KvDtypes dtypes, const SavedCache* from) {
  const StoredRows stored = check_stored_rows(session, dtypes);
  if (stored.n_not_finite > 0)
    throw Error(
        "{}: step {} gave logits that are NaN or infinite, and {} stored elements are too, the first in {}: "
        "{} may not be able to hold them; use --kv-dtype bf16 or f32",
        session.model().source(), session.current_step(), stored.n_not_finite, stored.first,
        kv_dtypes_name(dtypes));
  throw Error("{}: step {} gave logits that are NaN or infinite: the weights{} are damaged or far too large",
              session.model().source(), session.current_step(),
              from == nullptr ? "" : fmt::format(", or the rows of {},", from->source));
}

int64_t n_loaded_by(const Conversation& talk) {
  return talk.from != nullptr ? std::ssize(talk.from->tokens) : 0;
}

/// One run: its session, and what the session did so far.
class Runner {
 public:
  Runner(DecodeSession& session, const Conversation& talk, KvDtypes dtypes,
         const std::function<void(const ModeRun&)>& on_token)
      : session_(session), talk_(talk), dtypes_(dtypes), on_token_(on_token) {
    run_.mode = session.mode();
  }

  ModeRun all_turns() {
    start();
    choose_rest();
    for (const std::vector<int32_t>& given : talk_.then) {
      feed(given);
      choose_rest();
    }
    return std::move(run_);
  }

 private:
  void start() {
    if (talk_.from != nullptr)
      session_.start_from(*talk_.from, talk_.prompt);
    else
      session_.start(talk_.prompt);
    run_.turns.push_back({.given = {session_.tokens().begin(), session_.tokens().end()}});
    while (session_.current_step() + 1 < session_.n_prefill_steps()) note(session_.advance());
    choose();
  }

  /// Feeds the last chosen token and the given ones, in chunks.
  void feed(const std::vector<int32_t>& given) {
    run_.turns.push_back({.given = given});
    std::vector<int32_t> tokens = {session_.next_token()};
    tokens.insert(tokens.end(), given.begin(), given.end());
    std::span<const int32_t> rest = tokens;
    const auto chunk =
        static_cast<size_t>(session_.options().chunk);  // if the cache limits steps, the session chooses one
    while (!rest.empty()) {
      const size_t n = chunk == 0 ? rest.size() : std::min(rest.size(), chunk);
      note(session_.advance(rest.first(n)));
      rest = rest.subspan(n);
    }
    choose();
  }

  void choose_rest() {
    while (static_cast<int32_t>(run_.turns.back().chosen.size()) < talk_.n_tokens) {
      if (session_.context_full()) {
        run_.context_full = true;
        return;
      }
      note(session_.advance());
      choose();
    }
  }

  void note(const StepRecord& step) {
    run_.steps.push_back(step);
    const BackendInfo info = session_.backend_info();
    run_.n_replayed += info.n_replayed - replayed_before_;
    replayed_before_ = info.n_replayed;
    run_.attend_kernel = info.attend_kernel;
  }

  void choose() {
    const auto logits = session_.logits();
    if (!std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); }))
      fail_not_finite(session_, dtypes_, talk_.from);
    if (talk_.keeps_logits) run_.logits.insert(run_.logits.end(), logits.begin(), logits.end());
    run_.chosen_by.push_back(session_.current_step());
    run_.tokens.push_back(session_.next_token());
    run_.turns.back().chosen.push_back(session_.next_token());
    on_token_(run_);
  }

  DecodeSession& session_;
  const Conversation& talk_;
  const KvDtypes dtypes_;
  const std::function<void(const ModeRun&)>& on_token_;
  int64_t replayed_before_ = session_.backend_info().n_replayed;
  ModeRun run_;
};

}  // namespace

int64_t n_tokens_of(const Conversation& talk) {
  int64_t n = n_loaded_by(talk) + std::ssize(talk.prompt) + talk.n_tokens;
  for (const std::vector<int32_t>& given : talk.then) n += std::ssize(given) + talk.n_tokens;
  return n;
}

int32_t room_for_text(int64_t n_tokens, int32_t context) {
  if (n_tokens > std::numeric_limits<int32_t>::max())
    throw CapacityError("a text of {} tokens is too long to count its positions: use fewer --tokens",
                        n_tokens);
  return std::max(context, static_cast<int32_t>(n_tokens));
}

void require_fits(const Conversation& talk, int32_t context) {
  const int64_t n_new = std::ssize(talk.prompt), n_loaded = n_loaded_by(talk);
  int64_t n = n_loaded + n_new;
  if (n_loaded > 0 && n > context)
    throw CapacityError(
        "{} loaded tokens + {} new ones = {}, but the context has room for {}: use a shorter --prompt or "
        "another --cache-from",
        n_loaded, n_new, n, context);
  for (size_t turn = 0; turn < talk.then.size(); ++turn) {
    n += talk.n_tokens + static_cast<int64_t>(talk.then[turn].size());
    if (n > context)
      throw CapacityError(
          "with turn {} the text has {} tokens, but the context has room for {}: use fewer --tokens or "
          "--then",
          turn + 2, n, context);
  }
}

StoredRows check_stored_rows(const DecodeSession& session, KvDtypes dtypes) {
  StoredRows found;
  if (session.mode() == Mode::recompute || session.current_step() < 0) return found;
  for (int32_t layer = 0; layer < session.model().config().n_layers; ++layer)
    for (const RowKind kind : {RowKind::k, RowKind::v}) {
      if (dtypes.of(kind) == DType::f32) continue;
      const KvCache& own = session.cache().of_layer(layer);
      for (int32_t s = 0; s < own.length(0); ++s) {
        const Tensor row = session.stored_row(layer, kind, s);
        const float* x = row.data<float>();
        for (int64_t i = 0; i < row.size(); ++i) {
          if (dtypes.of(kind) == DType::fp8_e4m3 && std::abs(x[i]) == 448) ++found.n_at_limit;
          if (!std::isfinite(x[i]) && found.n_not_finite++ == 0)
            found.first = fmt::format("{} of layer {}, position {}, head {}", kind == RowKind::k ? "K" : "V",
                                      layer, own.position_of(0, s), i / row.shape()[2]);
        }
      }
    }
  return found;
}

ModeRun generate(DecodeSession& session, const Conversation& talk, KvDtypes dtypes,
                 const std::function<void(const ModeRun&)>& on_token) {
  return Runner(session, talk, dtypes, on_token).all_turns();
}

Comparison compare(const ModeRun& a, const ModeRun& b) {
  const size_t n = std::min(a.tokens.size(), b.tokens.size());
  const auto first_difference =
      std::mismatch(a.tokens.begin(), a.tokens.begin() + static_cast<std::ptrdiff_t>(n), b.tokens.begin());
  const auto n_equal = static_cast<size_t>(first_difference.first - a.tokens.begin());
  const size_t n_compared = std::min(n, n_equal + 1);
  const size_t vocab_size = n == 0 ? 0 : a.logits.size() / a.tokens.size();
  float largest = 0;
  for (size_t i = 0; i < n_compared * vocab_size; ++i)
    largest = std::max(largest, std::abs(a.logits[i] - b.logits[i]));
  return {n_equal == a.tokens.size() && n_equal == b.tokens.size(), largest, static_cast<int32_t>(n_equal)};
}

std::vector<int32_t> all_tokens(const ModeRun& run) {
  std::vector<int32_t> all;
  for (const Turn& turn : run.turns) {
    all.insert(all.end(), turn.given.begin(), turn.given.end());
    all.insert(all.end(), turn.chosen.begin(), turn.chosen.end());
  }
  return all;
}

StepRecord total(std::span<const StepRecord> steps) {
  StepRecord sum;
  for (const StepRecord& step : steps) {
    StepRecord next = step;  // position, phase, lengths and what the cache holds
    next.q_rows += sum.q_rows;
    next.kv_rows_projected += sum.kv_rows_projected;
    next.score_cells += sum.score_cells;
    next.cache_bytes_read += sum.cache_bytes_read;
    next.cache_bytes_written += sum.cache_bytes_written;
    next.kv_scratch_bytes += sum.kv_scratch_bytes;
    next.rows_evicted += sum.rows_evicted;
    next.n_saturated = step.n_saturated < 0 ? -1 : sum.n_saturated + step.n_saturated;
    next.weight_bytes += sum.weight_bytes;
    next.flop += sum.flop;
    next.wall_us += sum.wall_us;
    sum = next;
  }
  return sum;
}

std::string stored_name(KvDtypes dtypes, const BackendInfo& backend) {
  const auto name = [&](DType dtype) -> std::string_view {
    return dtype == DType::f32 && backend.activation_dtype == DType::f64 ? "f64" : kv_dtype_name(dtype);
  };
  if (name(dtypes.k) != "f64" && name(dtypes.v) != "f64") return kv_dtypes_name(dtypes);
  return dtypes.same() ? "f64" : fmt::format("k={},v={}", name(dtypes.k), name(dtypes.v));
}

}  // namespace lastrow::cli
