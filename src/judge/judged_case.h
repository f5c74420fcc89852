// An attention problem with the judge's answer and how far any other may be from it, for one or many
// implementations to be held against.
//
//   const JudgedCase judged = judged_case(c);      18 runs of naive: make it once a case
//   … judged_case(c, Products::rounded)            for a kernel that rounds q and p to the type of K and V,
//                                                 or to f16 where that has 8 bits
//   … an implementation runs on judged.q, judged.storage (host memory, stored as f32 backends store) …
//   const Verdict v = verdict(judged, result);    v.ok(), v.share(), v.to_string()
//
// The rule is that of judge/tolerance.h, for out and for lse each.
#pragma once

#include "judge/attend_case.h"
#include "judge/tolerance.h"

namespace lastrow::judge {

/// What q and p are in the products q · k and p · v: floats, or rounded to the type of K and V (f16 where
/// that has 8 bits), as kernels on tensor cores usually have them. A rounded q is an input like stored rows:
/// the judge computes with it too. A rounded p is the kernel's own error: the yardstick makes it, the judge
/// does not.
enum class Products { exact, rounded };

struct JudgedCase {
  AttendCase c;
  Layout layout;
  Tensor q;                            // [n_tokens, n_q_heads, head_dim] f32
  std::unique_ptr<KvStorage> storage;  // of naive<float>: encoded rows, in the host's memory
  AttendResult reference;              // of naive<double>
  double out_bound, lse_bound;
};

inline Tensor rounded_to(DType type, ConstTensorView x) {
  Tensor narrow = Tensor::host(type, x.shape()), wide = Tensor::host(x.dtype(), x.shape());
  convert(x, narrow.view());
  convert(narrow.view(), wide.view());
  return wide;
}

inline JudgedCase judged_case(const AttendCase& c, Products products = Products::exact) {
  const Layout l = lay_out(c);
  const bool rounded = products == Products::rounded;
  Tensor q = case_queries(c, l);
  const DType product = size_of(c.kv_dtype) == 1 ? DType::f16 : c.kv_dtype;
  if (rounded) q = rounded_to(product, q.view());
  NaiveBackend<double> f64;
  AttendResult reference = attend(f64, c, l, *fill_storage(f64, c, l), q);
  NaiveBackend<float> f32;
  auto storage = fill_storage(f32, c, l);
  double out = 0, lse = 0;
  for (uint64_t order = 1; order <= kYardstickOrders; ++order) {
    NaiveBackend<float> reordered(order, rounded ? product : DType::f32);
    const AttendResult result = attend(reordered, c, l, *storage, q);
    out = std::max(out, difference(result.out, reference.out).largest);
    lse = std::max(lse, difference(result.lse, reference.lse).largest);
  }
  const double out_bound = tolerance_of(out, reference.out), lse_bound = tolerance_of(lse, reference.lse);
  return {c, l, std::move(q), std::move(storage), std::move(reference), out_bound, lse_bound};
}

struct Verdict {
  Difference out, lse;
  double out_bound, lse_bound;

  bool ok() const { return out.largest <= out_bound && lse.largest <= lse_bound; }
  /// The larger of the two errors, as a share of its bound: at most 1 if ok.
  double share() const {
    const auto of = [](double error, double bound) { return error == 0 ? 0 : error / bound; };
    return std::max(of(out.largest, out_bound), of(lse.largest, lse_bound));
  }
  std::string to_string() const {
    return fmt::format("out: {}, bound {:.3g}; lse: {}, bound {:.3g}", out.to_string(), out_bound,
                       lse.to_string(), lse_bound);
  }
};

inline Verdict verdict(const JudgedCase& judged, const AttendResult& result) {
  return {difference(result.out, judged.reference.out), difference(result.lse, judged.reference.lse),
          judged.out_bound, judged.lse_bound};
}

}  // namespace lastrow::judge
