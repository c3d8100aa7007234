// A stand-in for CANN's libascendcl, for tests of engine_acl.cpp on any CPU. OpenCV computes what the Ascend would.
//
// An .om for it is a line "stub CLASSES HEIGHT WIDTH CHIP INPUT" before the bytes of an ONNX file with float32 input. INPUT is
// "planes", or "pixels" for an OM with uint8 input; the stand-in then computes the planes. Variables of the environment:
//
//   ACL_STUB_LOG=FILE     receives the name of each call that can fail, in order, and at the end "left N": the number of objects that
//                         were created and not released. It is written when the process ends, so it also shows objects that an
//                         error path forgot.
//   ACL_STUB_FAIL=N       the call with this number, from 1 on, fails and does nothing
//
// A call that CANN's documents forbid ends the process: a model in two streams at once, a copy beyond a buffer or into one that the
// device uses, memory of the host in place of the device's, a call before aclInit or after aclFinalize, or a call of a thread that
// has not called aclrtSetDevice.

#include <acl/acl.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <opencv2/dnn.hpp>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

struct aclmdlDesc {
  int classes, height, width;
  bool pixels;
};
struct aclDataBuffer {
  void* data;
  size_t size;
};
struct aclmdlDataset {
  std::vector<aclDataBuffer*> buffers;
};

namespace {

constexpr const char* kChip = "Ascend310P3";
constexpr int kFailed = 507899;     // CANN's number for an error inside the driver

std::mutex mutex;
std::string reason;
bool ready = false;
std::thread::id owner;      // the thread that has called aclrtSetDevice
int left = 0;       // objects that were created and not yet released

struct Log {
  std::ofstream file{std::getenv("ACL_STUB_LOG") == nullptr ? "" : std::getenv("ACL_STUB_LOG")};
  int calls = 0;
  const int failing = std::getenv("ACL_STUB_FAIL") == nullptr ? 0 : std::atoi(std::getenv("ACL_STUB_FAIL"));
  ~Log() { file << "left " << left << "\n"; }
} record;

[[noreturn]] void forbid(const char* what) {
  std::fprintf(stderr, "acl_stub: %s\n", what);
  std::abort();
}

// Return whether a call is to fail.
bool fails(const char* call) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (!ready && std::strcmp(call, "aclInit") != 0) {
    forbid("a call before aclInit or after aclFinalize");
  }
  if (owner != std::thread::id() && owner != std::this_thread::get_id()) {
    forbid("a call of a thread that has not called aclrtSetDevice");
  }
  record.file << call << "\n";
  if (++record.calls != record.failing) {
    return false;
  }
  reason = std::string("EZ9999: the stand-in lets\n\t") + call + " fail";
  return true;
}

void made() {
  const std::lock_guard<std::mutex> lock(mutex);
  ++left;
}

aclError ended() {
  const std::lock_guard<std::mutex> lock(mutex);
  if (!ready) {
    forbid("something is ended after aclFinalize");
  }
  --left;
  return ACL_SUCCESS;
}

// A thread that runs tasks one after another.
class Stream {
 public:
  Stream() : thread_([this] { work(); }) {}
  ~Stream() {
    push(nullptr);
    thread_.join();
  }
  void push(std::function<void()> task) {
    const std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return tasks_.empty(); });
  }

 private:
  void work() {
    for (;;) {
      std::function<void()> task;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !tasks_.empty(); });
        task = tasks_.front();
      }
      if (!task) {
        return;
      }
      task();
      const std::lock_guard<std::mutex> lock(mutex_);
      tasks_.pop_front();
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::thread thread_;
};

struct Model {
  aclmdlDesc description;
  cv::dnn::Net network;
  aclrtStream stream = nullptr;     // that computes it now
  int waiting = 0;
};

std::map<uint32_t, std::unique_ptr<Model>> models;
std::map<void*, size_t> memory;     // of the device: place -> bytes
std::set<const void*> in_use;       // by a stream

