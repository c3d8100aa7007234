// MindIR files on an Ascend, by the C++ API that MindSpore up to 2.0 has in its wheel and MindSpore Lite has from then on.

#include <include/api/context.h>
#include <include/api/model.h>
#include <include/api/types.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "engine.h"
#include "errors.h"

namespace dlinknet {

namespace {

std::string first_line(const mindspore::Status& status) {
  const std::string text = status.ToString();
  return text.substr(0, text.find('\n'));
}

class MindSporeEngine : public Engine {
 public:
  MindSporeEngine(const Options& options, const Description& description)
      : input_bytes_(static_cast<size_t>(description.height) * description.width * 3 * (description.pixels ? 1 : sizeof(float))),
        output_bytes_(static_cast<size_t>(description.height) * description.width * sizeof(float)) {
    auto context = std::make_shared<mindspore::Context>();
    auto ascend = std::make_shared<mindspore::AscendDeviceInfo>();
    ascend->SetDeviceID(static_cast<uint32_t>(options.device_id));
    if (options.fp16) {
      ascend->SetPrecisionMode("force_fp16");
    }
    context->MutableDeviceInfo().push_back(ascend);
    const mindspore::Status status = model_.Build(options.model.string(), mindspore::kMindIR, context);
    if (status.IsError()) {
      const std::string device = "/dev/davinci" + std::to_string(options.device_id);
      throw UserError("--model: " + options.model.string() + " cannot be made ready on Ascend " + std::to_string(options.device_id) +
                      ": " + (std::filesystem::exists(device) ? first_line(status) : device + " is missing: no such Ascend, or no driver"));
    }
    inputs_ = model_.GetInputs();
    if (inputs_.size() != 1 || inputs_[0].DataSize() != input_bytes_) {
      throw UserError("--model: " + options.model.string() + " takes something else than its JSON says");
    }
  }

  void run(const void* input, float* probabilities) override {
    std::memcpy(inputs_[0].MutableData(), input, input_bytes_);
    std::vector<mindspore::MSTensor> outputs;
    const mindspore::Status status = model_.Predict(inputs_, &outputs);
    if (status.IsError()) {
      throw std::runtime_error("the Ascend failed: " + first_line(status));
    }
    if (outputs.size() != 1 || outputs[0].DataSize() != output_bytes_) {
      throw std::runtime_error("the model does not give a map of float32 probabilities of its input's size");
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
    throw UserError("--model: this program was built with MindSpore and takes .mindir files, not " + options.model.string());
  }
  setenv("GLOG_v", "4", 0);     // MindSpore's own lines about what is reported here; what the user has set stays
  return std::make_unique<MindSporeEngine>(options, description);
}

const char* engine_name() { return "MindSpore on an Ascend"; }

}  // namespace dlinknet
