// Runs ONNX files on any CPU with OpenCV's module dnn.

#include <algorithm>
#include <opencv2/core/version.hpp>
#include <opencv2/dnn.hpp>
#include <vector>

#include "engine.h"
#include "errors.h"

namespace dlinknet {

namespace {

class OpenCvEngine : public Engine {
 public:
  OpenCvEngine(const std::string& bytes, const Description& description)
      : sides_{1, 3, description.height, description.width},
        classes_(description.classes),
        network_(cv::dnn::readNetFromONNX(bytes.data(), bytes.size())) {
    network_.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
    network_.setPreferableTarget(cv::dnn::DNN_TARGET_CPU);
  }

  void start(const void* input) override { input_ = input; }

  void finish(float* probabilities) override {
    cv::Mat found;
    try {
      network_.setInput(cv::Mat(4, sides_, CV_32F, const_cast<void*>(input_)));    // OpenCV only reads it
      found = network_.forward();
    } catch (const cv::Exception&) {    // its text names lines of OpenCV's source
      throw std::runtime_error("OpenCV " CV_VERSION " cannot compute the model");
    }
    const size_t wanted = static_cast<size_t>(classes_) * sides_[2] * sides_[3];
    if (found.total() != wanted || found.type() != CV_32F || !found.isContinuous()) {
      throw std::runtime_error("the model does not return the maps of probabilities that its JSON describes");
    }
    std::copy_n(found.ptr<float>(), wanted, probabilities);
  }

 private:
  const int sides_[4], classes_;
  const void* input_ = nullptr;
  cv::dnn::Net network_;
};

}  // namespace

std::unique_ptr<Engine> open_engine(const Options& options, const Description& description) {
  if (options.model.extension() != ".onnx") {
    throw UserError("--model: this program was built with OpenCV and accepts .onnx files, not " + options.model.string());
  }
  if (description.int8) {
    throw UserError("--model: " + options.model.string() + " is in int8, which requires a program built with OpenVINO");
  }
  if (options.precision_chosen && options.precision != "float32") {
    throw UserError("--precision: OpenCV computes in float32 on a CPU; leave --precision and --fp16 out");
  }
  if (description.pixels) {
    throw UserError("--model: OpenCV cannot run a model with pixel input: export without --pixel_input");
  }
  std::unique_ptr<OpenCvEngine> engine;
  try {
    engine = std::make_unique<OpenCvEngine>(read_file(options.model), description);
  } catch (const std::exception&) {     // its text names lines of OpenCV's source
    throw UserError("--model: " + options.model.string() + " cannot be loaded by OpenCV " CV_VERSION);
  }
  try {         // finds a model that does not fit its JSON before the first image
    const size_t area = static_cast<size_t>(description.height) * description.width;
    const std::vector<float> black(3 * area);
    std::vector<float> found(description.classes * area);
    engine->start(black.data());
    engine->finish(found.data());
  } catch (const std::exception& error) {
    throw UserError("--model: " + options.model.string() + ": " + error.what() + "; does the JSON beside it belong to it?");
  }
  return engine;
}

const char* engine_name() { return "OpenCV " CV_VERSION; }

}  // namespace dlinknet
