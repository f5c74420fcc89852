// `lastrow memory`, `lastrow info` and the help of every command.
#include <doctest/doctest.h>

#include "cache/make_cache.h"
#include "cli/lastrow_program.h"
#include "cli/model_file.h"
#include "cost/memory.h"
#include "cost/presets.h"
#include "registry/registry.h"
#include "session/session.h"
#include "session/session_cache.h"

using namespace lastrow;
using namespace lastrow::testing;
using nlohmann::json;

TEST_CASE("Llama-2 7B at 2048 tokens in f16 is one GiB") {
  const LastrowOutcome o = lastrow_program({"memory", "--model", "llama-2-7b", "--context", "2048"});
  CHECK(o.exit_code == 0);
  CHECK(o.out.find("1,073,741,824 bytes = 1.00 GiB (1.07 GB)") != std::string::npos);
  const json j = lastrow_program({"memory", "--model", "Llama 2 7B", "--context", "2048", "--json"}).json();
  CHECK(j["bytes"] == int64_t{1} << 30);
  CHECK(j["bytes_per_token"] == 2 * 32 * 32 * 128 * 2);
  CHECK(j["gib"] == 1.0);
  CHECK(j["gb"].get<double>() == doctest::Approx(1.073741824));
  CHECK(j["weights_bytes"] == 6738415616 * 2);
  CHECK(j["formula"].get<std::string>().find("32 layers") != std::string::npos);
}

TEST_CASE("every preset, batch and dtype prints what the calculator computes") {
  for (const ModelShape& shape : presets())
    for (const char* dtype : {"f32", "f16", "bf16", "int8", "fp8", "int4"}) {
      if (shape.name != "mistral-7b" && dtype != std::string("int4"))
        continue;  // only one preset in all dtypes
      CAPTURE(shape.name);
      const json j = lastrow_program({"memory", "--model", shape.name, "--context", "5000", "--batch", "3",
                                      "--dtype", dtype, "--json"})
                         .json();
      const CacheMemory m = cache_memory(shape, 5000, 3, cache_format(dtype));
      CHECK(j["bytes"] == m.bytes);
      CHECK(j["bytes_per_token"] == m.bytes_per_token);
      CHECK(j["weights_bytes"] == m.weights_bytes);
      CHECK(j["formula"] == m.formula);
    }
}

TEST_CASE("a token adds nothing to a layer whose window is full") {
  const auto run = [](const std::string& model, const std::string& context) {
    return lastrow_program({"memory", "--model", model, "--context", context}).out;
  };
  const std::string full = run("mistral-7b", "32768"), alternating = run("gemma-2-9b", "8192");
  CHECK(full.find("each token adds    0 bytes: the window of every layer is full\n") != std::string::npos);
  CHECK(alternating.find("(172,032 bytes), in the 21 layers without a window\n") != std::string::npos);
  CHECK(run("gemma-2-9b", "4095").find("(344,064 bytes)\n") != std::string::npos);
  const json j = lastrow_program({"memory", "--model", "mistral-7b", "--context", "32768", "--json"}).json();
  CHECK(j["bytes_per_token"] == 0);
}

TEST_CASE("the default of --context is the context of the model, also for a file and a random model") {
  CHECK(lastrow_program({"memory", "--model", "gpt-2", "--json"}).json()["context"] == 1024);
  const Folder folder;
  write_model(folder.file("small.safetensors"));
  const std::vector<std::string> models = {
      folder.file("small.safetensors"),
      "random:layers=2,q_heads=4,kv_heads=2,head_dim=4,vocab=32,context=12"};
  for (const std::string& model : models) {
    const json j = lastrow_program({"memory", "--model", model, "--dtype", "f32", "--json"}).json();
    CHECK(j["context"] == 12);
    CHECK(j["bytes"] ==
          12 * 2 * 2 * 2 * 4 * 4);  // tokens · (K and V) · layers · K/V heads · head_dim · bytes
  }
}

TEST_CASE("the cache of a random model is computed without making the model") {
  const json j =
      lastrow_program({"memory", "--model", "random:layers=100,q_heads=256,head_dim=64", "--json"}).json();
  CHECK(j["bytes"] == int64_t{2} * 100 * 256 * 64 * 1024 * 2);
}

