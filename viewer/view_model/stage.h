// Brings the twin session to where the user wants it, and copies out what there is to see. One thread only.
//
//   Stage stage(progress);
//   Outcome o = stage.reach(goal);     opens a session if model, prompt or backend differ; steps
//   if (o.scene) …                     the whole picture; else o.error says why there is none
//
// A goal says where to be, not how: whatever was there before, the same goal gives the same scene.
// Pokes of `now` belong to their step: at another step they are left out. Tokens are chosen without pokes,
// so a poke never rewrites the text. progress.stop, set from any thread, ends whatever runs before its next
// layer, in every session; it stays until its owner takes it back.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "session/twin.h"
#include "viewer/view_model/step_data.h"

namespace lastrow::view {

struct Goal {
  std::string model, prompt, backend;
  int step = 0;
  std::vector<Poke> pokes;
};

/// Shared with the thread that draws.
class Progress {
 public:
  void say(const std::string& text, double fraction);
  std::pair<std::string, double> get() const;
  std::atomic<bool> stop = false;  // asks the thread that works to end

 private:
  mutable std::mutex mutex_;
  std::string text_;
  double fraction_ = -1;
};

struct Outcome {
  Goal goal;                   // step as reached, pokes as in force
  std::optional<Scene> scene;  // none: nothing changed
  std::string error;           // one line; with a scene: as far as it went ("context full …")
  bool cancelled = false;
};

class Stage {
 public:
  explicit Stage(Progress& progress) : progress_(progress) {}
  Outcome reach(Goal goal);

 private:
  std::shared_ptr<const StepData> capture();
  std::shared_ptr<const StepData> plain_step(int step);
  void open(const Goal& goal);
  std::shared_ptr<TwinSession> start_twin(const Goal& goal, std::shared_ptr<const Model> model,
                                          const std::vector<int32_t>& prompt, bool record) const;
  void run_to(int step);
  void note_reads();
  void remember(std::shared_ptr<const StepData> data);
  std::shared_ptr<const StepData> timed(std::shared_ptr<const StepData> data);
  Scene scene_at(const Goal& goal);

  Progress& progress_;
  std::shared_ptr<TwinSession> twin_;    // recorded
  std::shared_ptr<TwinSession> timing_;  // the same without recording; null for large models
  std::shared_ptr<const World> world_;
  std::shared_ptr<const Model> model_;
  std::string model_name_;
  std::map<int, std::shared_ptr<const StepData>> plain_;  // recent steps without pokes
  std::array<std::vector<AttendRead>, 2> reads_;          // [Side][step]
};

}  // namespace lastrow::view
