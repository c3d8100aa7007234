// Writes probabilities, masks and times. A file is complete or absent.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace dlinknet {

// Write bytes under a temporary name, then rename the file. Throw std::runtime_error with the file and the reason.
void write_whole(const std::filesystem::path& file, const void* data, size_t size);

// Write H x W values as an 8-bit grey PNG. Throw as write_whole() does.
void write_png(const std::filesystem::path& file, const std::vector<unsigned char>& pixels, int height, int width);

// Write times.txt: images, images_per_second, and mean_ms, median_ms and p90_ms of the network's time per image.
void write_times(const std::filesystem::path& folder, std::vector<double> network_ms, double seconds);

}  // namespace dlinknet
