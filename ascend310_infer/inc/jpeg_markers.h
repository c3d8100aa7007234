// The markers of a JPEG file.
#pragma once

#include <string>

namespace dlinknet {

// Throw ImageError if a JPEG is truncated, which OpenCV fills up without a word, or has too few
// bytes for the size in its header.
void check_jpeg(const std::string& bytes);

}  // namespace dlinknet
