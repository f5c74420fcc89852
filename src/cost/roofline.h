// The roofline of a machine, and where work lies under it.
//
//   const Roofline machine{.peak_gflops = measure_peak_f32_gflops(n_threads),
//                          .read_gbps = measure_read_bandwidth_gbps(bytes, n_threads)};
//   intensity(cost)                          flop for each byte moved
//   machine.attainable_gflops(intensity)     min(peak, bandwidth · intensity)
//   machine.bandwidth_bound(cost)            left of the ridge
//
// Both measurements are the best of several rounds, in decimal units (1 GB = 10^9 bytes). On a busy machine
// they fall: measure beside the thing you compare with, in the same run, and say the buffer's size.
//
// Source: Williams, Waterman, Patterson 2009, "Roofline: an insightful visual performance model".
#pragma once

#include <cstdint>

#include "cost/op_cost.h"

namespace lastrow {

/// Flop a byte; 0 bytes and 0 flop is 0, 0 bytes alone is infinite.
double intensity(const OpCost& cost);

struct Roofline {
  double peak_gflops = 0;  // 10^9 flop a second
  double read_gbps = 0;    // 10^9 bytes a second

  double ridge() const { return peak_gflops / read_gbps; }  // the intensity from which flop bind
  double attainable_gflops(double flop_per_byte) const;
  bool bandwidth_bound(const OpCost& cost) const { return intensity(cost) < ridge(); }
  /// The least time the work can take: max(flop / peak, bytes / bandwidth).
  double least_seconds(const OpCost& cost) const;
};

/// Streams through one buffer of `bytes`, each of n_threads reading its own share, and returns the fastest of
/// `rounds` passes. For memory bandwidth the buffer must be several times the last-level cache; a smaller
/// one measures that cache. Takes the memory and 1 + rounds passes of time.
/// Throws ShapeError for a buffer below 4 KiB a thread, n_threads outside 1 … 1024 or rounds < 1, and
/// CapacityError if there is no memory or a thread cannot be started.
double measure_read_bandwidth_gbps(int64_t bytes, int n_threads, int rounds = 5);

/// Multiply-adds (2 flop each) on registers alone, with the vector width this library was compiled for; about
/// 1 ms a round, so that some round runs undisturbed on a busy machine. Throws as above.
double measure_peak_f32_gflops(int n_threads, int rounds = 20);

}  // namespace lastrow
