// What opens over the panes: the prompt box while the user types, the lists, and Esc.
#include <doctest/doctest.h>

#include "tests/viewer/recording_host.h"
#include "viewer/view_model/script/tour.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

EditField typed(const std::string& text) { return {Field::prompt, text, true}; }

int open_things(const ViewState& view) {
  return int(view.prompt_box.open) + int(view.file_box.open) + int(view.open_choices != ChoiceList::none) +
         int(view.help_open) + int(view.poke_menu.has_value());
}

}  // namespace

TEST_CASE("the text is checked while it is typed, and an error goes away with the text that caused it") {
  Controller c;
  c.settle();
  c.send(OpenPrompt{true});
  auto view = c.settle();
  CHECK(view->prompt_box.text == "the quick brown fox");
  CHECK(view->prompt_box.count == "4 of 256 tokens");
  CHECK(view->prompt_box.can_run);
  c.send(typed("the § fox"));
  view = c.settle();
  CHECK(view->prompt_box.error.find("'§' in column 5") != std::string::npos);
  CHECK_FALSE(view->prompt_box.words[1].accepted);
  CHECK_FALSE(view->prompt_box.can_run);
  c.send(Confirm{});
  view = c.settle();
  CHECK(view->prompt_box.open);
  CHECK(view->prompt_box.text == "the § fox");
  CHECK(view->prompt == "the quick brown fox");
  c.send(typed("the fox"));
  view = c.settle();
  CHECK(view->prompt_box.error == "");
  c.send(Confirm{});
  view = c.settle();
  CHECK_FALSE(view->prompt_box.open);
  CHECK(view->prompt == "the fox");
}

TEST_CASE("an empty text is not an error while typing; running it is, until the next change") {
  Controller c;
  c.settle();
  c.send(OpenPrompt{true});
  c.send(typed("  "));
  CHECK(c.settle()->prompt_box.error == "");
  CHECK_FALSE(c.settle()->prompt_box.can_run);
  c.send(RunPrompt{});
  CHECK(c.settle()->prompt_box.error.find("at least one word") != std::string::npos);
  c.send(typed("a"));
  CHECK(c.settle()->prompt_box.error == "");
}

TEST_CASE("a text longer than the context says so while it is typed") {
  ControllerOptions o;
  o.model = "random:layers=2,q_heads=2,kv_heads=2,head_dim=8,vocab=64,context=6,seed=3";
  o.prompt = "a b";
  o.step = 1;
  Controller c(o);
  c.settle();
  c.send(OpenPrompt{true});
  c.send(typed("a b c d e f g"));
  const auto view = c.settle();
  CHECK(view->prompt_box.error == "7 tokens do not fit: this model reads at most 6");
  CHECK(view->prompt_box.vocabulary_note.find("random") != std::string::npos);
}

TEST_CASE("a click on a word appends it with a space, and the field takes the text over") {
  Controller c;
  c.settle();
  c.send(OpenPrompt{true});
  const uint64_t serial = c.settle()->prompt_box.serial;
  c.send(typed("the"));
  CHECK(c.settle()->prompt_box.serial == serial);  // the field shows it already
  c.send(AppendWord{"fox"});
  auto view = c.settle();
  CHECK(view->prompt_box.text == "the fox ");
  CHECK(view->prompt_box.serial > serial);
  c.send(AppendWord{"jumps"});
  CHECK(c.settle()->prompt_box.text == "the fox jumps ");
  c.send(RunPrompt{});
  CHECK(c.settle()->tokens[2].text == "jumps");
}

TEST_CASE("temperature and seed of the box start the generation anew; greedy is the default") {
  Controller c;
  auto view = c.settle();
  CHECK(view->sampling.text == "greedy");
  CHECK(view->sampling.bars_note == "at temperature 1");
  const auto greedy = view->tokens;
  c.send(OpenPrompt{true});
  for (int i = 0; i < 15; ++i) c.send(ChangeTemperature{+1});
  c.send(EditField{Field::seed, "3"});
  view = c.settle();
  CHECK(view->prompt_box.temperature == "1.5");
  CHECK(view->sampling.text == "greedy");  // nothing has run yet
  c.send(RunPrompt{});
  view = c.settle();
  CHECK(view->sampling.text == "temperature 1.5 · seed 3");
  CHECK(view->sampling.bars_note == "at temperature 1.5");
  const auto texts = [](const std::vector<TokenChip>& chips) {
    std::string all;
    for (const TokenChip& chip : chips) all += chip.text + " ";
    return all;
  };
  CHECK(texts(view->tokens) != texts(greedy));
  CHECK(view->transport.step == 4);
  const std::string drawn = texts(view->tokens);
  c.send(SetTemperature{0});
  CHECK(texts(c.settle()->tokens) == texts(greedy));
  c.send(SetTemperature{1.5f});
  CHECK(texts(c.settle()->tokens) == drawn);  // the same seed draws the same tokens
}

