// Streams, events and graphs.
#include "cuda_host/checked_device.h"

using namespace lastrow::checked_cuda;

namespace {
constexpr float kMsOfWork = 20;  // made up: the time of one piece of work
}

extern "C" {

// ---- streams and events

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return *stream = make_handle<CUstream_st>(), cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return drop_handle(stream, "a stream"); }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!is_live(stream)) return mistake(cudaErrorInvalidResourceHandle, "a wait for a stream that is not");
  return wait("cudaStreamSynchronize");
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return *event = make_handle<CUevent_st>(), cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return drop_handle(event, "an event"); }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (!is_live(event) || !is_live(stream))
    return mistake(cudaErrorInvalidResourceHandle, "an event that is not");
  if (breaks_recording("cudaEventRecord")) return cudaErrorStreamCaptureUnsupported;
  return event->at = state().n_work, cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return wait("cudaEventSynchronize"); }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  if (start->at < 0 || end->at < start->at)
    return mistake(cudaErrorInvalidResourceHandle,
                   "a time between events that were not recorded in this order");
  return *ms = kMsOfWork * static_cast<float>(end->at - start->at), cudaSuccess;
}

// ---- graphs

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  State& s = state();
  if (!is_live(stream) || stream->recording)
    return mistake(cudaErrorIllegalState, "a recording on a stream that is not, or that records");
  stream->recording = true, stream->broken = false, stream->graph = make_handle<CUgraph_st>();
  s.recording = stream;
  ++s.counts.n_recordings;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!is_live(stream) || !stream->recording)
    return mistake(cudaErrorIllegalState, "the end of a recording that never began");
  state().recording = nullptr;
  stream->recording = false;
  *graph = std::exchange(stream->graph, nullptr);
  if (!stream->broken) return cudaSuccess;
  drop_handle(*graph, "a graph");
  *graph = nullptr;
  return result(cudaErrorStreamCaptureInvalidated);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  if (!is_live(graph)) return mistake(cudaErrorInvalidValue, "a graph that is not");
  return *exec = make_handle<CUgraphExec_st>(graph->work), cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return drop_handle(graph, "a graph"); }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return drop_handle(exec, "an executable graph"); }
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  State& s = state();
  if (!is_live(exec) || !is_live(stream))
    return mistake(cudaErrorInvalidValue, "a graph or stream that is not");
  if (breaks_recording("cudaGraphLaunch")) return cudaErrorStreamCaptureUnsupported;
  for (const Work& work : exec->work) {
    for (const void* address : work.addresses)
      if (!is_allocated(address, 1))
        return mistake(cudaErrorIllegalAddress,
                       fmt::format("a graph runs {}, whose memory was freed", work.name));
    run(work);
  }
  ++s.counts.n_graph_launches;
  return cudaSuccess;
}

}  // extern "C"
