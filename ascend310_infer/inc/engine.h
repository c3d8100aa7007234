// The engine runs a model: a MindIR on an Ascend (engine_mindspore.cpp), or an ONNX file on any CPU (engine_opencv.cpp). CMake's
// option ENGINE chooses one of the two.
#pragma once

#include <memory>

#include "description.h"
#include "options.h"

namespace dlinknet {

class Engine {
 public:
  virtual ~Engine() = default;

  // Compute classes * H * W probabilities, 0 to 1, one map after another. The input has the shape and type of the description.
  // Throw std::runtime_error if the device fails.
  virtual void run(const void* input, float* probabilities) = 0;
};

// Load the model and prepare the device. Throw UserError with the reason if one of them fails.
std::unique_ptr<Engine> open_engine(const Options& options, const Description& description);

// Return the engine's name, with its version if the engine reports one. --help and the log print it.
const char* engine_name();

}  // namespace dlinknet