TEST_CASE("`memory` predicts the bytes that `generate` stores, in every type") {
  const std::string model = "random:layers=2,q_heads=4,kv_heads=2,head_dim=16,context=40";
  for (const char* dtype : {"f32", "f16", "bf16", "fp8", "int8", "int4", "fp4", "k=int4,v=fp8"}) {
    CAPTURE(dtype);
    const json memory = lastrow_program({"memory", "--model", model, "--dtype", dtype, "--json"}).json();
    const json run = lastrow_program({"generate", "--model", model, "--prompt", "t1 t2 t3", "--tokens", "3",
                                      "--kv-dtype", dtype, "--json"})
                         .json();
    CHECK(run["kv_dtype"] == dtype);
    const json& steps = run["modes"]["cached"]["steps"];
    CHECK(steps[0]["cache_bytes_written"] == 3 * memory["bytes_per_token"].get<int64_t>());
    CHECK(steps[2]["cache_bytes_written"] == memory["bytes_per_token"]);
    CHECK(steps[2]["cache_bytes_read"] == 5 * memory["bytes_per_token"].get<int64_t>());
  }
}

TEST_CASE("with blocks, `memory` counts whole blocks: exactly what a backend allocates") {
  const std::string model = "random:layers=3,q_heads=4,kv_heads=2,head_dim=32,context=40";
  struct Case {
    const char *cache, *dtype;
    int64_t n_blocks, block_len;  // by hand: ⌈40 / block⌉ blocks for each of three sequences, or blocks=N
  };
  for (const Case& c :
       {Case{"contiguous", "f32", 3, 40}, Case{"paged", "f16", 9, 16}, Case{"paged:block=7", "int8", 18, 7},
        Case{"paged:block=8,blocks=11", "k=int8,v=f16", 11, 8}, Case{"paged:block=1", "k=fp8,v=bf16", 120, 1},
        Case{"paged:block=8", "k=int4,v=fp4", 15, 8}, Case{"contiguous", "int4", 3, 40},
        Case{"paged", "k=int8-channel,v=f16", 9, 16}, Case{"paged:block=7", "int8-channel", 18, 7},
        Case{"paged:block=1,blocks=50", "int8-channel", 50, 1},
        Case{"paged:block=40", "k=int8-channel,v=f32", 3, 40}}) {
    CAPTURE(c.cache);
    CAPTURE(c.dtype);
    const json j = lastrow_program({"memory", "--model", model, "--batch", "3", "--cache", c.cache,
                                    "--kv-dtype", c.dtype, "--json"})
                       .json();
    const CacheOptions options = cache_options(c.cache, c.dtype);
    const CacheSpec spec = cache_spec(options, {.n_layers = 3,
                                                .n_kv_heads = 2,
                                                .head_dim = 32,
                                                .max_seq_len = 40,
                                                .n_seqs = 3,
                                                .longest_step = longest_chunk(options, 0, 40)});
    CHECK(j["cache"] == c.cache);
    CHECK(j["kv_dtype"] == c.dtype);
    CHECK(spec.n_blocks == c.n_blocks);
    CHECK(spec.block_len == c.block_len);
    CHECK(j["bytes"] == spec.bytes());
    // The allocation aligns K, V, their scales and open rows in each layer: each of these parts may have some padding.
    const int64_t padding = make_backend("eigen")->make_storage(spec)->bytes() - spec.bytes();
    CHECK(padding >= 0);
    CHECK(padding < 5 * spec.n_layers * KvStorage::kAlignment);
    if (c.block_len == 16) CHECK(padding == 0);  // these sizes are aligned
    if (std::string(c.cache) != "contiguous") CHECK(j["blocks"]["blocks"] == c.n_blocks);
    if (std::string(c.cache) != "contiguous") CHECK(j["blocks"]["open_blocks"] == spec.n_open_blocks);
  }
}

