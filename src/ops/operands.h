// The types in which every operation describes itself.
//
// An operation is a struct of its operands (RmsNorm, Attend, …; ops/op.h lists them). Each has
//
//   static constexpr OpTraits kTraits     its name, where its rows come from, what kind of work it is
//   void check() const                    throws ShapeError if an operand does not fit
//   Operands operands() const             the tensors that it reads and writes
//   OpCost cost() const                   flop and bytes of this call
//
// Decorators (trace/) use these members, so they need no code for single operations. Nothing here allocates.
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

/// Up to four views, in order.
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

/// The tensors of a call. Stored K and V rows are not among them, nor are copies of them in a scratch.
struct Operands {
  bool reads_tokens = false;     // it reads the ids of the step's tokens; they come before the tensors
  Views<ConstTensorView> reads;  // activations, then parameters; an empty view: an optional one is missing
  Views<TensorView> writes;      // a view that is also in `reads` is changed in place
};

/// Which rows a written row is computed from. ops/row_rule.h has the rules.
enum class RowRule : uint8_t {
  row_by_row,  // row t of each output comes from row t of the first n_sources reads
  gathered,    // row i comes from row logit_rows[i]
  appended,    // a slot of K comes from row t of k, a slot of V from row t of v: t is the token stored there
  rotated,     // a slot of the scratch for rotated keys comes from the same slot of K
  attended,    // row t comes from row t of q, and from K and V (lse: K alone) of the slots that t sees
  weighed,     // row i comes from the rows of q and lse of sequence i, and from K of the slots that they see
  sealed,      // a slot of K comes from all slots of its block
  copied,      // a slot comes from the slot that was copied to it
  none,        // a row comes from no other row
};

/// What an operation spends its time on.
enum class WorkKind : uint8_t {
  weights,    // products with a weight matrix
  attention,  // queries against the cached K and V
  other,      // row by row, or moving rows
};

struct OpTraits {
  std::string_view name;  // in traces: "rms_norm"
  RowRule rule = RowRule::row_by_row;
  int n_sources = 1;  // rows come from the first n_sources reads; the others are parameters
  WorkKind work = WorkKind::other;
};

/// Throws ShapeError unless x has this many dimensions.
void require_rank(const char* name, ConstTensorView x, int rank);
/// Throws ShapeError unless each position of the step is below n_positions. The message uses
/// `what`: the thing that the table has for each position, for example "RoPE angle".
void require_positions(const Batch& batch, int64_t n_positions, const char* what);

constexpr int64_t elem_bytes(DType dtype) { return static_cast<int64_t>(size_of(dtype)); }

}  // namespace lastrow
