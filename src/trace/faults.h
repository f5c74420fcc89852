// Faults: a decorator that hands the backend a plan or a mask that somebody has tampered with.
//
//   FaultingBackend faulty(backend);
//   faulty.on_plan([](StepPlan& plan) { plan.positions.back() -= 1; });     off by one in RoPE
//   faulty.on_attend([](Site, AttendSpec& spec) { spec.mask.causal = false; });
//
// Lessons show with it what a bug in the host logic looks like from outside. The model and the backend run as
// always, on plain inputs that are wrong; the caller's plan is left as it was. Operations outside see the
// tampered plan through the Batch, as a real bug would have it.
// Do not keep the Batch past the next begin_step.
#pragma once

#include <functional>
#include <utility>

#include "trace/forwarding.h"

namespace lastrow {

class FaultingBackend final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;

  void on_plan(std::function<void(StepPlan&)> fault) { plan_fault_ = std::move(fault); }
  void on_attend(std::function<void(Site, AttendSpec&)> fault) { attend_fault_ = std::move(fault); }

  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override {
    if (!plan_fault_) return inner().begin_step(plan, storage);
    plan_ = plan;
    plan_fault_(plan_);
    return inner().begin_step(plan_, storage);
  }
  void run(const Op& op) override {
    Op tampered = op;
    if (auto* attend = std::get_if<Attend>(&tampered)) tamper(attend->site, attend->spec);
    if (auto* probe = std::get_if<Probe>(&tampered)) tamper(probe->site, probe->spec);
    inner().run(tampered);
  }

 private:
  void tamper(Site site, AttendSpec& spec) const {
    if (attend_fault_) attend_fault_(site, spec);
  }

  std::function<void(StepPlan&)> plan_fault_;
  std::function<void(Site, AttendSpec&)> attend_fault_;
  StepPlan plan_;  // the tampered copy of this step
};

}  // namespace lastrow
