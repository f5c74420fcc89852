// All operations of the decoder as one type, Op, and the functions that work for every operation.
//
//   void Watcher::run(const Op& op) { inner().run(op); total += cost_of(op); }
//
// A new operation needs four things: a file in this folder, an entry in Op, a function in each backend, and
// the line of the forward that calls it. Tracing, counting, lineage and checks then work without a change.
//
// The events of a trace have no operands. They say with an OpKind which operation it was:
//
//   event.op == kind_of<Attend>        traits(event.op).name
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include "ops/add.h"
#include "ops/append.h"
#include "ops/argmax.h"
#include "ops/attend.h"
#include "ops/embed.h"
#include "ops/embed_positions.h"
#include "ops/gather_rows.h"
#include "ops/gelu.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/probe.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/rotate_keys.h"
#include "ops/score_mass.h"
#include "ops/seal_keys.h"
#include "ops/swiglu.h"

namespace lastrow {

/// Cheap to make and to pass, because it holds views and numbers and owns no memory.
using Op = std::variant<Embed, EmbedPositions, RmsNorm, LayerNorm, Linear, Rope, Append, RotateKeys, Attend,
                        Probe, ScoreMass, SealKeys, Swiglu, Gelu, Add, GatherRows, Argmax>;

inline Site site_of(const Op& op) {
  return std::visit([](const auto& o) { return o.site; }, op);
}
/// The storage whose rows the operation reads or writes; nullptr: none.
inline const KvStorage* storage_of(const Op& op) {
  return std::visit(
      [](const auto& o) -> const KvStorage* {
        if constexpr (requires { o.storage; }) return &o.storage;
        return nullptr;
      },
      op);
}
/// Throws ShapeError if an operand does not fit.
inline void check(const Op& op) {
  std::visit([](const auto& o) { o.check(); }, op);
}
inline Operands operands(const Op& op) {
  return std::visit([](const auto& o) { return o.operands(); }, op);
}
inline OpCost cost_of(const Op& op) {
  return std::visit([](const auto& o) { return o.cost(); }, op);
}

/// Which operation it is: the index of its type in Op. After these come kCopyBlocks and kWriteRows.
enum class OpKind : uint8_t {};
inline constexpr size_t kOpCount = std::variant_size_v<Op> + 2;
/// Backend::copy_blocks, or the block copies at the start of a step.
inline constexpr OpKind kCopyBlocks{kOpCount - 2};
/// Backend::write_rows.
inline constexpr OpKind kWriteRows{kOpCount - 1};

namespace detail {

template <typename O, size_t... I>
constexpr OpKind index_in_op(std::index_sequence<I...>) {
  return OpKind{static_cast<uint8_t>(((std::is_same_v<O, std::variant_alternative_t<I, Op>> ? I : 0) + ...))};
}
template <size_t... I>
constexpr std::array<OpTraits, kOpCount> all_traits(std::index_sequence<I...>) {
  return {std::variant_alternative_t<I, Op>::kTraits...,
          {.name = "copy_blocks", .rule = RowRule::copied, .n_sources = 0},
          {.name = "write_rows", .rule = RowRule::none, .n_sources = 0}};
}
using OpIndices = std::make_index_sequence<std::variant_size_v<Op>>;
inline constexpr std::array<OpTraits, kOpCount> kAllTraits = all_traits(OpIndices());

}  // namespace detail

template <typename O>
inline constexpr OpKind kind_of = detail::index_in_op<O>(detail::OpIndices());

inline OpKind kind(const Op& op) { return OpKind{static_cast<uint8_t>(op.index())}; }

constexpr const OpTraits& traits(OpKind op) { return detail::kAllTraits[static_cast<size_t>(op)]; }

}  // namespace lastrow
