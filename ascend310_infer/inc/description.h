// The JSON that export.py writes beside a model: what the model takes.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

namespace dlinknet {

struct Description {
  std::string model;            // as in "dlinknet34"
  int height = 0, width = 0;    // of the input, multiples of 32
  bool pixels = false;          // takes uint8 1 x H x W x 3 BGR as they are; else float32 1 x 3 x H x W
  double scale = 0;             // what the host makes of a pixel in the second case: pixel / 255 * scale + shift
  std::array<double, 3> shift{};        // of blue, green and red
  int resize_height = 0, resize_width = 0;      // images are resized to this first; 0: not
  int classes = 1;              // maps of probabilities: 1 of road, or one a class
  std::vector<unsigned char> values;    // what a mask holds for each of several classes
  double threshold = 0.5;       // road is above it
};

// Reads the text of a JSON file. Throws UserError where it is not what export.py writes, or is of a model that this program does
// not run: several images in a call, any size. `name` stands in the error's line.
Description parse_description(const std::string& text, const std::string& name);

// Reads MODEL.json. Throws UserError as above, or where it is missing.
Description read_description(const std::filesystem::path& model);

// A whole file. Throws std::runtime_error with the reason.
std::string read_file(const std::filesystem::path& file);

}  // namespace dlinknet
