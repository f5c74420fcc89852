#include "cli/eval_report.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "cli/prompts_file.h"
#include "cost/memory.h"
#include "io/checked.h"

namespace lastrow::cli {
namespace {

using nlohmann::ordered_json;

/// "+0.003 ± 0.001 %"; "0" for the same number.
std::string change_text(const Change& change) {
  if (change.relative == 0) return "0";
  return change.error ? fmt::format("{:+.3f} ± {:.3f} %", 100 * change.relative, 100 * *change.error)
                      : fmt::format("{:+.3f} %", 100 * change.relative);
}

std::string share_text(int64_t bytes, int64_t of) {
  return fmt::format("{:.1f} %", 100 * static_cast<double>(bytes) / static_cast<double>(of));
}

std::string nats(double x) { return x == 0 ? "0" : fmt::format("{:.1e}", x); }

std::string kv_dtype_of(const EvalReport& report, const EvalRow& row) {
  return report.stores_f64 && row.kv_dtype == "f32" ? "f64" : row.kv_dtype;
}

/// The types of a contiguous cache, or else the kind of cache, with the types if they are not f32.
std::string label(const EvalReport& report, const EvalRow& row) {
  if (row.cache == "contiguous") return kv_dtype_of(report, row);
  return row.kv_dtype == "f32" ? row.cache : row.cache + ", " + row.kv_dtype;
}

template <typename Reference, typename Tested>
std::string line(std::string_view name, const Reference& reference, const Tested& tested) {
  return fmt::format("  {:<30} {:>16} {:>24}\n", name, reference, tested);
}

/// The contiguous cache of this type; null if it was not measured.
const EvalResult* measured(const EvalReport& report, std::string_view kv_dtype) {
  for (const EvalResult& r : report.results)
    if (r.row.cache == "contiguous" && r.row.kv_dtype == kv_dtype && r.refused.empty()) return &r;
  return nullptr;
}

constexpr const char* kTableRow = "  {:<36} {:>10} {:>8} {:>10} {:>20} {:>8} {:>8} {:>6}\n";

ordered_json prediction_as_json(const Prediction& prediction, int64_t bytes) {
  return {{"perplexity", prediction.perplexity()},
          {"nats_per_token", prediction.nats_per_token()},
          {"bytes", bytes}};
}

ordered_json result_as_json(const EvalReport& report, const EvalResult& r) {
  ordered_json json = {
      {"cache", r.row.cache}, {"kv_dtype", kv_dtype_of(report, r.row)}, {"refused", nullptr}};
  if (!r.refused.empty()) {
    json["refused"] = r.refused;
    return json;
  }
  const Quality& q = r.quality;
  json.update(prediction_as_json(q.prediction, r.storage_bytes));
  json["bytes_of_reference"] =
      static_cast<double>(r.storage_bytes) / static_cast<double>(report.reference_bytes);
  json["bytes_per_token"] = r.bytes_per_token;
  json["rows_held_at_most"] = q.most_rows;
  json["saturated"] = nullptr;
  if (q.n_saturated >= 0) json["saturated"] = q.n_saturated;
  json["perplexity_change"] = r.change.relative;
  json["perplexity_change_error"] = nullptr;
  if (r.change.error) json["perplexity_change_error"] = *r.change.error;
  json["kl_mean"] = q.kl_mean;
  json["kl_max"] = q.kl_max;
  json["kl_max_text"] = q.kl_max_text;
  json["kl_max_token"] = q.kl_max == 0 ? ordered_json() : ordered_json(q.kl_max_token);
  json["flips"] = q.n_flips;
  return json;
}

}  // namespace

std::string heading(const EvalReport& report) {
  const Prediction& p = report.reference->prediction;
  return fmt::format("{} on {}: {} predicted tokens of {} text{}{}, fed one a step\n", escaped(report.model),
                     report.backend, with_commas(p.n_tokens()), p.text_len.size(),
                     p.text_len.size() == 1 ? "" : "s",
                     report.text.empty() ? " that training never saw" : " from " + shown_path(report.text));
}

std::string as_text(const EvalReport& report, const EvalResult& r) {
  const Prediction& p = report.reference->prediction;
  const Quality& q = r.quality;
  std::string out = "\n" + line("", "reference", "tested");
  out += line("cache", "contiguous", r.row.cache);
  out += line("type of K and V", report.stores_f64 ? "f64" : "f32", kv_dtype_of(report, r.row));
  out += line("bytes of the cache", with_commas(report.reference_bytes), with_commas(r.storage_bytes));
  out += line("of the reference's", "100.0 %", share_text(r.storage_bytes, report.reference_bytes));
  out += line("bytes a token", "", with_commas(r.bytes_per_token));
  out += line("rows held at most by a layer", "", with_commas(q.most_rows));
  if (q.n_saturated != 0)
    out += line("elements too large for the type", "",
                q.n_saturated < 0 ? "not counted" : with_commas(q.n_saturated));
  out += line("perplexity", fmt::format("{:.4f}", p.perplexity()),
              fmt::format("{:.4f}", q.prediction.perplexity()));
  out += line("nats a token", fmt::format("{:.6f}", p.nats_per_token()),
              fmt::format("{:.6f}", q.prediction.nats_per_token()));
  out += line("change of the perplexity", "", change_text(r.change));
  out += line("KL divergence in nats, mean", "", nats(q.kl_mean));
  out += line("KL divergence in nats, largest", "", nats(q.kl_max));
  out +=
      line("tokens flipped", "", fmt::format("{} of {}", with_commas(q.n_flips), with_commas(p.n_tokens())));
  if (q.kl_max > 0) {
    const int32_t token =
        (*report.texts)[static_cast<size_t>(q.kl_max_text)][static_cast<size_t>(q.kl_max_token)];
    out += fmt::format("\nThe largest divergence is at token {} of text {}, \"{}\".\n", q.kl_max_token + 1,
                       q.kl_max_text + 1, escaped(report.tokenizer->piece(token)));
  }
  return out;
}

std::string table_head(const EvalReport& report) {
  const Prediction& p = report.reference->prediction;
  return fmt::format(
             "reference: contiguous, {}: perplexity {:.4f}, {:.4f} nats a token\n"
             "KL: divergence from the reference, nats a token. flips: another most probable token.\n\n",
             report.stores_f64 ? "f64" : "f32", p.perplexity(), p.nats_per_token()) +
         fmt::format(fmt::runtime(kTableRow), "types of K and V, or cache", "bytes", "of ref.", "perplexity",
                     "change", "KL mean", "KL max", "flips");
}

std::string table_row(const EvalReport& report, const EvalResult& r) {
  if (!r.refused.empty())
    return fmt::format("  {:<36} not measured: {}\n", label(report, r.row), escaped(r.refused));
  const Quality& q = r.quality;
  return fmt::format(fmt::runtime(kTableRow), label(report, r.row), with_commas(r.storage_bytes),
                     share_text(r.storage_bytes, report.reference_bytes),
                     fmt::format("{:.4f}", q.prediction.perplexity()), change_text(r.change), nats(q.kl_mean),
                     nats(q.kl_max), with_commas(q.n_flips));
}

std::string int8_claim(const EvalReport& report) {
  constexpr double kClaimed = 0.005;
  const EvalResult *f16 = measured(report, "f16"), *int8 = measured(report, "int8");
  if (f16 == nullptr || int8 == nullptr) return "";
  const Change& change = int8->change;
  const double spread = change.error ? 2 * *change.error : std::numeric_limits<double>::infinity();
  const char* verdict = "these texts are too few to tell";
  if (change.relative + spread < kClaimed) verdict = "that part holds for this model and these texts";
  if (change.relative - spread >= kClaimed)
    verdict = "that part does not hold for this model and these texts";
  return fmt::format(
      "\nClaimed of int8: half the bytes of f16, and less than 0.5 % more perplexity. Measured: {} of the "
      "bytes, because each\nrow of a head has a scale, and a change of {}: {}.\n",
      share_text(int8->bytes_per_token, f16->bytes_per_token), change_text(change), verdict);
}

ordered_json as_json(const EvalReport& report) {
  ordered_json rows = ordered_json::array();
  for (const EvalResult& result : report.results) rows.push_back(result_as_json(report, result));
  ordered_json json = {
      {"model", report.model},
      {"backend", report.backend},
      {"text", nullptr},
      {"texts", report.texts->size()},
      {"tokens", report.reference->prediction.n_tokens()},
      {"reference", prediction_as_json(report.reference->prediction, report.reference_bytes)},
      {"rows", std::move(rows)}};
  if (!report.text.empty()) json["text"] = report.text;
  return json;
}

}  // namespace lastrow::cli
