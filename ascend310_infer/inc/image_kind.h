// The kind of an image file, by its first bytes.
#pragma once

#include <cstdint>
#include <string>

namespace dlinknet {

enum class ImageKind { kJpeg, kPng, kTiff, kBmp, kWebp };

// Return the kind of an image file. Throw ImageError if this program does not decode the file. The
// message names its kind: another image format, a Git LFS pointer, a web page, an empty file.
ImageKind kind_of(const std::string& bytes);

// Throw ImageError if an image has more pixels than OpenCV decodes.
void check_size(uint64_t width, uint64_t height);

// Throw ImageError: a header claims more pixels than the bytes can hold.
[[noreturn]] void fail_claim(uint64_t bytes, uint64_t width, uint64_t height);

}  // namespace dlinknet
