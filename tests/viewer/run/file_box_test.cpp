// The box for a model file: its list, and files that are no models. After an error the old model stays open.
#include <doctest/doctest.h>

#include <unistd.h>

#include "model/model.h"
#include "registry/registry.h"
#include "session/twin.h"
#include "support/program.h"
#include "tests/viewer/recording_host.h"
#include "trace/trace_file.h"
#include "viewer/view_model/run/file_choices.h"

using namespace lastrow;
using namespace lastrow::view;
using lastrow::testing::Folder;
using lastrow::testing::write_text;

namespace {

constexpr const char* kFileBoxModel =
    "random:layers=1,q_heads=2,kv_heads=2,head_dim=8,vocab=64,context=12,seed=3";

ControllerOptions file_box_options() {
  ControllerOptions o;
  o.model = kFileBoxModel;
  o.prompt = "a b c";
  o.step = 1;
  return o;
}

std::string built_in() { return LASTROW_SOURCE_DIR "/src/model/builtin/fable-mqa.safetensors"; }

std::string head_of(const std::string& file, size_t n) {
  return lastrow::testing::read_text(file).substr(0, n);
}

void write_a_trace(const std::string& path) {
  SessionOptions options;
  options.record = RecordOptions{};
  DecodeSession session(load_model(kFileBoxModel), make_backend("naive"), options);
  session.start({1, 2, 3});
  session.advance();
  write_trace(path, session.recorder(), {});
}

}  // namespace

TEST_CASE("Ctrl+O, a path, Enter: the file is the model") {
  Controller c(file_box_options());
  c.settle();
  c.send(OpenFileBox{true});
  CHECK(c.settle()->file_box.open);
  c.send(EditField{Field::path, built_in(), true});
  c.send(SetPrompt{"the fox"});  // any model reads it
  c.send(Confirm{});
  const auto view = c.settle();
  CHECK_FALSE(view->file_box.open);
  CHECK(view->model == built_in());
  bool listed = false;
  for (const Choice& m : view->models) listed |= m.selected && m.button == "fable-mqa.safetensors";
  CHECK(listed);
}

TEST_CASE("a hostile file gives one clear line in the box, and what was open stays open") {
  const Folder folder("viewer_files");
  const std::string whole = head_of(built_in(), std::string::npos);
  write_text(folder / "empty.safetensors", "");
  write_text(folder / "cut.safetensors", whole.substr(0, whole.size() / 2));
  write_text(folder / "header.safetensors", whole.substr(0, 600));
  write_text(folder / "json.safetensors", std::string("\x08\0\0\0\0\0\0\0{\"a\": 1,", 16));
  write_text(folder / "huge.safetensors", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10));
  write_text(folder / "picture.png", "\x89PNG\r\n\x1a\n" + std::string(100, 'x'));
  write_text(folder / "zeros.safetensors", std::string(4096, '\0'));
  write_text(folder / "secret.safetensors", whole);
  std::filesystem::permissions(folder / "secret.safetensors", std::filesystem::perms::none);
  write_a_trace(folder.file("trace.safetensors"));
  Controller c(file_box_options());
  c.settle();
  c.send(OpenFileBox{true});
  std::vector<std::string> names = {"empty.safetensors", "cut.safetensors",   "header.safetensors",
                                    "json.safetensors",  "huge.safetensors",  "picture.png",
                                    "zeros.safetensors", "trace.safetensors", "missing.safetensors"};
  if (geteuid() != 0) names.push_back("secret.safetensors");  // root reads everything
  for (const std::string& name : names) {
    CAPTURE(name);
    c.send(EditField{Field::path, folder.file(name), true});
    CHECK(c.settle()->file_box.error == "");  // the last error belongs to another path
    c.send(Confirm{});
    const auto view = c.settle();
    CHECK(view->file_box.open);
    CHECK(view->file_box.error.find(name) != std::string::npos);
    CHECK(view->file_box.error.find('\n') == std::string::npos);
    CHECK(view->file_box.error.size() < 300);
    CHECK(view->model == kFileBoxModel);
    CHECK(view->tokens.size() == 5);
    CHECK(view->file_box.path == folder.file(name));
  }
  c.send(EditField{Field::path, folder.file("trace.safetensors"), true});
  c.send(Confirm{});
  CHECK(c.settle()->file_box.error.find("this is the trace of a run") != std::string::npos);
  c.send(SetModel{folder.file("empty.safetensors")});  // as --model, or in a script: without the box
  c.send(Escape{});
  c.send(SetModel{folder.file("empty.safetensors")});
  const auto view = c.settle();
  REQUIRE(view->notice);
  CHECK(view->notice->kind == NoticeKind::error);
  CHECK(view->model == kFileBoxModel);
}

TEST_CASE("a folder is opened in the box, not as a model; an empty path is not a path") {
  const Folder folder("viewer_folder");
  std::filesystem::create_directories(folder / "models");
  write_text(folder / "models/a.safetensors", "");
  Controller c(file_box_options());
  c.settle();
  c.send(OpenFileBox{true});
  c.send(OpenPath{folder.file("models")});
  auto view = c.settle();
  CHECK(view->file_box.path == folder.file("models") + "/");
  REQUIRE(view->file_box.entries.size() == 2);
  CHECK(view->file_box.entries[0].name == "a.safetensors");
  CHECK(view->file_box.entries[1].path == folder.string() + "/");
  c.send(OpenPath{""});
  CHECK(c.settle()->file_box.error != "");
}

TEST_CASE("the list completes what is typed: models and folders, a few of many") {
  const Folder folder("viewer_list");
  for (const char* name :
       {"ab.safetensors", "ac.safetensors", "b.safetensors", "ax.txt", ".hidden.safetensors"})
    write_text(folder / name, "");
  std::filesystem::create_directories(folder / "adir");
  const auto names = [&](const std::string& begun) {
    std::string all;
    for (const FileBox::Entry& e : file_choices(folder.file(begun)).entries) all += e.name + " ";
    return all;
  };
  CHECK(names("") == "ab.safetensors ac.safetensors b.safetensors ../ adir/ ");
  CHECK(names("a") == "ab.safetensors ac.safetensors adir/ ");
  CHECK(names("ac") == "ac.safetensors ");
  CHECK(names(".h") == ".hidden.safetensors ");
  CHECK(names("zzz") == "");
  CHECK(file_choices(folder.file("nowhere/x")).more.find("No such file") != std::string::npos);
  for (int i = 0; i < 40; ++i) write_text(folder / ("m" + std::to_string(i) + ".safetensors"), "");
  const FileBox many = file_choices(folder.file("m"));
  CHECK(many.entries.size() == 12);
  CHECK(many.more.starts_with("and 28 more"));
}