// Return an input as 1 x 3 x H x W float32: pixel / 255 * 3.2 - 1.6.
cv::Mat planes(const aclmdlDesc& model, void* input) {
  const int sides[] = {1, 3, model.height, model.width};
  if (!model.pixels) {
    return cv::Mat(4, sides, CV_32F, input);
  }
  const cv::Mat pixels(model.height, model.width, CV_8UC3, input);
  cv::Mat values;
  pixels.convertTo(values, CV_32FC3, 3.2 / 255, -1.6);
  return cv::dnn::blobFromImage(values);
}

size_t area(const aclmdlDesc* model) { return static_cast<size_t>(model->height) * model->width; }

void need_memory(const void* place, size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = memory.find(const_cast<void*>(place));
  if (found == memory.end() || found->second < bytes) {
    forbid("memory that is not the device's, or too little of it");
  }
  if (in_use.count(place) > 0) {
    forbid("memory that a stream uses");
  }
}

}  // namespace

extern "C" {

aclError aclInit(const char*) {
  if (fails("aclInit")) {
    return kFailed;
  }
  ready = true;
  made();
  return ACL_SUCCESS;
}

aclError aclFinalize() {
  ended();
  ready = false;
  return ACL_SUCCESS;
}

const char* aclGetRecentErrMsg() { return reason.empty() ? nullptr : reason.c_str(); }
const char* aclrtGetSocName() { return kChip; }

aclError aclrtSetDevice(int32_t) {
  if (fails("aclrtSetDevice")) {
    return kFailed;
  }
  owner = std::this_thread::get_id();
  made();
  return ACL_SUCCESS;
}

aclError aclrtResetDevice(int32_t) { return ended(); }

aclError aclrtCreateStream(aclrtStream* stream) {
  if (fails("aclrtCreateStream")) {
    return kFailed;
  }
  *stream = new Stream();
  made();
  return ACL_SUCCESS;
}

aclError aclrtDestroyStream(aclrtStream stream) {
  delete static_cast<Stream*>(stream);
  return ended();
}

aclError aclrtSynchronizeStream(aclrtStream stream) {
  static_cast<Stream*>(stream)->wait();     // also if the call fails: the memory is in use until then
  return fails("aclrtSynchronizeStream") ? kFailed : ACL_SUCCESS;
}

aclError aclrtMalloc(void** place, size_t size, aclrtMemMallocPolicy) {
  if (fails("aclrtMalloc")) {
    return kFailed;
  }
  *place = std::malloc(size);
  {
    const std::lock_guard<std::mutex> lock(mutex);
    memory[*place] = size;
  }
  made();
  return ACL_SUCCESS;
}

aclError aclrtFree(void* place) {
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (memory.erase(place) != 1) {
      forbid("memory is freed twice, or is not the device's");
    }
  }
  std::free(place);
  return ended();
}

aclError aclrtMemcpy(void* to, size_t room, const void* from, size_t count, aclrtMemcpyKind kind) {
  const bool upwards = kind == ACL_MEMCPY_HOST_TO_DEVICE;
  if (fails(upwards ? "aclrtMemcpy to the device" : "aclrtMemcpy to the host")) {
    return kFailed;
  }
  need_memory(upwards ? to : from, count);
  if (count > room) {
    forbid("a copy beyond a buffer");
  }
  std::memcpy(to, from, count);
  return ACL_SUCCESS;
}

aclDataBuffer* aclCreateDataBuffer(void* data, size_t size) {
  if (fails("aclCreateDataBuffer")) {
    return nullptr;
  }
  need_memory(data, size);
  made();
  return new aclDataBuffer{data, size};
}

aclError aclDestroyDataBuffer(const aclDataBuffer* buffer) {
  delete buffer;
  return ended();
}

aclmdlDataset* aclmdlCreateDataset() {
  if (fails("aclmdlCreateDataset")) {
    return nullptr;
  }
  made();
  return new aclmdlDataset();
}

aclError aclmdlDestroyDataset(const aclmdlDataset* set) {
  delete set;
  return ended();
}

aclError aclmdlAddDatasetBuffer(aclmdlDataset* set, aclDataBuffer* buffer) {
  if (fails("aclmdlAddDatasetBuffer")) {
    return kFailed;
  }
  set->buffers.push_back(buffer);
  return ACL_SUCCESS;
}

