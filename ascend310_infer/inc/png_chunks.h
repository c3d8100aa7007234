// The chunks of a PNG file.
#pragma once

#include <string>

namespace dlinknet {

// Return a PNG with only those chunks that make its pixels: colour profiles and EXIF change none,
// and libpng prints warnings of them. Throw ImageError if a chunk is incomplete, a checksum is
// wrong, the end is missing, a channel has 16 bits, or the data are too short for the size.
std::string pixels_only_png(const std::string& bytes);

}  // namespace dlinknet
