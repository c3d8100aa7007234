// What is written: probabilities, masks, times. Files appear whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace dlinknet {

// Writes bytes under a temporary name and renames it. Throws std::runtime_error with file and reason.
void write_whole(const std::filesystem::path& file, const void* data, size_t size);

// Writes H x W values of 0 and 255 as an 8-bit grey PNG. Throws as write_whole.
void write_png(const std::filesystem::path& file, const std::vector<unsigned char>& pixels, int height, int width);

// times.txt: images, images_per_second, mean_ms, median_ms, p90_ms of the network's time for an image.
void write_times(const std::filesystem::path& folder, std::vector<double> network_ms, double seconds);

}  // namespace dlinknet
