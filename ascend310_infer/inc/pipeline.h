// All images through the network: decoding, computing and writing overlap, each in a thread of its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "description.h"
#include "engine.h"
#include "options.h"

namespace dlinknet {

struct Summary {
  size_t done = 0;
  std::vector<std::string> faults;      // "FILE: reason", in the order of the images
  std::vector<double> network_ms;       // of each image that was done
  double seconds = 0;                   // from the first image's reading to the last one's writing
};

// The images of a folder (.jpg, .jpeg, .png, .tif, .tiff; no ID_mask), sorted by name, or the one image that `place` is.
// Throws UserError where there is none, or two would write the same result.
std::vector<std::filesystem::path> find_images(const std::filesystem::path& place);

// An image's ID: its name without type and without "_sat".
std::string id_of(const std::filesystem::path& image);

Summary run_pipeline(const std::vector<std::filesystem::path>& images, Engine& engine, const Description& description,
                     const Options& options);

}  // namespace dlinknet