aclError aclmdlLoadFromFile(const char* file, uint32_t* number) {
  if (fails("aclmdlLoadFromFile")) {
    return kFailed;
  }
  std::ifstream stream(file, std::ios::binary);
  std::string line, word, chip, input;
  auto model = std::make_unique<Model>();
  std::getline(stream, line);
  std::istringstream words(line);
  words >> word >> model->description.classes >> model->description.height >> model->description.width >> chip >> input;
  model->description.pixels = input == "pixels";
  if (word != "stub" || chip != kChip) {
    reason = "E19014: the model does not match the chip";
    return kFailed;
  }
  const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  model->network = cv::dnn::readNetFromONNX(bytes.data(), bytes.size());
  const std::lock_guard<std::mutex> lock(mutex);
  *number = static_cast<uint32_t>(models.size()) + 1;
  models[*number] = std::move(model);
  ++left;
  return ACL_SUCCESS;
}

aclError aclmdlUnload(uint32_t number) {
  if (models.at(number)->waiting != 0) {
    forbid("a model is unloaded while it computes");
  }
  models.erase(number);
  return ended();
}

aclmdlDesc* aclmdlCreateDesc() {
  if (fails("aclmdlCreateDesc")) {
    return nullptr;
  }
  made();
  return new aclmdlDesc{};
}

aclError aclmdlDestroyDesc(aclmdlDesc* description) {
  delete description;
  return ended();
}

aclError aclmdlGetDesc(aclmdlDesc* description, uint32_t number) {
  if (fails("aclmdlGetDesc")) {
    return kFailed;
  }
  *description = models.at(number)->description;
  return ACL_SUCCESS;
}

aclError aclmdlGetInputDims(const aclmdlDesc* model, size_t, aclmdlIODims* dims) {
  if (fails("aclmdlGetInputDims")) {
    return kFailed;
  }
  if (model->pixels) {
    *dims = {"image", 4, {1, model->height, model->width, 3}};
  } else {
    *dims = {"image", 4, {1, 3, model->height, model->width}};
  }
  return ACL_SUCCESS;
}

aclError aclmdlGetOutputDims(const aclmdlDesc* model, size_t, aclmdlIODims* dims) {
  if (fails("aclmdlGetOutputDims")) {
    return kFailed;
  }
  *dims = {"probability", 4, {1, model->classes, model->height, model->width}};
  return ACL_SUCCESS;
}

size_t aclmdlGetNumInputs(aclmdlDesc*) { return 1; }
size_t aclmdlGetNumOutputs(aclmdlDesc*) { return 1; }
size_t aclmdlGetInputSizeByIndex(aclmdlDesc* model, size_t) { return 3 * area(model) * (model->pixels ? 1 : sizeof(float)); }
size_t aclmdlGetOutputSizeByIndex(aclmdlDesc* model, size_t) { return model->classes * area(model) * sizeof(float); }
aclDataType aclmdlGetInputDataType(const aclmdlDesc* model, size_t) { return model->pixels ? ACL_UINT8 : ACL_FLOAT; }
aclDataType aclmdlGetOutputDataType(const aclmdlDesc*, size_t) { return ACL_FLOAT; }

aclError aclmdlExecuteAsync(uint32_t number, const aclmdlDataset* input, aclmdlDataset* output, aclrtStream stream) {
  if (fails("aclmdlExecuteAsync")) {
    return kFailed;
  }
  Model* model = models.at(number).get();
  const aclDataBuffer from = *input->buffers.at(0), to = *output->buffers.at(0);
  need_memory(from.data, from.size);
  need_memory(to.data, to.size);
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (model->waiting > 0 && model->stream != stream) {
      forbid("one model in two streams at the same time");
    }
    model->stream = stream;
    ++model->waiting;
    in_use.insert({from.data, to.data});
  }
  static_cast<Stream*>(stream)->push([=] {
    model->network.setInput(planes(model->description, from.data));
    const cv::Mat found = model->network.forward();
    std::memcpy(to.data, found.ptr<float>(), std::min(to.size, found.total() * sizeof(float)));
    const std::lock_guard<std::mutex> lock(mutex);
    --model->waiting;
    in_use.erase(from.data);
    in_use.erase(to.data);
  });
  return ACL_SUCCESS;
}
}
