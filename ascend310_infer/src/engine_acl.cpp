// Runs OM files on an Ascend with AscendCL, the C API of CANN.
//
// CANN's documents forbid one model to run in two streams at the same time. So there is one stream, and two pairs of buffers. While
// the stream computes one tile, the program copies the previous result back and then the next input in.

#include <acl/acl.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "ascend.h"
#include "engine.h"
#include "errors.h"

namespace dlinknet {

namespace {

constexpr size_t kMostReason = 200;     // letters of CANN's own text in an error

// Throw std::runtime_error if a call failed, with CANN's reason.
void check(aclError status, const char* call) {
  if (status == ACL_SUCCESS) {
    return;
  }
  const char* text = aclGetRecentErrMsg();
  const std::string reason = text == nullptr ? "" : one_line(text).substr(0, kMostReason);
  throw std::runtime_error(std::string(call) + " failed with error " + std::to_string(status) + (reason.empty() ? "" : ": " + reason));
}

// Throw std::runtime_error if a call that creates an object returned none.
template <typename Thing>
Thing* require_created(Thing* thing, const char* call) {
  if (thing == nullptr) {
    throw std::runtime_error(std::string(call) + " returned no object");
  }
  return thing;
}

// In the classes below, the constructor makes something and the destructor ends it. A destructor cannot report a failure, and the
// program ends after it.

class Library {
 public:
  Library() { check(aclInit(nullptr), "aclInit"); }
  Library(const Library&) = delete;
  ~Library() { aclFinalize(); }
};

class Device {
 public:
  explicit Device(int number) : number_(number) {
    try {
      check(aclrtSetDevice(number), "aclrtSetDevice");
    } catch (const std::exception& error) {
      throw std::runtime_error(error.what() + missing_ascend(number));
    }
  }
  Device(const Device&) = delete;
  ~Device() { aclrtResetDevice(number_); }

 private:
  const int32_t number_;
};

class Stream {
 public:
  Stream() { check(aclrtCreateStream(&stream_), "aclrtCreateStream"); }
  Stream(const Stream&) = delete;
  ~Stream() { aclrtDestroyStream(stream_); }
  aclrtStream get() const { return stream_; }

 private:
  aclrtStream stream_ = nullptr;
};

class Model {
 public:
  explicit Model(const std::string& file) {
    try {
      check(aclmdlLoadFromFile(file.c_str(), &number_), "aclmdlLoadFromFile");
    } catch (const std::exception& error) {
      const char* chip = aclrtGetSocName();
      throw std::runtime_error(std::string(error.what()) + "; an .om runs on the chip for which atc made it, and this is " +
                               (chip == nullptr ? "an unknown chip" : chip));
    }
  }
  Model(const Model&) = delete;
  ~Model() { aclmdlUnload(number_); }
  uint32_t number() const { return number_; }

 private:
  uint32_t number_ = 0;
};

using Shape = std::array<int64_t, 4>;

// The model's description of its inputs and outputs.
class ModelDescription {
 public:
  explicit ModelDescription(const Model& model) : found_(require_created(aclmdlCreateDesc(), "aclmdlCreateDesc")) {
    try {
      check(aclmdlGetDesc(found_, model.number()), "aclmdlGetDesc");
    } catch (...) {
      aclmdlDestroyDesc(found_);
      throw;
    }
  }
  ModelDescription(const ModelDescription&) = delete;
  ~ModelDescription() { aclmdlDestroyDesc(found_); }

  // Return whether the model has one input and one output with these types, shapes and sizes in bytes.
  bool fit(aclDataType type, const Shape& input, size_t input_bytes, const Shape& output, size_t output_bytes) const {
    return aclmdlGetNumInputs(found_) == 1 && aclmdlGetNumOutputs(found_) == 1 && aclmdlGetInputDataType(found_, 0) == type &&
           aclmdlGetOutputDataType(found_, 0) == ACL_FLOAT && aclmdlGetInputSizeByIndex(found_, 0) == input_bytes &&
           aclmdlGetOutputSizeByIndex(found_, 0) == output_bytes && has(aclmdlGetInputDims, "aclmdlGetInputDims", input) &&
           has(aclmdlGetOutputDims, "aclmdlGetOutputDims", output);
  }

 private:
  bool has(aclError (*read)(const aclmdlDesc*, size_t, aclmdlIODims*), const char* call, const Shape& shape) const {
    aclmdlIODims dims{};
    check(read(found_, 0, &dims), call);
    return dims.dimCount == shape.size() && std::equal(shape.begin(), shape.end(), dims.dims);
  }

  aclmdlDesc* const found_;
};

// Memory of the device.
class Memory {
 public:
  explicit Memory(size_t bytes) : bytes_(bytes) { check(aclrtMalloc(&place_, bytes, ACL_MEM_MALLOC_HUGE_FIRST), "aclrtMalloc"); }
  Memory(const Memory&) = delete;
  ~Memory() { aclrtFree(place_); }

  // aclrtMemcpy returns when the copy is done, and does not wait for a stream.
  void copy_from(const void* host) { check(aclrtMemcpy(place_, bytes_, host, bytes_, ACL_MEMCPY_HOST_TO_DEVICE), "aclrtMemcpy"); }
  void copy_to(void* host) const { check(aclrtMemcpy(host, bytes_, place_, bytes_, ACL_MEMCPY_DEVICE_TO_HOST), "aclrtMemcpy"); }
  void* place() const { return place_; }
  size_t bytes() const { return bytes_; }

