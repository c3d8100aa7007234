// Reads TIFF files with libtiff. OpenCV's own reader multiplies colours by a fourth band. If it
// cannot decompress a block, it returns black or noise without an error.
#pragma once

#include <opencv2/core.hpp>
#include <string>

namespace dlinknet {

// Return the first page as H x W x 3 uint8 BGR, with the values that are in the file. Bands after
// the third of RGB are left out. Throw ImageError with the reason if the page has other than 8-bit
// colours or grey, cannot be decompressed completely, has an Orientation tag that turns it, or is
// followed by pages of the same size.
cv::Mat decode_tiff(const std::string& bytes);

}  // namespace dlinknet
