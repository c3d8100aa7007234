// Runs the network on all images. Decoding, computing and writing each have their own thread, and run at the same time.
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
  std::vector<double> network_ms;       // the network's time for each image that was done
  double seconds = 0;                   // from the start of the first image to the end of the last image
};

// Return the images of a folder (.jpg, .jpeg, .png, .tif, .tiff), sorted by name, without masks (ID_mask). If `place` is a file,
// return this file. Throw UserError if there is no image, or if two images have the same ID.
std::vector<std::filesystem::path> find_images(const std::filesystem::path& place);

// Return an image's ID: its name without suffix and without "_sat".
std::string id_of(const std::filesystem::path& image);

// Process the images and write their results. An image that fails is listed in the summary.
Summary run_pipeline(const std::vector<std::filesystem::path>& images, Engine& engine, const Description& description,
                     const Options& options);

}  // namespace dlinknet