TEST_CASE("the tour is greedy, whatever was chosen before") {
  ControllerOptions o;
  o.sampling = {.temperature = 1.5f, .seed = 3};
  Controller c(o);
  CHECK(c.settle()->sampling.text == "temperature 1.5 · seed 3");
  RecordingHost host;
  std::string error;
  CHECK(run_script(c, tour_script(), host, error) == 0);
  CHECK(error == "");
  CHECK(c.settle()->sampling.text == "greedy");
}

TEST_CASE("a wrong temperature or seed is refused in the box, in a command, and in a script") {
  Controller c;
  c.settle();
  c.send(OpenPrompt{true});
  c.send(EditField{Field::temperature, "hot"});
  CHECK(c.settle()->prompt_box.error == "temperature “hot”: give a number from 0 (greedy) to 2");
  c.send(RunPrompt{});
  CHECK(c.settle()->prompt_box.open);
  c.send(ChangeTemperature{+1});  // goes on from the temperature in use
  CHECK(c.settle()->prompt_box.temperature == "0.1");
  c.send(Escape{});
  c.send(SetTemperature{3});
  CHECK(c.settle()->notice->kind == NoticeKind::error);
  for (const char* wrong :
       {"temperature 2.5", "temperature -1", "temperature warm", "seed -1", "seed", "seed 1.5"})
    CHECK_THROWS_AS(parse_script(wrong, "test"), ScriptError);
}

TEST_CASE("one thing is open at a time, and Esc closes it") {
  Controller c;
  c.settle();
  const Command all[] = {OpenPrompt{true},
                         OpenChoices{ChoiceList::models},
                         OpenChoices{ChoiceList::backends},
                         ToggleHelp{},
                         OpenPokeMenu{Target{Mode::cached, Part::k, 2, -1}},
                         OpenFileBox{true}};
  for (const Command& first : all)
    for (const Command& second : all) {
      if (&first == &second) continue;
      c.send(first);
      CHECK(open_things(*c.settle()) == 1);
      c.send(second);
      CHECK(open_things(*c.settle()) == 1);
      c.send(Escape{});
      CHECK(open_things(*c.settle()) == 0);
    }
}

TEST_CASE("a list opens and closes with its button, and a choice closes it") {
  Controller c;
  c.settle();
  c.send(OpenChoices{ChoiceList::models});
  CHECK(c.settle()->open_choices == ChoiceList::models);
  c.send(OpenChoices{ChoiceList::models});
  CHECK(c.settle()->open_choices == ChoiceList::none);
  c.send(OpenChoices{ChoiceList::models});
  c.send(SetModel{"fable-gqa"});
  CHECK(c.settle()->open_choices == ChoiceList::none);
}

TEST_CASE("a forced kernel is an entry of the list, and the chosen one") {
  ControllerOptions o;
  o.backend = "cuda-emulated:k05";
  o.step = 1;
  Controller c(o);
  const auto view = c.settle();
  int selected = 0;
  for (const Choice& b : view->backends)
    if (b.selected) {
      ++selected;
      CHECK(b.name == "cuda-emulated:k05");
    }
  CHECK(selected == 1);
}

TEST_CASE("a message goes away after a few seconds, an error later, each on the controller's clock") {
  Controller c;
  c.settle();
  c.frame(10);
  c.send(CopyCell{});
  c.frame(11);
  CHECK(c.frame(14.5).view->notice);
  CHECK_FALSE(c.frame(15.5).view->notice);
  c.send(CopyCell{});  // the same words again: they get their whole time
  c.frame(16);
  CHECK(c.frame(19).view->notice);
  c.send(SetLayer{99});
  c.frame(20);
  CHECK(c.frame(31).view->notice);
  CHECK_FALSE(c.frame(33).view->notice);
}
