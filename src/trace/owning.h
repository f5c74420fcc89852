// One object that owns a decorator and the backend inside it.
//
//   std::unique_ptr<Backend> blind    = std::make_unique<Owning<NoMask>>(std::move(backend));
//   auto                     tampered = std::make_unique<Owning<FaultingBackend>>(std::move(backend));
//   tampered->decorator().on_plan(…);
#pragma once

#include <memory>
#include <utility>

#include "trace/forwarding.h"

namespace lastrow {

/// The members of Owning. They are in a base class, because ForwardingBackend needs `outside` to exist first.
template <typename Decorator>
struct Owned {
  std::unique_ptr<Backend> inside;
  Decorator outside;
};

/// The constructor of Decorator takes the backend by reference, and then args.
template <typename Decorator>
class Owning final : private Owned<Decorator>, public ForwardingBackend {
 public:
  template <typename... Args>
  explicit Owning(std::unique_ptr<Backend> backend, Args&&... args)
      : Owned<Decorator>{nullptr, Decorator(*backend, std::forward<Args>(args)...)},
        ForwardingBackend(static_cast<Backend&>(Owned<Decorator>::outside)) {  // a reference: not a copy
    Owned<Decorator>::inside = std::move(backend);
  }
  Decorator& decorator() { return Owned<Decorator>::outside; }
};

}  // namespace lastrow
