// The JSON that export.py writes beside a model. It describes the model's input and output.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

namespace dlinknet {

struct Description {
  std::string model;            // for example "dlinknet34"
  int height = 0, width = 0;    // of the input, multiples of 32
  bool pixels = false;          // true: the input is uint8 1 x H x W x 3 BGR; false: float32 1 x 3 x H x W
  bool int8 = false;            // the model computes in int8, for CPUs
  double scale = 0;             // if `pixels` is false, the host computes pixel / 255 * scale + shift
  std::array<double, 3> shift{};        // for blue, green and red
  int resize_height = 0, resize_width = 0;      // the size to which images are resized first; 0: they are not resized
  int classes = 1;              // number of probability maps: 1 for road, else one per class
  std::vector<unsigned char> values;    // the pixel value of each class in masks; empty for road
  double threshold = 0.5;       // a probability above it is road
};

// Parse the text of a JSON file. Throw UserError if export.py did not write the text, or if this program cannot run the model:
// several images per call, or images of any size. The error's line begins with `name`.
Description parse_description(const std::string& text, const std::string& name);

// Read MODEL.json. Throw UserError as parse_description() does, or if the file is missing.
Description read_description(const std::filesystem::path& model);

// Return the bytes of a file. Throw std::runtime_error with the reason.
std::string read_file(const std::filesystem::path& file);

}  // namespace dlinknet
