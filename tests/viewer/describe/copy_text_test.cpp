// What C copies: tables whose numbers read back as the same floats.
#include "viewer/view_model/describe/copy_text.h"

#include <doctest/doctest.h>

#include <charconv>
#include <sstream>

#include "tests/viewer/recording_host.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

std::vector<std::vector<std::string>> table_of(const std::string& text) {
  std::vector<std::vector<std::string>> table;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    auto& row = table.emplace_back();
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, '\t');) row.push_back(cell);
  }
  return table;
}

float float_of(const std::string& text) {
  float value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value).ptr;
  CHECK(end == text.data() + text.size());
  return value;
}

std::shared_ptr<const ViewState> copied(Controller& controller, std::optional<Target> pinned) {
  controller.send(Pin{pinned});
  controller.send(CopyCell{});
  return controller.settle();
}

}  // namespace

TEST_CASE("a row of K is a line of numbers under their names, and the notice says what was copied") {
  Controller controller;
  controller.settle();
  const auto view = copied(controller, Target{Mode::cached, Part::k, 3, 4});
  const auto table = table_of(view->clipboard);
  REQUIRE(table.size() == 2);
  CHECK(table[0][0] == "position");
  CHECK(table[0][1] == "token");
  CHECK(table[0][2] == "d0");
  CHECK(table[0].back() == "d15");
  CHECK(table[1][0] == "3");
  CHECK(table[1][1] == "fox");
  REQUIRE(table[1].size() == 18);
  for (size_t d = 0; d < 16; ++d)
    CHECK(float_of(table[1][d + 2]) == view->panes[0].k.values[3 * 16 + d]);  // the same bits
  REQUIRE(view->notice);
  CHECK(view->notice->text == "Copied: k[3], 16 numbers");
  CHECK(view->notice->kind == NoticeKind::info);
}

TEST_CASE("a score cell gives its whole row; nothing pointed at gives the row that decides") {
  Controller controller;
  controller.settle();
  for (const auto& [target, t] : {std::pair{std::optional(Target{Mode::recompute, Part::weight, 5, 2}), 5},
                                  {std::optional<Target>(), 7}}) {
    controller.send(Escape{});
    controller.send(Pin{std::nullopt});
    const auto view = copied(controller, target);
    const auto table = table_of(view->clipboard);
    REQUIRE(table.size() == size_t(t) + 2);
    CHECK(table[0] == std::vector<std::string>{"s", "token", "score", "weight"});
    CHECK(table[4][1] == "fox");
    float sum = 0;
    for (size_t s = 1; s < table.size(); ++s) sum += float_of(table[s][3]);
    CHECK(sum == doctest::Approx(1));
    CHECK(view->notice->text == fmt::format("Copied: scores and weights of row {0}, {1} rows", t, t + 1));
    controller.send(Pin{std::nullopt});
  }
}

TEST_CASE("a token gives its q, k and v; the output its row; a row that is gone says why there is none") {
  Controller controller;
  controller.settle();
  auto table = table_of(copied(controller, Target{Mode::recompute, Part::token, 2, -1})->clipboard);
  REQUIRE(table.size() == 4);
  CHECK(table[0][0] == "row");
  CHECK(table[1][0] == "q");
  CHECK(table[3][0] == "v");
  table = table_of(copied(controller, Target{Mode::cached, Part::token, 2, -1})->clipboard);
  CHECK(table.size() == 3);  // the left side has no q[2]
  table = table_of(copied(controller, Target{Mode::cached, Part::output, 7, 0})->clipboard);
  REQUIRE(table.size() == 2);
  CHECK(table[1][0] == "7");
  const auto before = controller.settle()->clipboard_serial;
  const auto view = copied(controller, Target{Mode::cached, Part::q, 3, -1});
  CHECK(view->clipboard_serial == before);
  CHECK(view->notice->text.find("dropped") != std::string::npos);
}
