// What every operation says of itself, in types that all of them share.
//
// An operation is a struct of its operands (RmsNorm, Attend, …; ops/op.h lists them). It has
//
//   static constexpr OpTraits kTraits     its name, where its rows come from, what kind of work it is
//   void check() const                    throws ShapeError if an operand does not fit
//   Operands operands() const             the tensors that it reads and writes
//   OpCost cost() const                   flop and bytes of this call
//
// Decorators ask these and know no operation by name. Nothing here allocates.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "core/tensor.h"
#include "cost/op_cost.h"
#include "ops/site.h"

namespace lastrow {

struct Batch;

/// A few views, in order.
template <typename View>
class Views {
 public:
  Views(std::initializer_list<View> views) {
    for (const View& view : views) add(view);
  }
  const View* begin() const { return views_.data(); }
  const View* end() const { return views_.data() + size_; }
  size_t size() const { return size_; }
  const View& operator[](size_t i) const { return views_[i]; }

 private:
  void add(const View& view) {
    LASTROW_CHECK(size_ < views_.size(), "more than {} operands", views_.size());
    views_[size_++] = view;
  }
  std::array<View, 4> views_;
  size_t size_ = 0;
};

/// The tensors of a call. K and V rows in storage are not among them; Append and Attend alone have such.
struct Operands {
  bool reads_tokens = false;     // the ids of the step's tokens, before all tensors
  Views<ConstTensorView> reads;  // activations, then parameters; empty: an optional one that is missing
  Views<TensorView> writes;      // one that is in `reads` too is changed in place
};

/// From which rows a written row comes. The rules themselves are in ops/row_rule.h.
enum class RowRule : uint8_t {
  row_by_row,  // row t of each output comes from row t of the first n_sources reads
  gathered,    // row i comes from row logit_rows[i]
  appended,    // a slot of K comes from row t of k, a slot of V from row t of v: t is the token stored there
  attended,    // row t comes from row t of q, and from K and V (lse: K alone) of the slots that t sees
  copied,      // a slot comes from the slot that was copied to it
  none,        // it comes from no row
};

/// What the time of an operation goes into.
enum class WorkKind : uint8_t {
  weights,    // products with a weight matrix
  attention,  // queries against the cached K and V
  other,      // row by row, or moving rows
};

struct OpTraits {
  std::string_view name;  // in traces: "rms_norm"
  RowRule rule = RowRule::row_by_row;
  int n_sources = 1;  // reads that rows come from; parameters follow them
  WorkKind work = WorkKind::other;
};

/// Throws ShapeError unless x has this many dimensions.
void require_rank(const char* name, ConstTensorView x, int rank);
/// Throws ShapeError unless each position of the step is below n_positions. `what`: "RoPE angle", for the message.
void require_positions(const Batch& batch, int64_t n_positions, const char* what);

constexpr int64_t elem_bytes(DType dtype) { return static_cast<int64_t>(size_of(dtype)); }

}  // namespace lastrow
