#include "preprocess.h"

#include <algorithm>
#include <limits>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "errors.h"
#include "image_kind.h"
#include "jpeg_markers.h"
#include "png_chunks.h"
#include "tiff_image.h"

namespace dlinknet {

namespace {

cv::Mat decode_by_opencv(const std::string& bytes) {
  if (bytes.size() > std::numeric_limits<int>::max()) {
    throw ImageError("larger than 2 GB");
  }
  cv::Mat image;
  try {
    const cv::Mat data(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));  // OpenCV only reads it
    image = cv::imdecode(data, cv::IMREAD_COLOR | cv::IMREAD_ANYDEPTH | cv::IMREAD_IGNORE_ORIENTATION);
  } catch (const cv::Exception&) {      // its text names lines of OpenCV's source
    throw ImageError("cannot be decoded");
  }
  if (image.empty()) {
    throw ImageError("cannot be decoded");
  }
  if (image.type() != CV_8UC3) {
    throw ImageError("more than 8 bits a channel");
  }
  return image;
}

}  // namespace

cv::Mat decode(const std::string& bytes) {
  switch (kind_of(bytes)) {
    case ImageKind::kTiff:
      return decode_tiff(bytes);
    case ImageKind::kPng:
      return decode_by_opencv(pixels_only_png(bytes));
    case ImageKind::kJpeg:
      check_jpeg(bytes);
      return decode_by_opencv(bytes);
    default:
      return decode_by_opencv(bytes);
  }
}

cv::Mat tile_of(const cv::Mat& image, int top, int left, int height, int width) {
  const int rows = std::min(height, image.rows - top), columns = std::min(width, image.cols - left);
  const cv::Mat part = image(cv::Rect(left, top, columns, rows));
  if (rows == height && columns == width) {
    return part;
  }
  cv::Mat padded;
  // A side of one pixel has nothing to reflect. Without BORDER_ISOLATED, OpenCV would read pixels outside of the part.
  const int kind = std::min(rows, columns) > 1 ? cv::BORDER_REFLECT_101 : cv::BORDER_REPLICATE;
  cv::copyMakeBorder(part, padded, 0, height - rows, 0, width - columns, kind | cv::BORDER_ISOLATED);
  return padded;
}

std::array<float, 256> pixel_table(double scale, double shift) {
  std::array<float, 256> table{};
  for (int value = 0; value < 256; ++value) {
    table[value] = static_cast<float>(value / 255.0 * scale + shift);
  }
  return table;
}

Tables pixel_tables(double scale, const std::array<double, 3>& shift) {
  return {pixel_table(scale, shift[0]), pixel_table(scale, shift[1]), pixel_table(scale, shift[2])};
}

cv::Mat resized(const cv::Mat& image, int height, int width) {
  if (image.rows == height && image.cols == width) {
    return image;
  }
  const bool smaller = static_cast<int64_t>(height) * width < static_cast<int64_t>(image.rows) * image.cols;
  cv::Mat found;
  cv::resize(image, found, cv::Size(width, height), 0, 0, smaller ? cv::INTER_AREA : cv::INTER_LINEAR);
  return found;
}

std::vector<float> resized_maps(std::vector<float>& maps, int classes, int height, int width, int own_height, int own_width) {
  std::vector<float> found(static_cast<size_t>(classes) * own_height * own_width);
  for (int map = 0; map < classes; ++map) {
    const cv::Mat from(height, width, CV_32F, maps.data() + static_cast<size_t>(map) * height * width);
    cv::Mat to(own_height, own_width, CV_32F, found.data() + static_cast<size_t>(map) * own_height * own_width);
    cv::resize(from, to, to.size(), 0, 0, cv::INTER_LINEAR);
  }
  return found;
}

void to_planes(const cv::Mat& pixels, const Tables& tables, float* planes) {
  const size_t area = static_cast<size_t>(pixels.rows) * pixels.cols;
  for (int row = 0; row < pixels.rows; ++row) {
    const unsigned char* from = pixels.ptr<unsigned char>(row);
    float* to = planes + static_cast<size_t>(row) * pixels.cols;
    for (int column = 0; column < pixels.cols; ++column, from += 3, ++to) {
      to[0] = tables[0][from[0]];
      to[area] = tables[1][from[1]];
      to[2 * area] = tables[2][from[2]];
    }
  }
}

}  // namespace dlinknet