TEST_CASE("int8-channel in blocks: codes, scales of channels and open blocks; without blocks it is refused") {
  const std::vector<std::string> run = {"memory", "--model",    "llama-3-8b",  "--context",
                                        "100",    "--kv-dtype", "int8-channel"};
  const auto with = [&](const std::string& cache) {
    std::vector<std::string> arguments = run;
    arguments.insert(arguments.end(), {"--cache", cache});
    return arguments;
  };
  const std::string out = lastrow_program(with("paged")).out;
  // 32 layers, 8 K/V heads. A block: 16 rows of K, of V and of V's scales, and a scale for each of 128 channels.
  CHECK(out.find("(1,196,032 bytes)") != std::string::npos);
  CHECK(out.find("open blocks        3 blocks (6,291,456 bytes)") !=
        std::string::npos);  // 3 · 16 rows in f32
  CHECK(out.find("scales of K: 32 layers · 7 blocks · 8 K/V heads · 128 head_dim · 4 bytes") !=
        std::string::npos);
  CHECK(out.find("in int8-channel, paged") != std::string::npos);
  CHECK(lastrow_program(with("paged")).exit_code == 0);
  check_refused(run, "add --cache paged");
  check_refused(with("window:w=32"), "add --cache paged");
  check_refused(with("budget:rows=32"), "add --cache paged");
  check_refused({"memory", "--model", "gpt-2", "--cache", "paged", "--kv-dtype", "k=f16,v=int8-channel"},
                "use k=int8-channel,v=int8");
}

TEST_CASE("a pool of blocks says how many sequences it holds, and refuses one that it cannot hold") {
  const std::vector<std::string> run = {"memory", "--model", "gpt-2", "--context", "1000", "--batch", "8"};
  const auto with = [&](const std::string& cache) {
    std::vector<std::string> arguments = run;
    arguments.insert(arguments.end(), {"--cache", cache});
    return arguments;
  };
  const std::string out = lastrow_program(with("paged:block=16,blocks=200")).out;
  CHECK(out.find("63 blocks; 8 rows of the last one stay empty") != std::string::npos);
  CHECK(out.find("200 blocks, room for 3 sequences of 1,000 tokens") != std::string::npos);
  CHECK(out.find("the other 5 sequences must wait, or share blocks") != std::string::npos);
  check_refused(with("paged:block=16,blocks=62"), "choose blocks=63 or more");
  check_refused(with("paged:block=1001"),
                "blocks of 1001 rows in a cache for 1000 tokens: choose block=1 to");
  check_refused({"memory", "--model", "gpt-2", "--context", "5", "--cache", "paged"},
                "blocks of 16 rows in a cache for 5 tokens: choose block=1 to block=5");
  check_refused(with("pages"), "use contiguous, paged, window:w=W or budget:rows=N");
  check_refused({"memory", "--model", "gpt-2", "--kv-dtype", "k=int8"}, "k=TYPE,v=TYPE");
}

TEST_CASE(
    "rings: their bytes are those that a session allocates, without padding, and do not grow with the "
    "context") {
  const std::string model = "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=";
  for (const char* cache :
       {"window:w=6,sinks=2,block=4", "window:w=16,block=8", "window:w=100,sinks=3,block=2"}) {
    CAPTURE(cache);
    const auto bytes = [&](const char* context) {
      const json j = lastrow_program({"memory", "--model", model + context, "--kv-dtype", "f32", "--cache",
                                      cache, "--json"})
                         .json();
      const DecodeSession session(load_model(model + context), make_backend("naive"),
                                  {.cache = cache_options(cache)});
      CHECK(j["bytes"] == session.cache().spec().bytes());
      const int64_t padding = session.storage_bytes() - j["bytes"].get<int64_t>();
      CHECK(padding >= 0);
      CHECK(padding < 2 * 2 * KvStorage::kAlignment);  // of K and of V in two layers
      CHECK(j["ring"]["blocks"] == session.cache().spec().n_blocks);
      return j["bytes"].get<int64_t>();
    };
    CHECK(bytes("40") <= bytes("400"));
    CHECK(bytes("400") == bytes("500"));
  }
  const std::string out =
      lastrow_program({"memory", "--model", "llama-3-8b", "--cache", "window:w=1024,sinks=4", "--batch", "2"})
          .out;
  CHECK(out.find("1 block for sinks, a ring of 128 blocks") != std::string::npos);
  CHECK(out.find("2,051 at most while a step runs, 1,027 between steps") != std::string::npos);
  CHECK(out.find("each token adds    0 bytes: the window is full") != std::string::npos);
  CHECK(out.find("never: rings do not grow") != std::string::npos);
  check_refused({"memory", "--model", "llama-3-8b", "--cache", "window"}, "choose window:w=W");
  const auto note = [](const std::string& cache) {
    return lastrow_program({"memory", "--model", "llama-3-8b", "--context", "100000", "--cache", cache}).out;
  };
  CHECK(note("window:w=1024,sinks=4").find("the context of the model is only 8,192 tokens") !=
        std::string::npos);
  CHECK(note("window:w=1024,sinks=4,positions=new")
            .find("longer than the model's context of 8,192 tokens, which "
                  "positions=new allows") != std::string::npos);
  check_refused({"memory", "--model", "llama-3-8b", "--cache", "window:w=8190,sinks=4,positions=new"},
                "so that window + sinks is at most 8192");
  check_refused({"memory", "--model", "gpt-2", "--cache", "window:w=64,positions=new"}, "use positions=kept");
}

