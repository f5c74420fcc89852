// The host side of the backend cuda, on a device that runs nothing and checks every call (checked_cuda.h).
#include <doctest/doctest.h>

#include <functional>

#include "cuda_host/device.h"
#include "gpu/target/cuda_error.h"
#include "registry/registry.h"
#include "session/session.h"

namespace lastrow {
namespace {

using checked_cuda::Counts;
using checked_cuda::counts;

const char* const kModel = "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,ffn=32,vocab=40,context=1100";

std::shared_ptr<const Model> model() {
  static const auto loaded = load_model(kModel);
  return loaded;
}

std::unique_ptr<DecodeSession> make_session(const std::string& backend = "cuda", SessionOptions options = {},
                                            size_t prompt_len = 5) {
  auto session = std::make_unique<DecodeSession>(model(), make_backend(backend), std::move(options));
  session->start(std::vector<int32_t>(prompt_len, 7));
  return session;
}

/// The differences of the counts that are used below.
Counts since(const Counts& before) {
  Counts c = counts();
  c.n_launches -= before.n_launches, c.n_early -= before.n_early, c.n_products -= before.n_products;
  c.n_uploads -= before.n_uploads, c.n_downloads -= before.n_downloads, c.n_waits -= before.n_waits;
  c.n_recordings -= before.n_recordings, c.n_graph_launches -= before.n_graph_launches;
  c.n_allocations -= before.n_allocations, c.bytes_in_use -= before.bytes_in_use, c.n_live -= before.n_live;
  return c;
}

void advance(DecodeSession& session, int n_steps) {
  for (int i = 0; i < n_steps; ++i) session.advance();
}

/// The message of the Failure that work throws.
template <typename Failure>
std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Failure& e) {
    return e.what();
  }
  FAIL("nothing was thrown");
  return "";
}

}  // namespace

// ---- a step

TEST_CASE("a replayed decode step is one upload, one launch of a graph and one download") {
  const Device device;
  const auto session = make_session();
  advance(*session, 4);
  const Counts before = counts();
  session->advance();
  const Counts step = since(before);
  CHECK(step.n_uploads == 1);
  CHECK(step.n_graph_launches == 1);
  CHECK(step.n_downloads == 1);
  CHECK(step.n_waits == 1);  // the download's
  CHECK(step.n_recordings == 0);
  CHECK(step.n_allocations == 0);
  CHECK(step.n_launches > 10);
  CHECK(step.n_products == 2 * 7 + 1);  // q k v o gate up down of two layers, and the logits
}

TEST_CASE("the merge of splits may begin while they run, once per layer, in a recorded step too") {
  const Device device;
  const auto session = make_session("cuda:k08", {}, 600);
  session->advance();
  const Counts before = counts();
  session->advance();
  CHECK(since(before).n_early == 2);
  advance(*session, 3);
  const Counts recorded = counts();
  session->advance();
  CHECK(since(recorded).n_graph_launches == 1);
  CHECK(since(recorded).n_early == 2);
}

TEST_CASE("a thousand decode steps allocate no memory, and are recorded once for each bound on their keys") {
  const Device device;
  const auto session = make_session();
  advance(*session, 4);
  const Counts before = counts();
  advance(*session, 1000);
  const Counts during = since(before);
  CHECK(during.bytes_in_use == 0);
  CHECK(during.n_allocations == 0);
  CHECK(during.n_recordings == 3);             // for 256, 512 and 1,024 keys
  CHECK(during.n_graph_launches == 1000 - 3);  // the first of each is run directly
  CHECK(during.n_uploads == 1000);
  CHECK(during.n_downloads == 1000);
}

TEST_CASE("layers with a ring of their own step in the same upload and the same record") {
  const Device device;
  DecodeSession session(load_model(std::string(kModel) + ",window=300,window_period=2"), make_backend("cuda"),
                        {.chunk = 4, .cache = cache_options("window")});
  session.start(std::vector<int32_t>(5, 7));
  for (int i = 0; i < 5; ++i) session.advance();
  const Counts before = counts();
  for (int i = 0; i < 1000; ++i) session.advance();
  const Counts during = since(before);
  CHECK(during.n_allocations == 0);
  CHECK(during.n_uploads == 1000);
  CHECK(during.n_recordings == 3);  // for 256 keys, for 512 (and 303 in the ring), and for 1,024
  CHECK(during.n_graph_launches == 1000 - 3);
}

/// K as int8-channel, of which one step in 16 seals a block.
SessionOptions sealing_options() {
  return {.cache = {.kind = "paged", .dtype_k = DType::i8_channel, .dtype_v = DType::i8}};
}

TEST_CASE(
    "a thousand steps that seal blocks of K allocate no memory; those that seal have records of their own") {
  const Device device;
  const auto session = make_session("cuda", sealing_options());
  advance(*session, 4);
  const Counts before = counts();
  advance(*session, 1000);
  const Counts during = since(before);
  CHECK(during.bytes_in_use == 0);
  CHECK(during.n_allocations == 0);
  CHECK(during.n_recordings == 3 + 4);  // as without seals; and with, for 128, 256, 512 and 1,024 keys
  CHECK(during.n_graph_launches == 1000 - 3 - 4);
  CHECK(during.n_uploads == 1000);
}

