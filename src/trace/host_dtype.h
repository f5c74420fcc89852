// The type of host copies of what a backend computed or stored.
#pragma once

#include "core/dtype.h"

namespace lastrow {

/// It can hold every activation, every id and every decoded element of K or V exactly.
constexpr DType host_dtype(DType dtype) {
  return dtype == DType::f64 || dtype == DType::i32 || dtype == DType::i64 ? dtype : DType::f32;
}

}  // namespace lastrow
