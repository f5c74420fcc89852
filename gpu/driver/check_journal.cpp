#include "gpu/driver/check_journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "gpu/driver/case_shape.h"
#include "io/input_file.h"
#include "io/output_place.h"

namespace lastrow::driver {
namespace {

using nlohmann::json;

constexpr int64_t kMostBytes = int64_t{256} << 20;

/// JSON has no infinity: null stands for it.
json share_in_json(double share) { return std::isfinite(share) ? json(share) : json(nullptr); }
double share_from_json(const json& share) {
  return share.is_null() ? std::numeric_limits<double>::infinity() : share.get<double>();
}

}  // namespace

CheckJournal::CheckJournal(const std::string& path, const CheckedSet& set) : path_(path) {
  if (path_.empty()) return;
  const OutputPlace place = output_place(path_);
  if (place.is_direct)
    throw FileError("{}: is a pipe or a device, but a journal is read again later: name a file", path_);
  const bool is_new = !place.exists || place.status.st_size == 0;
  if (!is_new) read(path_, &set);
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) throw_cannot_write(path_, errno);
  if (was_cut_) write("");  // ends a line that was cut off
  if (is_new) write(json{{"set", set.name}, {"n_problems", set.n_problems}}.dump());
}

CheckJournal::CheckJournal(const std::string& path) { read(path, nullptr); }

CheckJournal::~CheckJournal() {
  if (fd_ >= 0) ::close(fd_);
}

void CheckJournal::read(const std::string& path, const CheckedSet* set) {
  const std::string all = read_text(path, kMostBytes);
  was_cut_ = !all.ends_with('\n');
  std::istringstream text(all);
  std::string line, begun, where;
  bool first = true;
  while (std::getline(text, line)) {
    const json j = json::parse(line, nullptr, false);
    if (j.is_discarded() && !first) continue;  // the line was cut off when a process ended
    try {
      if (first) {
        const CheckedSet held{j.at("set"), j.at("n_problems")};
        if (set != nullptr && (held.name != set->name || held.n_problems != set->n_problems))
          throw FileError("{}: holds a check of {} problems ({}), not of {} ({}): name another file", path,
                          held.n_problems, held.name, set->n_problems, set->name);
      } else if (j.contains("begin")) {
        if (!begun.empty()) ended_.emplace(begun, where);  // an earlier process ended in it
        begun = j.at("begin"), where = j.at("text");
      } else if (j.contains("gave_up")) {
        ended_.emplace(j.at("gave_up"), j.at("text"));
        begun.clear();
      } else {
        const std::string types = j.at("type");
        const bool apart = types.find('=') != std::string::npos;
        outcomes_.push_back({j.at("rung"), apart ? kv_dtypes_from_name(types) : dtype_from_name(types),
                             j.at("problem"), share_from_json(j.at("share")), j.at("failure")});
        known_.insert({outcomes_.back().rung, outcomes_.back().problem});
        begun.clear();
      }
    } catch (const FileError&) {
      throw;
    } catch (const std::exception&) {
      throw FileError("{}: is not a journal of lastrow-kernels --check: name another file", path);
    }
    first = false;
  }
  if (!begun.empty()) ended_.emplace(begun, where);
}

void CheckJournal::write(const std::string& line) {
  if (fd_ < 0) return;
  const std::string text = line + "\n";
  const off_t end = ::lseek(fd_, 0, SEEK_END);
  errno = ENOSPC;  // the error to report if only a part is written
  if (::write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size())) return;
  const int error = errno;
  // Removes a half line, because a later process appends after it.
  if (end >= 0) static_cast<void>(!::ftruncate(fd_, end));
  throw_cannot_write(path_, error);
}

std::string CheckJournal::ended_by(const std::string& rung) const {
  const auto found = ended_.find(rung);
  return found == ended_.end() ? "" : found->second;
}

void CheckJournal::begin(const std::string& rung, int64_t problem, const std::string& text) {
  write(json{{"begin", rung}, {"problem", problem}, {"text", text}}.dump());
}

void CheckJournal::end(const CheckOutcome& outcome) {
  known_.insert({outcome.rung, outcome.problem});
  outcomes_.push_back(outcome);
  write(json{{"rung", outcome.rung},
             {"type", judge::types_name(outcome.types)},
             {"problem", outcome.problem},
             {"share", share_in_json(outcome.share)},
             {"failure", outcome.failure}}
            .dump(-1, ' ', false, json::error_handler_t::replace));
}

void CheckJournal::give_up(const std::string& rung, const std::string& where) {
  ended_.emplace(rung, where);
  write(json{{"gave_up", rung}, {"text", where}}.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace lastrow::driver
