// The option --backend and the options that belong to it, for every subcommand that computes.
//
//   BackendFlags flags;
//   flags.add_to(subcommand);           before parsing
//   auto backend = flags.make();        after parsing
//   print(flags.report(*backend));      at the end: tables if --simt-report was given, else ""
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
  /// Estimates the total time from the share of the work that is done. Throws CapacityError if the emulator
  /// would take too long.
  void require_in_time(double elapsed_seconds, double share_done) const {
    require_in_time(name_, elapsed_seconds, share_done);
  }
  /// The same for another backend.
  void require_in_time(const std::string& name, double elapsed_seconds, double share_done) const;
  /// Throws UsageError for a backend that cannot be used here, or options that do not fit together.
  std::unique_ptr<Backend> make() const { return make(name_); }
  /// The same for another backend, with a name that make_backend takes.
  std::unique_ptr<Backend> make(const std::string& name) const;
  std::string report(const Backend& backend) const;

 private:
  std::string name_ = "eigen";
  gpu::DeviceOptions device_;
  bool force_ = false;
};

}  // namespace lastrow::cli
