#include "trace/event.h"

namespace lastrow {

std::string_view name_of(Op op) {
  switch (op) {
    case Op::embed:
      return "embed";
    case Op::rms_norm:
      return "rms_norm";
    case Op::linear:
      return "linear";
    case Op::rope:
      return "rope";
    case Op::append:
      return "append";
    case Op::attend:
      return "attend";
    case Op::swiglu:
      return "swiglu";
    case Op::add:
      return "add";
    case Op::gather_rows:
      return "gather_rows";
    case Op::argmax:
      return "argmax";
    case Op::copy_blocks:
      return "copy_blocks";
    case Op::write_rows:
      return "write_rows";
  }
  return "?";
}

}  // namespace lastrow
