// What the program itself says and asks: choices of model and backend, the box for a file, notices,
// work under way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lastrow::view {

struct Choice {
  std::string name;   // what SetModel or SetBackend takes
  std::string label;  // the entry of the list, with a description
  bool usable = true;
  std::string reason;  // why it is not usable
  bool selected = false;
  std::string button{};  // a shorter name for the button; empty: `name`
};

/// info: goes away by itself after a few seconds. error: stays longer, or until the next key or click.
enum class NoticeKind : uint8_t { info, error };

struct Notice {
  std::string text;  // one line: what went wrong, and what to do
  NoticeKind kind = NoticeKind::info;
  bool operator==(const Notice&) const = default;
};

/// The box in which the user types the path of a model file.
struct FileBox {
  struct Entry {
    std::string name;    // "fable.safetensors", "models/"
    std::string path;    // what the field holds after a click
    std::string detail;  // "451 KiB", "folder"
    bool folder = false;
  };
  bool open = false;
  std::string path;     // typed so far
  uint64_t serial = 0;  // grows when something else than the field changes the path
  std::string help, error;
  std::string place;           // "Model files in /usr/share/models"
  std::vector<Entry> entries;  // what is in the folder and begins as the typed name does
  std::string more;            // "and 30 more"; empty if all are listed
};

struct Busy {
  bool active = false;
  std::string text;     // "Running decode 12 …"
  double fraction = 0;  // below 0: not known
  bool can_cancel = false;
  bool operator==(const Busy&) const = default;
};

}  // namespace lastrow::view