TEST_CASE("a step that seals launches one kernel more in each layer") {
  const Device device;
  const auto session = make_session("cuda", sealing_options(), 16);
  advance(*session, 3);  // 18 rows; two decode steps, so the next one is replayed
  Counts before = counts();
  session->advance();
  const int64_t n_launches = since(before).n_launches;
  advance(*session, 12);  // 31 rows
  before = counts();
  session->advance();
  CHECK(since(before).n_launches == n_launches + 2);
}

TEST_CASE("the device refuses no call of any rung over K as int8-channel, and no look at its rows") {
  for (const std::string kernel : {"", ":k05", ":k13"}) {
    const Device device;
    SessionOptions options = sealing_options();
    options.record = RecordOptions{};
    const auto session = make_session("cuda" + kernel, options, 40);
    advance(*session, 40);
    session->go_to(3);
    for (const int32_t index : {0, 39}) (void)session->stored_row(1, RowKind::k, index);
  }
}

TEST_CASE("the device refuses no call of any rung, with any stored type") {
  for (const KernelEntry& kernel : list_kernels())
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8}) {
      CAPTURE(kernel.name);
      CAPTURE(name_of(dtype));
      const Device device;
      const auto session =
          make_session("cuda:" + kernel.name, {.cache = {.dtype_k = dtype, .dtype_v = dtype}}, 20);
      advance(*session, 4);
      session->go_to(1);
    }
}

TEST_CASE("cuBLAS is loaded by the first product, once") {
  const Device device;
  const auto backend = make_backend("cuda");
  const Tensor zeros = Tensor::host(DType::f32, {8, 8});
  const Tensor x = backend->upload(zeros.view()), weight = backend->upload(zeros.view());
  Tensor out = backend->make_tensor({8, 8});
  backend->run(Add{{0, "add"}, x.view(), out.view()});
  CHECK(counts().n_launches == 1);
  CHECK(counts().n_cublas_loads == 0);
  for (int i = 0; i < 2; ++i) backend->run(Linear{{0, "linear"}, x.view(), weight.view(), {}, out.view()});
  CHECK(counts().n_products == 2);
  CHECK(counts().n_cublas_loads == 1);
}

// ---- failures

TEST_CASE("a cache that does not fit the device is refused with sizes, and fits when there is room again") {
  const Device device;
  const auto session = make_session();
  const int64_t in_use = counts().bytes_in_use;
  checked_cuda::set_memory(in_use);
  const std::string message = message_of<CapacityError>([&] { advance(*session, 3); });
  CAPTURE(message);
  CHECK(message.find("of device memory: 0.00 KiB (0.00 kB) of ") != std::string::npos);
  CHECK(message.find("use a shorter context") != std::string::npos);
  checked_cuda::set_memory(in_use + (int64_t{40} << 20));  // 32 MiB of these are cuBLAS's workspace
  advance(*session, 3);
  CHECK(counts().bytes_in_use > in_use);
}

TEST_CASE("a launch that the device refuses is named, and the session goes on once it is accepted") {
  const Device device;
  const auto session = make_session();
  for (int step = 0; step < 3; ++step) {  // 0 is the prefill, 1 is run directly, 2 recorded
    CAPTURE(step);
    checked_cuda::fail_launches_of("rms_norm");
    const std::string message = message_of<CudaError>([&] { session->advance(); });
    CHECK(message.starts_with("cudaErrorLaunchOutOfResources in launch at "));
    CHECK(message.find("kernel rms_norm") != std::string::npos);
    CHECK(session->current_step() == step - 1);
    checked_cuda::fail_launches_of("");
    session->advance();
    CHECK(session->current_step() == step);
  }
  const Counts before = counts();
  session->advance();
  CHECK(since(before).n_graph_launches == 1);
}

TEST_CASE("an error of a running kernel is reported by the copy that waits for it, not by a later launch") {
  const Device device;
  const auto session = make_session();
  advance(*session, 5);
  checked_cuda::fail_waits(cudaErrorIllegalAddress);
  const std::string message = message_of<CudaError>([&] { session->advance(); });
  CHECK(message.starts_with("cudaErrorIllegalAddress in cudaStreamSynchronize"));
  CHECK(session->current_step() == 4);
  checked_cuda::fail_waits(cudaSuccess);
  session->advance();
  CHECK(session->current_step() == 5);
}

TEST_CASE("a missing driver, a missing GPU and an old GPU are reported") {
  const auto why_not = [](const checked_cuda::Claims& claims) {
    const Device device(claims);
    return message_of<UsageError>([] { make_backend("cuda"); });
  };
  CHECK(why_not({.driver = 0}).find("no NVIDIA driver is installed") != std::string::npos);
  CHECK(why_not({.n_devices = 0}).find("no NVIDIA GPU is visible") != std::string::npos);
  CHECK(why_not({.major = 7}).find("compute capability 7.0, but 8.0 or later is needed") !=
        std::string::npos);
}

}  // namespace lastrow
