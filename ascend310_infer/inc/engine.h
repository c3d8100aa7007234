// The engine runs a model: a MindIR or an OM on an Ascend (engine_mindspore.cpp, engine_acl.cpp), or an ONNX file on a CPU
// (engine_openvino.cpp, engine_opencv.cpp). CMake's option ENGINE chooses one of them.
#pragma once

#include <cstddef>
#include <memory>

#include "description.h"
#include "options.h"

namespace dlinknet {

class Engine {
 public:
  virtual ~Engine() = default;

  // Return how many inputs may be started before the first of them is finished. With 2, the engine copies one input while it
  // computes another.
  virtual size_t depth() const { return 1; }

  // Accept an input, which has the shape and type of the description. The caller keeps it until finish() returns. An input whose
  // start() throws is not finished. Throw std::runtime_error if the device fails.
  virtual void start(const void* input) = 0;

  // Wait for the input that was started first, and write its classes * H * W probabilities, 0 to 1, one map after another. Throw
  // std::runtime_error if the device fails; the input then counts as finished.
  virtual void finish(float* probabilities) = 0;
};

// Load the model and prepare the device. Throw UserError with the reason if one of them fails.
std::unique_ptr<Engine> open_engine(const Options& options, const Description& description);

// Return the engine's name, with its version if the engine reports one. --help and the log print it.
const char* engine_name();

}  // namespace dlinknet