TEST_CASE("alternating layers: the bytes of rings and blocks are those that a session allocates") {
  const std::string model =
      "random:layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=50,window=6,window_period=2,context=40";
  for (const char* dtype : {"f32", "k=int8,v=int4"}) {
    const json j = lastrow_program({"memory", "--model", model, "--kv-dtype", dtype, "--cache",
                                    "window:block=4", "--json"})
                       .json();
    const DecodeSession session(load_model(model), make_backend("naive"),
                                {.cache = cache_options("window:block=4", dtype)});
    CHECK(j["cache"] == "window:block=4");
    CHECK(j["bytes"] == session.cache().spec().bytes());
    CHECK(j["blocks"]["blocks"] == session.cache().spec().n_blocks);
    CHECK(j["ring"]["blocks"] == session.cache().spec().windowed.n_blocks);
    CHECK(j["growing_layers"] == 1);
    const int64_t padding = session.storage_bytes() - j["bytes"].get<int64_t>();
    CHECK(padding >= 0);
    CHECK(padding < 3 * 4 * KvStorage::kAlignment);  // rows and scales of K and of V in three layers
  }
  const std::string out = lastrow_program({"memory", "--model", "gemma-2-9b", "--cache", "window"}).out;
  CHECK(out.find("in 21 layers with a window of 4,096:") != std::string::npos);
  CHECK(out.find("in 21 layers without one:") != std::string::npos);
  CHECK(out.find("each token adds    168.00 KiB (172.03 kB) (172,032 bytes), in 21 of 42 layers") !=
        std::string::npos);
}

TEST_CASE("a budget has slots for its rows and for one step, and does not grow") {
  const std::string out =
      lastrow_program({"memory", "--model", "llama-3-8b", "--context", "100", "--cache", "budget:rows=4"})
          .out;
  // 32 layers · 8 rows · 8 heads · 128 · 2 bytes, for K and for V
  CHECK(out.find("1,048,576 bytes") != std::string::npos);
  CHECK(out.find("8 at most while a step runs, 4 between steps") != std::string::npos);
  CHECK(out.find("each token adds    0 bytes: the budget is full") != std::string::npos);
  CHECK(out.find("never: a budget does not grow") != std::string::npos);
}

TEST_CASE("a paged cache keeps the rows behind a window: its lines agree with each other") {
  for (const char* model : {"mistral-7b", "gemma-2-9b"}) {
    CAPTURE(model);
    const auto at = [&](int64_t context) {
      return lastrow_program({"memory", "--model", model, "--context", std::to_string(context), "--cache",
                              "paged", "--json"})
          .json();
    };
    const json j = at(120000);
    CHECK(j["bytes_per_token"].get<int64_t>() * 16 == j["blocks"]["block_bytes"]);
    const auto crossing = j["exceeds_weights_from"].get<int64_t>();
    CHECK(crossing % 16 == 1);  // the first token of a block
    CHECK(at(crossing)["bytes"] > j["weights_bytes"]);
    CHECK(at(crossing)["exceeds_weights"] == true);
    CHECK(at(crossing - 1)["bytes"] <= j["weights_bytes"]);
    CHECK(at(crossing - 1)["exceeds_weights"] == false);
    const std::string text =
        lastrow_program({"memory", "--model", model, "--context", "120000", "--cache", "paged"}).out;
    CHECK(text.find("never") == std::string::npos);
    CHECK(text.find("0 bytes:") == std::string::npos);
    CHECK(text.find("counted in whole blocks") != std::string::npos);
  }
}

