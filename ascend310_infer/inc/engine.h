// What computes: a MindIR on an Ascend (engine_mindspore.cpp) or an ONNX file on any CPU (engine_opencv.cpp); which of the two is
// decided when the program is configured.
#pragma once

#include <memory>

#include "description.h"
#include "options.h"

namespace dlinknet {

class Engine {
 public:
  virtual ~Engine() = default;

  // One input as the description has it -> classes * H * W probabilities, 0 to 1, one map after the other. Throws std::runtime_error
  // where the device fails.
  virtual void run(const void* input, float* probabilities) = 0;
};

// Loads the model and makes the device ready. Throws UserError with the reason where that cannot be done.
std::unique_ptr<Engine> open_engine(const Options& options, const Description& description);

// The engine's name, and its version where it has one, for --help and the log.
const char* engine_name();

}  // namespace dlinknet
