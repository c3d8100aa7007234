// Pixels -> network input, as dlinknet/data/preprocess.py does it.
#pragma once

#include <array>
#include <cstdint>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace dlinknet {

constexpr int kStride = 32;  // the encoder halves five times, so sides are multiples of 32

// The bytes of a JPEG, PNG, TIFF, BMP or WebP file -> H x W x 3 uint8 BGR, as they are in the file: alpha and further bands are
// left out. A turn in EXIF is not followed, as in training. Throws ImageError with the reason.
cv::Mat decode(const std::string& bytes);

// The part of an image from (top, left) on, padded at the bottom and the right by reflection to height x width.
cv::Mat tile_of(const cv::Mat& image, int top, int left, int height, int width);

// What each of the 256 pixel values becomes: value / 255 * scale + shift, rounded once to float32.
std::array<float, 256> pixel_table(double scale, double shift);

// Such a table for blue, green and red.
using Tables = std::array<std::array<float, 256>, 3>;
Tables pixel_tables(double scale, const std::array<double, 3>& shift);

// H x W x 3 uint8 -> 3 x H x W float32 by these tables; `planes` has room for 3 * H * W.
void to_planes(const cv::Mat& pixels, const Tables& tables, float* planes);

// An image at another size, as Python's `resized` has it: the means of what a pixel covers where it becomes smaller, else bilinear.
cv::Mat resized(const cv::Mat& image, int height, int width);

// classes maps of height x width, one after the other, brought to another size bilinearly.
std::vector<float> resized_maps(std::vector<float>& maps, int classes, int height, int width, int own_height, int own_width);

}  // namespace dlinknet
