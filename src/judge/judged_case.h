// An attention problem, the judge's answer, and the largest error that an implementation may have.
//
//   const JudgedCase judged = judged_case(c);     17 runs of naive, so make it once for each case
//   …run the implementation on judged.q and judged.storage (host memory, as f32 backends store rows)…
//   const Verdict v = verdict(judged, result);    v.ok(), v.share(), v.to_string()
//
// For a kernel that rounds q and p to the type of K and V, make it with judged_case(c, Products::rounded).
//
// judge/tolerance.h has the rule. It holds for out and for lse separately.
#pragma once

#include "judge/attend_case.h"
#include "judge/tolerance.h"

namespace lastrow::judge {

/// The precision of q and p in the products q · k and p · v. `exact`: floats. `rounded`: the type of K and V,
/// or f16 if that type has 8 bits, as is usual for kernels on tensor cores. A rounded q is an input, as
/// stored rows are, so the judge uses it too. A rounded p is an error of the kernel, so the yardstick rounds
/// it and the judge does not.
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
  const DType product = size_of(c.kv_dtype.k) == 1 ? DType::f16 : c.kv_dtype.k;
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
  /// error / bound, the larger of the two for out and lse. At most 1 if ok().
  double share() const {
    const auto ratio = [](double error, double bound) { return error == 0 ? 0 : error / bound; };
    return std::max(ratio(out.largest, out_bound), ratio(lse.largest, lse_bound));
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
