// The devices of the rehearsed lastrow-kernels: the emulator, and a "GPU" that combines two devices.
//
// Each call on the "GPU" goes to the real host code of cuda, on the device that runs nothing
// (checked_cuda.h). The numbers of a check come from the emulator. The differences between timed outputs are
// made up, not computed.
//
// With LASTROW_REHEARSAL="fail=k03,hang=k05,break=k06" in the environment, the numbers of k03 are wrong, a
// call of k05 never returns, and after a call of k06 the device no longer answers. "roofs" hangs in the
// measurement of the read bandwidth.
#include "gpu/driver/device.h"

#include <cstdlib>
#include <string_view>

#include "cuda_host/checked_cuda.h"
#include "gpu/cuda_backend.h"

namespace lastrow::driver {
namespace {

bool is_told(std::string_view fault, const std::string& rung) {
  const char* const told = std::getenv("LASTROW_REHEARSAL");
  const std::string all = fmt::format(",{},", told == nullptr ? "" : told);
  return all.find(fmt::format(",{}={},", fault, rung)) != std::string::npos;
}

class RehearsedRunner final : public Runner {
 public:
  explicit RehearsedRunner(const OwnRung& own)
      : cuda_(cuda::make_runner(own)), emulated_(emulated::make_runner(own)) {}
  DeviceInfo device() const override { return cuda_->device(); }
  std::vector<RungInfo> rungs() const override { return cuda_->rungs(); }
  std::string why_not(const std::string& rung, const gpu::AttendShape& shape) const override {
    return cuda_->why_not(rung, shape);
  }
  void load(const judge::JudgedCase& judged) override {
    cuda_->load(judged);
    emulated_->load(judged);
  }
  judge::AttendResult attend(const std::string& rung) override {
    break_device(rung);
    cuda_->attend(rung);
    judge::AttendResult result = emulated_->attend(rung);
    if (is_told("fail", rung) && !result.out.empty()) result.out.front() += 1;
    return result;
  }
  std::string lost() override { return cuda_->lost(); }
  std::vector<simt::KernelTraffic> count(const std::string& rung) override { return cuda_->count(rung); }
  Bandwidth bandwidth() override {
    break_device("roofs");
    return cuda_->bandwidth();
  }
  Timing time(const std::string& rung, const gpu::AttendShape& shape, const std::string& other) override {
    break_device(rung);
    Timing t = cuda_->time(rung, shape, other);
    t.difference = is_told("fail", rung) ? 0.5 : 1e-6;
    return t;
  }

 private:
  static void break_device(const std::string& rung) {
    if (is_told("hang", rung)) checked_cuda::hang_waits();
    if (is_told("break", rung)) checked_cuda::fail_waits(cudaErrorIllegalAddress);
  }

  std::unique_ptr<Runner> cuda_, emulated_;
};

}  // namespace

std::string why_no_gpu() { return why_no_cuda(); }

std::unique_ptr<Runner> make_runner(const std::string& target, const OwnRung& own) {
  if (target == "cuda") return std::make_unique<RehearsedRunner>(own);
  return emulated::make_runner(own);
}

}  // namespace lastrow::driver
