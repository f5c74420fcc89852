// The roofline of a machine: the most flop per second that it can reach for work with a given intensity.
//
//   const Roofline machine{.peak_gflops = measure_peak_f32_gflops(n_threads),
//                          .read_gbps = measure_read_bandwidth_gbps(bytes, n_threads)};
//   intensity(cost)                         flop per byte moved
//   machine.attainable_gflops(intensity)    min(peak, bandwidth · intensity)
//   machine.bandwidth_bound(cost)           whether bandwidth limits the work, not compute
//
// Both measurements are the best of several rounds, in decimal units (1 GB = 10^9 bytes). They are lower on a
// busy machine. So measure in the same run as the work that you compare with,
// and state the size of the buffer.
//
// Source: Williams, Waterman, Patterson 2009, "Roofline: an insightful visual performance model".
#pragma once

#include <cstdint>

#include "cost/op_cost.h"

namespace lastrow {

/// Flop per byte. Infinite if there are no bytes, and 0 if there is also no flop.
double intensity(const OpCost& cost);

struct Roofline {
  double peak_gflops = 0;  // 10^9 flop per second
  double read_gbps = 0;    // 10^9 bytes per second

  /// The intensity of the ridge: below it bandwidth limits the work, above it compute does.
  double ridge() const { return peak_gflops / read_gbps; }
  double attainable_gflops(double flop_per_byte) const;
  bool bandwidth_bound(const OpCost& cost) const { return intensity(cost) < ridge(); }
  /// The shortest time that the work can take: max(flop / peak, bytes / bandwidth).
  double least_seconds(const OpCost& cost) const;
};

/// Reads one buffer of `bytes`, of which each thread reads its own part. Returns the bandwidth of the fastest
/// of `rounds` rounds. To measure memory bandwidth, the buffer must be several times larger than the
/// last-level cache; a smaller buffer measures that cache. Allocates the buffer, and runs one more round to
/// warm up. In each round a thread reads its part `passes` times. A small buffer needs many passes, because
/// waking the threads would otherwise take longer than reading it.
/// Throws ShapeError for a buffer below 4 KiB per thread, n_threads outside 1 … 1024, rounds < 1 or
/// passes < 1. Throws CapacityError if memory is missing or a thread cannot be started.
double measure_read_bandwidth_gbps(int64_t bytes, int n_threads, int rounds = 5, int passes = 1);

/// Measures multiply-adds (2 flop each) on registers only, with the vector width that this library was
/// compiled for. A round takes about 1 ms, so that some rounds are
/// undisturbed even on a busy machine. Throws as above.
double measure_peak_f32_gflops(int n_threads, int rounds = 20);

}  // namespace lastrow
