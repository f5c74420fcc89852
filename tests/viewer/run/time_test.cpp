// Time: beats, playing, reduced motion, and the tour as it runs in a window.
#include <doctest/doctest.h>

#include "tests/viewer/recording_host.h"
#include "viewer/small_controllers.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

/// A window's loop with a clock of its own: frames every `dt` seconds; work takes no time on that clock.
struct Window {
  Controller& controller;
  double now = 100, dt = 0.05;
  Frame frame = {};
  Frame& run(double seconds) {
    const double end = now + seconds;
    while (now < end - 1e-9) {
      now += dt;
      controller.frame(now);
      controller.finish_work();
      frame = controller.frame(now);
    }
    return frame;
  }
};

}  // namespace

TEST_CASE("beats last as long as the table says, and end at rest") {
  Controller controller(small());
  controller.settle();
  Window window{controller};
  window.run(0.1);
  controller.send(GoToBeat{Beat::start});
  window.run(0.1);
  controller.send(ChangeBeat{+1});
  CHECK(window.run(0.25).progress == doctest::Approx(0.5).epsilon(0.01));
  CHECK(window.frame.view->transport.beat == Beat::project);
  CHECK(window.frame.animating);
  CHECK(window.run(0.3).progress == 1);
  CHECK_FALSE(window.frame.animating);
  CHECK(window.frame.view->transport.beat == Beat::project);  // one beat, and no more

  controller.send(SetSpeed{2});
  controller.send(ChangeBeat{+1});  // 400 ms at speed 1
  CHECK(window.run(0.1).progress == doctest::Approx(0.5).epsilon(0.01));
  controller.send(SetReducedMotion{true});
  controller.send(ChangeBeat{+1});
  CHECK(window.run(0.05).progress == 1);
}

TEST_CASE("nothing changes while nothing happens: the same picture is given again") {
  Controller controller(small());
  controller.settle();
  Window window{controller};
  const auto before = window.run(0.2).view;
  CHECK(window.run(2).view == before);
  CHECK_FALSE(window.frame.animating);
  controller.send(Hover{Target{Mode::cached, Part::k, 1, 2}});
  CHECK(window.run(0.05).view != before);
}

TEST_CASE("a chip plays all beats up to its last; going back jumps") {
  Controller controller(small());
  controller.settle();
  Window window{controller};
  window.run(0.05);
  controller.send(GoToBeat{Beat::append});
  CHECK(window.run(0.05).view->transport.beat == Beat::append);
  controller.send(GoToBeat{Beat::sum});  // 700 + 300 + 500 + 700 ms
  CHECK(window.run(0.8).view->transport.beat == Beat::mask);
  CHECK(window.run(0.5).view->transport.beat == Beat::softmax);
  CHECK(window.run(1.2).view->transport.beat == Beat::sum);
  CHECK(window.frame.progress == 1);
  CHECK(window.frame.view->transport.chips[2].current);
  CHECK(window.frame.view->transport.chips[2].done);
  CHECK_FALSE(window.frame.view->transport.chips[3].done);
}

TEST_CASE("play goes on through the steps, and stops where the context is full") {
  Controller controller(small());
  controller.settle();
  Window window{controller};
  controller.send(PlayPause{});
  CHECK(window.run(5).view->transport.playing);
  CHECK(window.frame.view->transport.step >= 3);
  controller.send(PlayPause{});
  const int step = window.run(0.1).view->transport.step;
  CHECK(window.run(5).view->transport.step == step);
  controller.send(PlayPause{});
  for (int i = 0; i < 40 && controller.frame(window.now).view->transport.playing; ++i) window.run(2);
  CHECK_FALSE(window.frame.view->transport.playing);
  CHECK(window.frame.view->n_tokens == 12);
  CHECK(window.frame.view->notice);
}

TEST_CASE("past the last beat comes the next step, before the first the step before") {
  Controller controller(small());
  controller.settle();
  controller.send(ChangeBeat{+1});
  auto view = controller.settle();
  CHECK(view->transport.step == 3);
  CHECK(view->transport.beat == Beat::project);
  controller.send(ChangeBeat{-1});
  controller.send(ChangeBeat{-1});
  view = controller.settle();
  CHECK(view->transport.step == 2);
  CHECK(view->transport.beat == Beat::keep);
}

