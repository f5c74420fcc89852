// Faults: a decorator that changes the plan or the mask before the backend gets it.
//
//   FaultingBackend faulty(backend);
//   faulty.on_plan([](StepPlan& plan) { plan.positions.back() -= 1; });     off by one in RoPE
//   faulty.on_attend([](Site, AttendSpec& spec) { spec.mask.causal = false; });
//
// Lessons use it to show what a bug in the host logic looks like from outside. The model and the backend run
// as always, but with wrong inputs. The caller's plan does not change. The Batch points to the changed plan,
// as it would with a real bug.
// * Do not use the Batch after the next begin_step.
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
    for (StepPlan& windowed : plan_.of_windowed) plan_fault_(windowed);
    return inner().begin_step(plan_, storage);
  }
  void run(const Op& op) override {
    Op tampered = op;
    if (auto* attend = std::get_if<Attend>(&tampered)) tamper(attend->site, attend->spec);
    if (auto* probe = std::get_if<Probe>(&tampered)) tamper(probe->site, probe->spec);
    if (auto* mass = std::get_if<ScoreMass>(&tampered)) tamper(mass->site, mass->spec);
    inner().run(tampered);
  }

 private:
  void tamper(Site site, AttendSpec& spec) const {
    if (attend_fault_) attend_fault_(site, spec);
  }

  std::function<void(StepPlan&)> plan_fault_;
  std::function<void(Site, AttendSpec&)> attend_fault_;
  StepPlan plan_;  // the changed copy of this step's plan
};

}  // namespace lastrow
