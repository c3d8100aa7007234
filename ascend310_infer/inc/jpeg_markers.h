// The markers of a JPEG file.
#pragma once

#include <string>

namespace dlinknet {

// Throw ImageError if a JPEG is truncated, or has too few bytes for the size in its header. OpenCV
// fills the missing part of a truncated JPEG and reports no error.
void check_jpeg(const std::string& bytes);

}  // namespace dlinknet