TEST_CASE("a pool of a fixed size exceeds the weights at any context, or the line is missing") {
  const auto with = [](const std::string& blocks, bool as_json) {
    std::vector<std::string> arguments = {
        "memory", "--model", "gpt-2", "--context", "100", "--cache", "paged:blocks=" + blocks};
    if (as_json) arguments.push_back("--json");
    return lastrow_program(arguments);
  };
  CHECK(with("7", false).out.find("exceeds weights") == std::string::npos);
  CHECK(with("7", true).json()["exceeds_weights"] == false);
  CHECK(with("900", false).out.find("exceeds weights    at any context") != std::string::npos);
  CHECK(with("900", true).json()["exceeds_weights"] == true);
  CHECK(with("900", true).json()["exceeds_weights_from"].is_null());
}

TEST_CASE("the list names every preset with its source") {
  const LastrowOutcome text = lastrow_program({"memory", "--list"});
  const json j = lastrow_program({"memory", "--list", "--json"}).json();
  CHECK(text.exit_code == 0);
  REQUIRE(j["presets"].size() == presets().size());
  for (size_t i = 0; i < presets().size(); ++i) {
    CHECK(text.out.find(presets()[i].name) != std::string::npos);
    CHECK(text.out.find(presets()[i].source) != std::string::npos);
    CHECK(j["presets"][i]["name"] == presets()[i].name);
  }
}

TEST_CASE("info names backends, libraries, threads, instruction sets and models") {
  const LastrowOutcome text = lastrow_program({"info"});
  const json j = lastrow_program({"info", "--json"}).json();
  CHECK(text.exit_code == 0);
  CHECK(j["version"].is_string());
  CHECK(j["threads"].get<int>() >= 1);
  CHECK(j["instruction_sets"].is_array());
  CHECK(j["kv_dtypes"] == json{"f32", "f16", "bf16", "int8", "fp8", "int4", "fp4", "int8-channel"});
  CHECK(j["caches"].size() == 4);
  CHECK(text.out.find("paged[:block=B][,blocks=N]") != std::string::npos);
  for (const char* library : {"Eigen", "Highway", "fmt", "nlohmann_json", "CLI11"})
    CHECK(j["libraries"][library].is_string());
  REQUIRE(j["backends"].size() == list_backends().size());
  for (const json& backend : j["backends"]) {
    CHECK(text.out.find(backend["name"].get<std::string>()) != std::string::npos);
    CHECK(backend["usable"].get<bool>() != backend.contains("why_not"));
  }
  CHECK(j["models"].size() == builtin_model_names().size());
}

TEST_CASE("the help of every command has an example that works") {
  CHECK(lastrow_program({"--version"}).exit_code == 0);
  for (const std::string command : {"", "generate", "attend", "memory", "info"}) {
    CAPTURE(command);
    std::vector<std::string> arguments = {"--help"};
    if (!command.empty()) arguments.insert(arguments.begin(), command);
    const LastrowOutcome o = lastrow_program(arguments);
    CHECK(o.exit_code == 0);
    CHECK(o.err.empty());
    CHECK(o.out.find(":\n  lastrow " + command) != std::string::npos);
    if (!command.empty() && command != "attend") CHECK(o.out.find("--json") != std::string::npos);
  }
}

TEST_CASE("a full disk behind standard output is an error") {
  const std::string program = LASTROW_BIN_DIR "/lastrow";
  CHECK(WEXITSTATUS(std::system((program + " info > /dev/full 2> /dev/null").c_str())) == 2);
}
