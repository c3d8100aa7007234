#include "jpeg_markers.h"

#include <cstdint>

#include "errors.h"
#include "image_kind.h"

namespace dlinknet {

namespace {

constexpr uint64_t kMostPixels = 512;  // of one byte: each 8 x 8 block has at least one bit

unsigned byte_at(const std::string& bytes, size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

unsigned two_bytes(const std::string& bytes, size_t at) {
  return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}

// Return whether a frame has Huffman codes. Frames with arithmetic codes have no minimum size.
bool is_huffman_frame(unsigned marker) { return marker >= 0xC0 && marker <= 0xC2; }

// Check the first frame's size. The decoder reports a damaged sequence of markers.
void check_frame(const std::string& bytes) {
  size_t at = 2;
  while (at + 9 <= bytes.size() && byte_at(bytes, at) == 0xFF) {
    const unsigned marker = byte_at(bytes, at + 1);
    if (marker == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    if (is_huffman_frame(marker)) {
      const unsigned height = two_bytes(bytes, at + 5), width = two_bytes(bytes, at + 7);
      check_size(width, height);
      if (uint64_t{width} * height / kMostPixels > bytes.size()) {
        fail_claim(bytes.size(), width, height);
      }
      return;
    }
    at += 2 + two_bytes(bytes, at + 2);
  }
}

}  // namespace

void check_jpeg(const std::string& bytes) {
  // A JPEG ends in FF D9, after the scans. A scan begins with FF DA.
  const size_t scan = bytes.rfind("\xFF\xDA"), end = bytes.rfind("\xFF\xD9");
  if (scan == std::string::npos || end == std::string::npos || end < scan) {
    throw ImageError("truncated");
  }
  check_frame(bytes);
}

}  // namespace dlinknet
