// TIFF files, by libtiff. OpenCV's own reader multiplies colours by a fourth band, and returns
// black or noise without an error if it cannot decompress a block.
#pragma once

#include <opencv2/core.hpp>
#include <string>

namespace dlinknet {

// Return the first page as H x W x 3 uint8 BGR, with the values that are in the file; bands after
// the third of RGB are left out. Throw ImageError with the reason if the page has other than 8-bit
// colours or grey, cannot be decompressed whole, is turned, or is followed by pages of its size.
cv::Mat decode_tiff(const std::string& bytes);

}  // namespace dlinknet