 private:
  const size_t bytes_;
  void* place_ = nullptr;
};

// An input or an output of a model: a data set of one buffer.
class Tensor {
 public:
  explicit Tensor(size_t bytes)
      : memory_(bytes), buffer_(require_created(aclCreateDataBuffer(memory_.place(), bytes), "aclCreateDataBuffer")), set_(aclmdlCreateDataset()) {
    try {
      check(aclmdlAddDatasetBuffer(require_created(set_, "aclmdlCreateDataset"), buffer_), "aclmdlAddDatasetBuffer");
    } catch (...) {
      end();
      throw;
    }
  }
  Tensor(const Tensor&) = delete;
  ~Tensor() { end(); }
  Memory& memory() { return memory_; }
  aclmdlDataset* set() const { return set_; }

 private:
  void end() {
    if (set_ != nullptr) {
      aclmdlDestroyDataset(set_);
    }
    aclDestroyDataBuffer(buffer_);
  }

  Memory memory_;
  aclDataBuffer* const buffer_;
  aclmdlDataset* const set_;
};

// The buffers of one tile, and how far it has come.
struct Slot {
  Slot(size_t input_bytes, size_t output_bytes) : input(input_bytes), output(output_bytes) {}

  Tensor input, output;
  bool waits = false;       // the input is on the device, and the stream does not compute it yet
  bool computes = false;    // the stream computes it
  std::string fault;        // why it could not be given to the stream
};

class AclEngine : public Engine {
 public:
  AclEngine(const Options& options, const Description& description)
      : input_bytes_(static_cast<size_t>(description.height) * description.width * 3 * (description.pixels ? 1 : sizeof(float))),
        output_bytes_(static_cast<size_t>(description.classes) * description.height * description.width * sizeof(float)),
        device_(options.device_id), model_(options.model.string()), slots_{Slot(input_bytes_, output_bytes_), Slot(input_bytes_, output_bytes_)} {
    const Shape input = description.pixels ? Shape{1, description.height, description.width, 3} : Shape{1, 3, description.height, description.width};
    const Shape output = {1, description.classes, description.height, description.width};
    if (!ModelDescription(model_).fit(description.pixels ? ACL_UINT8 : ACL_FLOAT, input, input_bytes_, output, output_bytes_)) {
      throw UserError("--model: " + options.model.string() + " has another input or output than its JSON says");
    }
  }

  AclEngine(const AclEngine&) = delete;
  ~AclEngine() override {
    if (slots_[0].computes || slots_[1].computes) {
      aclrtSynchronizeStream(stream_.get());    // the buffers end below
    }
  }

  size_t depth() const override { return 2; }

  void start(const void* input) override {
    Slot& slot = slots_[next_];
    slot.input.memory().copy_from(input);
    if (slots_[1 - next_].computes) {
      slot.waits = true;
    } else {
      compute(slot);
    }
    next_ = 1 - next_;
  }

  void finish(float* probabilities) override {
    Slot& slot = slots_[oldest_];
    Slot& other = slots_[1 - oldest_];
    oldest_ = 1 - oldest_;
    const aclError status = slot.computes ? aclrtSynchronizeStream(stream_.get()) : ACL_SUCCESS;
    slot.computes = false;
    std::string fault;
    fault.swap(slot.fault);
    if (fault.empty()) {
      try {
        check(status, "aclrtSynchronizeStream");
      } catch (const std::exception& error) {
        fault = error.what();
      }
    }
    if (other.waits) {      // the device computes the other tile while this one is copied
      other.waits = false;
      try {
        compute(other);
      } catch (const std::exception& error) {
        other.fault = error.what();
      }
    }
    if (!fault.empty()) {
      throw std::runtime_error(fault);
    }
    slot.output.memory().copy_to(probabilities);
  }

 private:
  void compute(Slot& slot) {
    check(aclmdlExecuteAsync(model_.number(), slot.input.set(), slot.output.set(), stream_.get()), "aclmdlExecuteAsync");
    slot.computes = true;
  }

  const size_t input_bytes_, output_bytes_;
  // The members end in the opposite order.
  const Library library_;
  const Device device_;
  const Stream stream_;
  const Model model_;
  std::array<Slot, 2> slots_;
  size_t next_ = 0, oldest_ = 0;
};

}  // namespace

std::unique_ptr<Engine> open_engine(const Options& options, const Description& description) {
  if (options.model.extension() != ".om") {
    throw UserError("--model: this program was built with AscendCL and accepts .om files, not " + options.model.string());
  }
  if (options.precision_chosen) {
    throw UserError("--precision: atc decided how " + options.model.string() + " computes; convert it again with another --om_precision");
  }
  try {
    return std::make_unique<AclEngine>(options, description);
  } catch (const UserError&) {
    throw;
  } catch (const std::exception& error) {
    throw UserError("--model: " + options.model.string() + " cannot be loaded on Ascend " + std::to_string(options.device_id) + ": " +
                    error.what());
  }
}

const char* engine_name() { return "AscendCL"; }

}  // namespace dlinknet
