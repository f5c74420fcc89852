// The type in which the host looks at what a backend computed or stored.
#pragma once

#include "core/dtype.h"

namespace lastrow {

/// It carries every bit of an activation, of ids, and of a decoded K or V row.
constexpr DType host_dtype(DType dtype) {
  return dtype == DType::f64 || dtype == DType::i32 || dtype == DType::i64 ? dtype : DType::f32;
}

}  // namespace lastrow
