// Runs MindIR files on an Ascend with MindSpore's C++ API. MindSpore's wheel has this API up to 2.0, MindSpore Lite in 2.x.

#include <include/api/context.h>
#include <include/api/model.h>
#ifdef MINDSPORE_WHEEL
#include <include/api/serialization.h>
#endif
#include <include/api/types.h>

#include <cstring>
#include <vector>

#include "ascend.h"
#include "engine.h"
#include "errors.h"

namespace dlinknet {

namespace {

// Return why a model cannot be loaded: because of the file, or because of the device.
std::string reason(const mindspore::Status& status, [[maybe_unused]] const std::string& model, int device_id) {
#ifdef MINDSPORE_WHEEL      // in MindSpore Lite this call reads another format
  mindspore::Graph graph;
  if (mindspore::Serialization::Load(model, mindspore::kMindIR, &graph).IsError()) {
    return "this MindSpore cannot read it as a MindIR";
  }
#endif
  return one_line(status.ToString()) + missing_ascend(device_id);
}

class MindSporeEngine : public Engine {
 public:
  MindSporeEngine(const Options& options, const Description& description)
      : input_bytes_(static_cast<size_t>(description.height) * description.width * 3 * (description.pixels ? 1 : sizeof(float))),
        output_bytes_(static_cast<size_t>(description.classes) * description.height * description.width * sizeof(float)) {
    auto context = std::make_shared<mindspore::Context>();
    auto ascend = std::make_shared<mindspore::AscendDeviceInfo>();
    ascend->SetDeviceID(static_cast<uint32_t>(options.device_id));
    ascend->SetPrecisionMode(options.precision);    // MindSpore's own default is float16
    context->MutableDeviceInfo().push_back(ascend);
    const mindspore::Status status = model_.Build(options.model.string(), mindspore::kMindIR, context);
    if (status.IsError()) {
      throw UserError("--model: " + options.model.string() + " cannot be loaded on Ascend " + std::to_string(options.device_id) +
                      ": " + reason(status, options.model.string(), options.device_id));
    }
    inputs_ = model_.GetInputs();
    const auto type = description.pixels ? mindspore::DataType::kNumberTypeUInt8 : mindspore::DataType::kNumberTypeFloat32;
    if (inputs_.size() != 1 || inputs_[0].DataSize() != input_bytes_ || inputs_[0].DataType() != type) {
      throw UserError("--model: " + options.model.string() + " requires another input than its JSON says");
    }
  }

  void start(const void* input) override { std::memcpy(inputs_[0].MutableData(), input, input_bytes_); }

  void finish(float* probabilities) override {
    std::vector<mindspore::MSTensor> outputs;
    const mindspore::Status status = model_.Predict(inputs_, &outputs);
    if (status.IsError()) {
      throw std::runtime_error("the Ascend failed: " + one_line(status.ToString()));
    }
    if (outputs.size() != 1 || outputs[0].DataSize() != output_bytes_ ||
        outputs[0].DataType() != mindspore::DataType::kNumberTypeFloat32) {
      throw std::runtime_error("the model does not return the maps of float32 probabilities that its JSON describes");
    }
    std::memcpy(probabilities, outputs[0].Data().get(), output_bytes_);
  }

 private:
  const size_t input_bytes_, output_bytes_;
  mindspore::Model model_;
  std::vector<mindspore::MSTensor> inputs_;
};

}  // namespace

std::unique_ptr<Engine> open_engine(const Options& options, const Description& description) {
  if (options.model.extension() != ".mindir") {
    throw UserError("--model: this program was built with MindSpore and accepts .mindir files, not " + options.model.string());
  }
  if (options.precision == "float32" || options.precision == "bfloat16" || options.precision == "auto") {
    throw UserError("--precision: " + options.precision + " is for CPUs; --help lists what an Ascend has");
  }
  return std::make_unique<MindSporeEngine>(options, description);
}

const char* engine_name() { return "MindSpore on an Ascend"; }   // the API does not report a version

}  // namespace dlinknet
