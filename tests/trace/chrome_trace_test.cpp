#include "trace/chrome_trace.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/trace/recorded_file.h"

using namespace lastrow;
using namespace lastrow::test;

TEST_CASE("the Chrome export parses back: steps, their operations nested, counters") {
  const Recorded r;
  TemporaryFile file("chrome.json");
  write_chrome_trace(file.path, {{"with cache", &r.m.recorder}, {"again", &r.m.recorder}});
  const std::vector<char> text = bytes_of(file.path);
  const nlohmann::json j = nlohmann::json::parse(text.begin(), text.end());
  int n_steps = 0, n_ops = 0, n_counters = 0;
  double step_start = 0, step_end = 0;
  int64_t last_read = 0;
  for (const nlohmann::json& e : j.at("traceEvents")) {
    if (e.at("pid") != 1) continue;
    if (e.at("ph") == "X" && e.at("cat") == "step") {
      ++n_steps;
      step_start = e.at("ts");
      step_end = step_start + e.at("dur").get<double>();
    } else if (e.at("ph") == "X") {
      ++n_ops;
      CHECK(e.at("dur").get<double>() >= 0);
      CHECK(e.at("ts").get<double>() >= step_start);
      CHECK(e.at("ts").get<double>() + e.at("dur").get<double>() <= step_end + 1e-3);
    } else if (e.at("ph") == "C") {
      ++n_counters;
      last_read = e.at("args").at("read");
    }
  }
  CHECK(n_steps == 3);
  CHECK(n_ops == static_cast<int>(r.m.recorder.events(0).size() + r.m.recorder.events(1).size() +
                                  r.m.recorder.events(2).size()));
  CHECK(n_counters > 3);
  CHECK(last_read ==
        2 * 2 * 5 * 2 * 8 * 4);  // layers · K and V · rows · heads · width · f32, in the last step
}

TEST_CASE("Chrome times are whole nanoseconds, and no two operations or steps overlap") {
  Recorder recorder({.keep = RecordOptions::Keep::all});
  double us = 0.0004;
  for (int step = 0; step < 3; ++step) {
    recorder.open_step(StepPlan{}, CacheSpec{});
    for (int i = 0; i < 500; ++i) {
      // Each begins where the previous one ended, which is rarely at a whole nanosecond.
      const double duration = 0.0007 + 0.0003 * i;
      Event op;
      op.start_us = us;
      op.duration_us = duration;
      recorder.add_event(std::move(op));
      us = us + duration;
    }
  }
  int64_t step_end = 0, op_end = 0;
  int n = 0;
  const nlohmann::json j = nlohmann::json::parse(chrome_trace_json({{"track", &recorder}}));
  for (const nlohmann::json& e : j.at("traceEvents")) {
    if (e.at("ph") == "M") continue;
    const auto ns = [&](const char* field) {
      const double exact = e.at(field).get<double>() * 1e3;
      CHECK(std::abs(exact - std::round(exact)) < 1e-6);
      return std::llround(exact);
    };
    if (e.at("ph") == "C") {
      (void)ns("ts");
      continue;
    }
    int64_t& end = e.at("cat") == "step" ? step_end : op_end;
    CHECK(ns("ts") >= end);
    CHECK(ns("dur") >= 0);
    end = ns("ts") + ns("dur");
    CHECK(op_end <= step_end);
    ++n;
  }
  CHECK(n == 3 + 3 * 500);
  CHECK(std::abs(static_cast<double>(op_end) - us * 1e3) < 2);
}
