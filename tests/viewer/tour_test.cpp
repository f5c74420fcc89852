// The tour, whole, without pixels: every `expect` true on the trained models.
#include <doctest/doctest.h>

#include <chrono>

#include "model/model.h"
#include "tests/viewer/recording_host.h"

using namespace lastrow;
using namespace lastrow::view;

namespace lastrow::view {
extern const char* const kTourText;
}

namespace {

std::string tour_on(const std::string& model, const std::string& backend) {
  std::string text = kTourText;
  text.replace(text.find("fable-mha"), 9, model);
  return "backend " + backend + "\n" + text;
}

}  // namespace

TEST_CASE("the tour holds on all built-in models and all backends") {
  for (const std::string& model : builtin_model_names())
    for (const std::string backend : {"eigen", "naive", "naive-f64"}) {
      CAPTURE(model);
      CAPTURE(backend);
      Controller controller;
      RecordingHost host;
      const auto [code, error] = play(controller, tour_on(model, backend), host);
      CHECK_MESSAGE(code == 0, error);
      REQUIRE(host.rows.size() == 12);
      for (size_t i = 0; i < host.rows.size(); ++i) {
        const ViewState& v = *host.rows[i].view;
        CHECK(host.rows[i].row == int(i) + 1);
        CHECK(v.model == model);
        CHECK(v.tour.row == int(i) + 1);
        CHECK(v.tour.n_rows == 12);
        CHECK(v.sentence.text.find('{') == std::string::npos);
        MESSAGE(model << " " << i + 1 << ": " << v.sentence.text
                      << (v.n_pokes ? "\n   L: " + v.panes[0].badges[0].text + "\n   R: " +
                                          v.panes[1].badges[0].text + "\n   " + v.panes[1].difference
                                    : ""));
      }
    }
}
