// What kind of file some bytes are, by how they begin.
#pragma once

#include <string>

namespace dlinknet {

enum class ImageKind { kJpeg, kPng, kTiff, kBmp, kWebp };

// Return the kind of an image that this program decodes. Throw ImageError with the name of what the
// bytes are otherwise: another image format, a Git LFS pointer, a web page, an empty file.
ImageKind kind_of(const std::string& bytes);

// Throw ImageError if an image of this size has more pixels than this program decodes.
void check_pixel_count(unsigned long long width, unsigned long long height);

}  // namespace dlinknet
