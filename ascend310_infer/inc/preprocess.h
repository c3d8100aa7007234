// Converts pixels to network input, as dlinknet/data/preprocess.py does.
#pragma once

#include <array>
#include <cstdint>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace dlinknet {

constexpr int kStride = 32;  // the encoder halves the size five times, so sides are multiples of 32

// Decode a JPEG, PNG, TIFF, BMP or WebP file to H x W x 3 uint8 BGR with the file's values. Alpha and further bands are left out.
// EXIF rotation is ignored, as in training. Throw ImageError with the reason.
cv::Mat decode(const std::string& bytes);

// Return height x width pixels of an image from (top, left) on. Beyond the image, they are padded by reflection.
cv::Mat tile_of(const cv::Mat& image, int top, int left, int height, int width);

// Return the input for each of the 256 pixel values: value / 255 * scale + shift, rounded once to float32.
std::array<float, 256> pixel_table(double scale, double shift);

// One such table each for blue, green and red.
using Tables = std::array<std::array<float, 256>, 3>;
Tables pixel_tables(double scale, const std::array<double, 3>& shift);

// Convert H x W x 3 uint8 to 3 x H x W float32 with these tables. `planes` must have room for 3 * H * W values.
void to_planes(const cv::Mat& pixels, const Tables& tables, float* planes);

// Return an image at another size, as Python's `resized` does: by area averages if it becomes smaller, else bilinearly.
cv::Mat resized(const cv::Mat& image, int height, int width);

// Resize `classes` maps of height x width, one after another, to own_height x own_width. The interpolation is bilinear.
std::vector<float> resized_maps(std::vector<float>& maps, int classes, int height, int width, int own_height, int own_width);

}  // namespace dlinknet
