// --backend and what goes with it, the same in every subcommand that computes.
//
//   BackendFlags flags;  flags.add_to(subcommand);      before parsing
//   auto backend = flags.make();                        after it
//   print(flags.report(*backend));                      at the end: tables if --simt-report was given, else
//   ""
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "registry/registry.h"

namespace lastrow::cli {

class BackendFlags {
 public:
  void add_to(CLI::App& subcommand);

  const std::string& name() const { return name_; }
  bool reports() const { return device_.report; }
  bool names_kernel() const { return !device_.kernel.empty(); }
  /// Throws CapacityError if work of which this share is done after so long would take the emulator too long.
  void require_in_time(double elapsed_seconds, double share_done) const {
    require_in_time(name_, elapsed_seconds, share_done);
  }
  /// The same of another backend.
  void require_in_time(const std::string& name, double elapsed_seconds, double share_done) const;
  /// Throws UsageError for what cannot be used here or does not go together.
  std::unique_ptr<Backend> make() const { return make(name_); }
  /// The same of another backend, as make_backend names it.
  std::unique_ptr<Backend> make(const std::string& name) const;
  std::string report(const Backend& backend) const;

 private:
  std::string name_ = "eigen";
  gpu::DeviceOptions device_;
  bool force_ = false;
};

}  // namespace lastrow::cli
