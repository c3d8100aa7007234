// Finds the roads in images with an exported model: on an Ascend with MindSpore or AscendCL, or on any CPU with OpenCV.

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <iostream>

#include "description.h"
#include "engine.h"
#include "errors.h"
#include "options.h"
#include "pipeline.h"
#include "results.h"

namespace {

using dlinknet::UserError;

void make_folder(const char* option, const std::filesystem::path& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed || !std::filesystem::is_directory(folder)) {
    throw UserError(std::string(option) + ": cannot make the folder " + folder.string() +
                    (failed ? ": " + failed.message() : ": it is a file"));
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    throw UserError(std::string(option) + ": cannot write to " + folder.string());
  }
}

// Masks would overwrite the true masks if these lie beside the images.
void refuse_the_images_folder(const dlinknet::Options& options) {
  std::error_code failed;
  const std::filesystem::path folder = std::filesystem::is_directory(options.images, failed) ? options.images : options.images.parent_path();
  if (std::filesystem::equivalent(folder.empty() ? "." : folder, options.results, failed)) {
    throw UserError("--results: " + options.results.string() + " is the folder of the images; name another folder");
  }
}

int run(int count, const char* const* words) {
  const dlinknet::Options options = dlinknet::parse_options(count, words);
  if (options.help) {
    std::printf("%s\nComputes with %s.\n", dlinknet::kUsage, dlinknet::engine_name());
    return 0;
  }
  const dlinknet::Description description = dlinknet::read_description(options.model);
  const auto images = dlinknet::find_images(options.images);
  make_folder("--results", options.results);
  make_folder("--times", options.times);
  refuse_the_images_folder(options);
  const auto engine = dlinknet::open_engine(options, description);
  std::printf("%s of %dx%d by %s, %zu images\n", description.model.c_str(), description.width, description.height,
              dlinknet::engine_name(), images.size());
  std::fflush(stdout);
  const dlinknet::Summary summary = dlinknet::run_pipeline(images, *engine, description, options);
  for (const std::string& fault : summary.faults) {
    std::fprintf(stderr, "left out %s\n", fault.c_str());
  }
  std::printf("%zu of %zu images done in %.2f s, %.2f images/s; results are in %s\n", summary.done, images.size(), summary.seconds,
              static_cast<double>(summary.done) / summary.seconds, options.results.c_str());
  std::fflush(stdout);
  dlinknet::write_times(options.times, summary.network_ms, summary.seconds);
  if (!summary.faults.empty()) {
    std::fprintf(stderr, "dlinknet_infer: error: %zu of %zu images failed\n", summary.faults.size(), images.size());
    return 1;
  }
  return 0;
}

}  // namespace

int main(int count, char** words) {
  std::cerr.setstate(std::ios::failbit);  // OpenCV prints its own lines to std::cerr
  try {
    return run(count, words);
  } catch (const UserError& error) {
    std::fprintf(stderr, "dlinknet_infer: error: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dlinknet_infer: error: %s\n", dlinknet::one_line(error.what()).c_str());
    return 1;
  }
}
