// Copies the data that pictures are made from out of the sessions.
#pragma once

#include <memory>

#include "session/twin.h"
#include "viewer/view_model/describe/snapshot.h"

namespace lastrow::view {

/// The step that both sessions are at.
std::shared_ptr<const StepData> copy_step(const TwinSession& twin);
/// What the attend of the last layer read in that step.
AttendRead copy_read(const DecodeSession& session);

}  // namespace lastrow::view
