#include "io/json.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "io/checked.h"
#include "io/input_file.h"

namespace lastrow {
namespace {

using nlohmann::json;

/// Walks through the text and records how far the parser has read, for line and column in our messages.
struct Cursor {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  const char** reached;

  reference operator*() const { return *at; }
  Cursor& operator++() {
    *reached = ++at;
    return *this;
  }
  bool operator==(const Cursor& other) const { return at == other.at; }
  bool operator!=(const Cursor& other) const { return at != other.at; }
};

/// Builds the value from the parser's events. The library's own builder accepts two equal keys and has no
/// limits; this one refuses both. `open_` holds the containers that are not complete yet, outermost first.
/// Pointers into them stay valid, because only the innermost one grows.
class Builder final : public nlohmann::json_sax<json> {
 public:
  Builder(std::string_view text, const std::string& source, const JsonLimits& limits)
      : text_(text), source_(source), limits_(limits), reached_(text.data()) {}

  /// The library treats a NUL as the end of the text, and would ignore what follows it.
  void require_no_nul() {
    const size_t at = text_.find('\0');
    if (at == text_.npos) return;
    reached_ = text_.data() + at + 1;
    fail("a NUL byte");
  }

  Cursor begin() { return {text_.data(), &reached_}; }
  Cursor end() { return {text_.data() + text_.size(), &reached_}; }
  json take() { return std::move(root_); }

  bool null() override { return place(nullptr) != nullptr; }
  bool boolean(bool x) override { return place(x) != nullptr; }
  bool number_integer(number_integer_t x) override { return place(x) != nullptr; }
  bool number_unsigned(number_unsigned_t x) override { return place(x) != nullptr; }
  bool number_float(number_float_t x, const string_t&) override { return place(x) != nullptr; }
  bool string(string_t& x) override { return place(std::move(x)) != nullptr; }
  bool binary(binary_t&) override { fail("binary values are not JSON"); }
  bool start_object(std::size_t) override { return descend(json::object()); }
  bool start_array(std::size_t) override { return descend(json::array()); }
  bool end_object() override { return ascend(); }
  bool end_array() override { return ascend(); }

  bool key(string_t& name) override {
    auto& object = open_.back()->get_ref<json::object_t&>();
    const auto [slot, is_new] = object.try_emplace(std::move(name), nullptr);
    if (!is_new) fail(fmt::format("the key {} occurs twice", shown(slot->first)));
    member_ = &slot->second;
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    // The library's message is "[id] parse error at line 1, column 2: what; last read: '…'; expected …".
    // We keep only "what": fail() adds the place, and the last token may be as long as the file.
    std::string_view what = error.what();
    if (const size_t id_end = what.find("] "); id_end != what.npos) what.remove_prefix(id_end + 2);
    if (const size_t place_end = what.find(": "); place_end != what.npos) what.remove_prefix(place_end + 2);
    fail(std::string(what.substr(0, what.find("; last read")).substr(0, 100)));
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    const char* first = text_.data();
    const char* last = reached_ == first ? first : reached_ - 1;  // the last character that was read
    const auto line = 1 + std::count(first, last, '\n');
    const char* line_begin = last;
    while (line_begin != first && line_begin[-1] != '\n') --line_begin;
    throw FileError("{}: line {}, column {}: {}", source_, line, last - line_begin + 1, reason);
  }

  template <typename T>
  json* place(T&& value) {
    if (++n_values_ > limits_.max_values) fail(fmt::format("more than {} values", limits_.max_values));
    if (open_.empty()) {
      root_ = std::forward<T>(value);
      return &root_;
    }
    if (open_.back()->is_array()) {
      auto& array = open_.back()->get_ref<json::array_t&>();
      array.emplace_back(std::forward<T>(value));
      return &array.back();
    }
    *member_ = std::forward<T>(value);
    return member_;
  }

  bool descend(json container) {
    if (std::ssize(open_) >= limits_.max_depth)
      fail(fmt::format("objects and arrays nested more than {} deep", limits_.max_depth));
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool ascend() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  const std::string& source_;
  const JsonLimits& limits_;
  const char* reached_;
  json root_;
  std::vector<json*> open_;
  json* member_ = nullptr;  // the place for the value of the last key
  int64_t n_values_ = 0;
};

}  // namespace

json parse_json(std::string_view text, const std::string& source, const JsonLimits& limits) {
  if (std::ssize(text) > limits.max_bytes)
    throw FileError("{}: has {} bytes of JSON, but at most {} are allowed", source, text.size(),
                    limits.max_bytes);
  Builder builder(text, source, limits);
  builder.require_no_nul();
  json::sax_parse(builder.begin(), builder.end(), &builder);
  return builder.take();
}

json read_json(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_text(path, limits.max_bytes), path.string(), limits);
}

}  // namespace lastrow
