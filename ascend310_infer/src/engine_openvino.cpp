// Runs ONNX files on a CPU with OpenVINO, also those in int8.

#include <algorithm>
#include <openvino/frontend/manager.hpp>
#include <openvino/openvino.hpp>

#include "engine.h"
#include "errors.h"

namespace dlinknet {

namespace {

constexpr size_t kMostReason = 200;     // letters of OpenVINO's own text in an error

// Return the reason in an error of OpenVINO, whose text begins with lines that name its own source.
std::string reason_of(const std::exception& error) {
  std::string text = error.what();
  while (text.rfind("Exception from ", 0) == 0) {
    const size_t end = text.find('\n');
    text = end == std::string::npos ? "" : text.substr(end + 1);
  }
  return one_line(text).substr(0, kMostReason);
}

ov::element::Type precision_of(const Options& options, ov::Core& core) {
  const std::string chosen = options.precision_chosen ? options.precision : "float32";
  if (chosen == "float32") {
    return ov::element::f32;
  }
  if (chosen != "bfloat16" && chosen != "auto") {
    throw UserError("--precision must be float32, bfloat16 or auto for a CPU, not '" + chosen + "'");
  }
  const std::vector<std::string> known = core.get_property("CPU", ov::device::capabilities);
  if (std::find(known.begin(), known.end(), "BF16") != known.end()) {
    return ov::element::bf16;
  }
  if (chosen == "bfloat16") {
    throw UserError("--precision: this CPU does not know bfloat16; leave --precision out");
  }
  return ov::element::f32;
}

class OpenVinoEngine : public Engine {
 public:
  OpenVinoEngine(const Options& options, const Description& description)
      : type_(description.pixels ? ov::element::u8 : ov::element::f32),
        shape_(description.pixels ? ov::Shape{1, size_t(description.height), size_t(description.width), 3}
                                  : ov::Shape{1, 3, size_t(description.height), size_t(description.width)}),
        wanted_{1, size_t(description.classes), size_t(description.height), size_t(description.width)} {
    ov::Core core;
    // For a damaged file, read_model() would try all formats that OpenVINO reads, and these print lines.
    const auto reader = ov::frontend::FrontEndManager().load_by_framework("onnx");
    const auto model = reader->convert(reader->load(options.model.string()));
    if (model->inputs().size() != 1 || model->outputs().size() != 1 || model->input().get_partial_shape() != ov::PartialShape(shape_) ||
        model->input().get_element_type() != type_ || model->output().get_partial_shape() != ov::PartialShape(wanted_) ||
        model->output().get_element_type() != ov::element::f32) {
      throw std::runtime_error("input or output is not what its JSON describes; does the JSON beside it belong to it?");
    }
    request_ = core.compile_model(model, "CPU", ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
                                  ov::hint::inference_precision(precision_of(options, core)))
                   .create_infer_request();
  }

  void start(const void* input) override {
    try {
      request_.set_input_tensor(ov::Tensor(type_, shape_, const_cast<void*>(input)));    // OpenVINO only reads it
      request_.start_async();
    } catch (const std::exception& error) {
      throw std::runtime_error("OpenVINO: " + reason_of(error));
    }
  }

  void finish(float* probabilities) override {
    try {
      request_.wait();
      const ov::Tensor found = request_.get_output_tensor();
      std::copy_n(found.data<const float>(), ov::shape_size(wanted_), probabilities);
    } catch (const std::exception& error) {
      throw std::runtime_error("OpenVINO: " + reason_of(error));
    }
  }

 private:
  const ov::element::Type type_;
  const ov::Shape shape_, wanted_;
  ov::InferRequest request_;
};

}  // namespace

std::unique_ptr<Engine> open_engine(const Options& options, const Description& description) {
  if (options.model.extension() != ".onnx") {
    throw UserError("--model: this program was built with OpenVINO and accepts .onnx files, not " + options.model.string());
  }
  try {
    return std::make_unique<OpenVinoEngine>(options, description);
  } catch (const UserError&) {
    throw;
  } catch (const std::exception& error) {
    throw UserError("--model: " + options.model.string() + " cannot be loaded by " + engine_name() + ": " + reason_of(error));
  }
}

const char* engine_name() {
  const std::string version = ov::get_openvino_version().buildNumber;     // 2026.4.1-22982-...
  static const std::string name = "OpenVINO " + version.substr(0, version.find('-'));
  return name.c_str();
}

}  // namespace dlinknet
