// What the program itself says and asks: choices of model and backend, input box, notices, work under way.
#pragma once

#include <cstdint>
#include <string>

namespace lastrow::view {

struct Choice {
  std::string name;   // what SetModel or SetBackend takes; shown on the button
  std::string label;  // the entry of the list, with a description
  bool usable = true;
  std::string reason;  // why it is not usable
  bool selected = false;
};

struct PromptBox {
  bool open = false;
  std::string text;   // to start with
  std::string error;  // shown under the field; empty when the text is fine
  std::string hint;   // what the model can read: "accepted: …"
};

enum class NoticeKind : uint8_t { info, error };

struct Notice {
  std::string text;  // one line: what went wrong, and what to do
  NoticeKind kind = NoticeKind::info;
};

struct Busy {
  bool active = false;
  std::string text;     // "Running decode 12 …"
  double fraction = 0;  // below 0: not known
  bool can_cancel = false;
  bool operator==(const Busy&) const = default;
};

}  // namespace lastrow::view
