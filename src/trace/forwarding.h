// The base of all decorators of a backend: it passes each call on to the backend inside it.
//
//   class Watcher : public WatchingBackend { void run(const Op& op) override { …; inner().run(op); } };
//   Watcher watcher(backend);   model.forward(watcher, …);
//
// Decorators can be stacked. Each holds a reference to the next one inside it, which must outlive it.
// * Call operations on the outermost decorator. Else the decorators further out do not see them.
// * Storage and tensors may be made through any decorator: they always belong to the innermost backend.
// * A decorator that must see or change each operation derives from WatchingBackend, which never replays a
//   step, because a replayed step does not call it. Decorators that can handle a replay override replay():
//   see CountingBackend and PokingBackend.
#pragma once

#include "backend/backend.h"

namespace lastrow {

class ForwardingBackend : public Backend {
 public:
  explicit ForwardingBackend(Backend& inner) : inner_(inner) {}

  BackendInfo info() const override { return inner_.info(); }

  Tensor make_tensor(Shape shape, std::optional<DType> dtype = {}) override {
    return inner_.make_tensor(shape, dtype);
  }
  Tensor upload(ConstTensorView host) override { return inner_.upload(host); }
  void download(ConstTensorView from, TensorView host) override { inner_.download(from, host); }
  void write(ConstTensorView host, TensorView to) override { inner_.write(host, to); }

  std::unique_ptr<KvStorage> make_storage(const CacheSpec& spec) override {
    return inner_.make_storage(spec);
  }
  void read_rows(const KvStorage& storage, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                 TensorView host) override {
    inner_.read_rows(storage, layer, kind, slots, host);
  }
  void write_rows(KvStorage& storage, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                  ConstTensorView host) override {
    inner_.write_rows(storage, layer, kind, slots, host);
  }
  void copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) override {
    inner_.copy_blocks(storage, copies);
  }

  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override {
    return inner_.begin_step(plan, storage);
  }
  void replay(int64_t key, FunctionRef<void()> ops) override { inner_.replay(key, ops); }

  void run(const Op& op) override { inner_.run(op); }

 protected:
  Backend& inner() const { return inner_; }

 private:
  Backend& inner_;
};

/// A decorator that must see every operation. It runs them one by one and never replays.
class WatchingBackend : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void replay(int64_t, FunctionRef<void()> ops) override { ops(); }
};

}  // namespace lastrow
