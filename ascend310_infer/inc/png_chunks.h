// The chunks of a PNG file.
#pragma once

#include <string>

namespace dlinknet {

// Return a PNG with only those chunks that make its colours: profiles, EXIF and transparency change
// none, and libpng prints warnings of them. Throw ImageError if a chunk is incomplete or unknown, a
// checksum is wrong, the end is missing, a channel has 16 bits, or the size in the header is too
// large for OpenCV or for the data.
std::string pixels_only_png(const std::string& bytes);

}  // namespace dlinknet