TEST_CASE("Enter starts the tour; it waits for reading and for the poke, and takes about a minute") {
  Controller controller;
  controller.settle();
  Window window{controller};
  CHECK(window.run(0.1).view->tour.offered);
  controller.send(Confirm{});
  const double began = window.now;
  std::vector<int> rows;
  bool waited_for_poke = false;
  for (window.run(0.2); window.frame.view->tour.active && window.now < began + 200; window.run(0.2)) {
    const TourState& tour = window.frame.view->tour;
    CHECK_MESSAGE(!window.frame.view->notice, window.frame.view->notice->text);
    if (rows.empty() || rows.back() != tour.row) rows.push_back(tour.row);
    if (tour.waiting == Waiting::poke) {
      waited_for_poke = true;
      CHECK(tour.row == 8);
      CHECK(tour.asked.has_value());
      CHECK(window.frame.view->panes[0].q.rows[size_t(tour.asked->row)].asked);
      CHECK(window.frame.view->n_pokes == 0);  // nothing is explained before
    }
  }
  CHECK(waited_for_poke);
  CHECK(rows == std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  CHECK(controller.script_exit_code() == 0);
  const double took = window.now - began;
  MESSAGE("the tour takes " << took << " s when nobody pokes");
  CHECK(took > 45);
  CHECK(took < 90);
}

TEST_CASE("in the tour: Enter goes on, Space pauses, the user's poke is waited for, Esc leaves") {
  Controller controller;
  controller.settle();
  Window window{controller};
  controller.send(Confirm{});
  window.run(0.5);
  CHECK(window.frame.view->tour.row == 1);
  controller.send(PlayPause{});
  CHECK(window.run(30).view->tour.row == 1);
  CHECK(window.frame.view->tour.waiting == Waiting::pause);
  controller.send(PlayPause{});
  for (int i = 0; i < 60 && window.frame.view->tour.waiting != Waiting::poke; ++i) {
    controller.send(Confirm{});
    window.run(0.5);
  }
  REQUIRE(window.frame.view->tour.waiting == Waiting::poke);
  CHECK(window.frame.view->tour.row == 8);
  const int position = window.frame.view->tour.asked->row;
  controller.send(PokeRow{Part::q, position, Poke::Action::scramble, Poke::When::now});
  window.run(1);
  CHECK(window.frame.view->n_pokes == 1);
  CHECK(window.frame.view->tour.row == 9);  // its sentence says what the poke did
  controller.send(Escape{});
  window.run(0.2);
  CHECK_FALSE(window.frame.view->tour.active);
  CHECK_FALSE(controller.script_running());
}

TEST_CASE("while the tour is paused a sentence stays until Enter, and the poke is still waited for") {
  Controller controller;
  controller.settle();
  Window window{controller};
  controller.send(Confirm{});
  controller.send(PlayPause{});
  for (int row = 1; row <= 12; ++row) {
    CAPTURE(row);
    const TourState& tour = window.run(20).view->tour;
    CHECK(tour.row == row);
    CHECK(tour.waiting == (row == 8 ? Waiting::poke : Waiting::pause));
    if (row == 8) {
      controller.send(PokeRow{Part::q, tour.asked->row, Poke::Action::scramble, Poke::When::now});
      continue;  // the poke is the answer: the tour goes on to the next sentence
    }
    CHECK(window.frame.view->sentence.hint == "Enter: next · Space: go on · Esc: leave");
    controller.send(Confirm{});
  }
  CHECK_FALSE(window.run(0.5).view->tour.active);
}

TEST_CASE(
    "a script of the window: each sentence stays until Enter, Esc leaves it, and Enter plays it again") {
  Controller controller(small());
  controller.settle();
  Window window{controller};
  RecordingHost host;
  controller.play(parse_script("step 2\nsay one\nsay two\nstep 3\nsay three\n", "w"), &host);
  controller.send(PlayPause{});  // as the window does
  const auto sentence = [&] { return window.run(20).view->sentence; };
  for (const char* text : {"one", "two", "three"}) {
    CHECK(sentence().text == text);
    CHECK(window.frame.view->sentence.hint == "Enter: next · Space: go on · Esc: leave");
    controller.send(Confirm{});
  }
  CHECK(sentence().hint == "Enter: play the script again");
  CHECK_FALSE(controller.script_running());

  controller.send(Confirm{});
  CHECK(sentence().text == "one");
  CHECK(window.frame.view->transport.step == 2);
  controller.send(Confirm{});
  CHECK(sentence().text == "two");
  controller.send(Escape{});
  CHECK(sentence().hint == "Enter: play the script again");
  CHECK_FALSE(controller.script_running());

  controller.send(Confirm{});
  CHECK(sentence().text == "one");
  controller.send(PlayPause{});  // now it runs by itself
  CHECK(window.run(0.1).view->sentence.hint == "Enter: next · Space: pause · Esc: leave");
  window.run(30);
  CHECK_FALSE(controller.script_running());
  CHECK(controller.script_exit_code() == 0);
}

TEST_CASE("Shift+Enter goes back a sentence: to its step, layer, model and pokes, and forward from there") {
  Controller controller(small());
  controller.settle();
  Window window{controller};
  RecordingHost host;
  controller.play(parse_script("model fable-mha\nprompt \"the fox\"\nstep 3\nlayer 0\nhead 1\nsay one\n"
                               "poke k 1 zero\nlayer last\nsub score\nsay two\n"
                               "ask poke q 1\nsay three\nwait poke 60\n"
                               "restore all\nmodel fable-gqa\nstep 2\nsay four\n",
                               "w"),
                  &host);
  controller.send(PlayPause{});
  const auto view = [&] { return window.run(20).view; };
  const auto back = [&] {
    controller.send(PreviousSentence{});
    return view();
  };
  std::vector<std::string> forward;  // what is shown at each sentence
  const auto shown = [](const ViewState& v) {
    return fmt::format("{}, step {}, beat {}, layer {}, head {}, pokes {}, asked {}", v.sentence.text,
                       v.transport.step, static_cast<int>(v.transport.beat), v.layer, v.head, v.n_pokes,
                       v.tour.asked.has_value());
  };
  for (int i = 0; i < 4; ++i) {
    forward.push_back(shown(*view()));
    if (i < 3) controller.send(Confirm{});
  }
  CHECK(forward[0].starts_with("one, step 3"));
  CHECK(forward[2].ends_with("pokes 1, asked true"));
  CHECK(forward[3].starts_with("four, step 2"));
  for (int i = 2; i >= 0; --i) CHECK(shown(*back()) == forward[static_cast<size_t>(i)]);
  CHECK(shown(*back()) == forward[0]);  // there is none before the first
  for (int i = 1; i < 4; ++i) {
    controller.send(Confirm{});
    CHECK(shown(*view()) == forward[static_cast<size_t>(i)]);
  }
  controller.send(Confirm{});
  view();
  controller.send(PreviousSentence{});
  REQUIRE(window.run(0.1).view->notice);
  CHECK(window.frame.view->notice->text == "no script is playing: Enter starts the tour");
}

TEST_CASE("another poke than the asked one does not make the tour lie, and moving about leaves it") {
  Controller controller;
  controller.settle();
  Window window{controller};
  controller.send(Confirm{});
  window.run(0.5);
  for (int i = 0; i < 60 && window.frame.view->tour.waiting != Waiting::poke; ++i) {
    controller.send(Confirm{});
    window.run(0.5);
  }
  const auto answer_to = [&](const PokeRow& poke) {
    controller.send(poke);
    window.run(1);
    CHECK(window.frame.view->tour.row == 8);
    CHECK(window.frame.view->tour.waiting == Waiting::poke);
    CHECK(window.frame.view->tour.asked);
    return window.frame.view->sentence.text;
  };
  CHECK(answer_to({Part::k, 2, Poke::Action::scramble, Poke::When::since}) ==
        "That was k[2]. Try q[3]: right-click it, then “Scramble now”.");
  CHECK(window.frame.view->n_pokes == 1);  // it stays until the tour restores
  CHECK(answer_to({Part::q, 3, Poke::Action::zero, Poke::When::now}) ==
        "That set q[3] to zero. Now scramble q[3]: right-click it, then “Scramble now”.");
  // While the menu is open the tour does not go on without the user.
  controller.send(OpenPokeMenu{{Mode::cached, Part::q, 3, -1}});
  window.run(40);
  REQUIRE(window.frame.view->poke_menu);
  CHECK(window.frame.view->tour.row == 8);
  controller.send(window.frame.view->poke_menu->entries[0].command);
  window.run(1);
  CHECK(window.frame.view->tour.row == 9);
  CHECK(window.frame.view->n_pokes == 1);
  for (int i = 0; i < 100 && window.frame.view->tour.row < 11; ++i) window.run(0.5);
  CHECK(window.frame.view->tour.row == 11);
  CHECK_FALSE(window.frame.view->notice);
  controller.send(ChangeStep{+1});
  window.run(0.2);
  CHECK_FALSE(window.frame.view->tour.active);
  REQUIRE(window.frame.view->notice);
  CHECK(window.frame.view->notice->text == "You have left the tour; Enter starts it again.");
}

TEST_CASE("a script in a window runs to its end and gives the exit code of a false expect") {
  Controller controller(small());
  RecordingHost host;
  controller.play(
      parse_script("step 3\nsub score\nshot a.png\nsay now\npoke k 1 zero\nexpect identical both\n", "w"),
      &host);
  Window window{controller};
  for (int i = 0; i < 200 && controller.script_running(); ++i) window.run(0.2);
  CHECK(controller.script_exit_code() == 1);
  CHECK(controller.script_error().starts_with("w:6: expect identical both: does not hold"));
  REQUIRE(host.shots.contains("a.png"));
  CHECK(host.shots["a.png"].transport.beat == Beat::score);
}
