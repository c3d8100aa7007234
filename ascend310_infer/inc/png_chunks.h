// The chunks of a PNG file.
#pragma once

#include <string>

namespace dlinknet {

// Return a PNG with only the chunks that determine its colours. Profiles, EXIF and transparency do
// not, and libpng prints warnings about them. Throw ImageError if a chunk is incomplete or unknown, a
// checksum is wrong, the end is missing, a channel has 16 bits, or the size in the header is too
// large for OpenCV or for the data.
std::string pixels_only_png(const std::string& bytes);

}  // namespace dlinknet
