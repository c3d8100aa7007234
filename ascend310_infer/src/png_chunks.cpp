#include "png_chunks.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <string_view>

#include "errors.h"
#include "image_kind.h"

namespace dlinknet {

namespace {

constexpr size_t kSignature = 8;  // bytes
constexpr size_t kAround = 12;    // bytes of a chunk besides its data
constexpr uint32_t kHeaderLength = 13;
constexpr uint64_t kMostInflated = 1032;  // the most bytes that Deflate makes of one byte

uint32_t big_endian(const char* from) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<unsigned char>(from[i]);
  }
  return value;
}

struct Chunk {
  std::string_view type, data, whole;
};

// Return the chunk that begins at `at`.
Chunk read_chunk(std::string_view bytes, size_t at) {
  const std::string_view rest = bytes.substr(at);
  if (rest.size() < kAround || big_endian(rest.data()) > rest.size() - kAround) {
    throw ImageError("truncated");
  }
  const uint32_t length = big_endian(rest.data());
  const Chunk chunk{rest.substr(4, 4), rest.substr(8, length), rest.substr(0, kAround + length)};
  if (!std::all_of(chunk.type.begin(), chunk.type.end(),
                   [](unsigned char letter) { return letter < 128 && std::isalpha(letter); })) {
    throw ImageError("damaged: a chunk of the PNG has no name");
  }
  const auto* checked = reinterpret_cast<const Bytef*>(chunk.type.data());
  if (crc32_z(0, checked, 4 + size_t{length}) != big_endian(rest.data() + 8 + length)) {
    throw ImageError("damaged: a checksum is wrong; copy or download it again");
  }
  return chunk;
}

// The content of a PNG's first chunk.
struct Header {
  uint32_t width, height;
  uint64_t row_bytes;
};

Header read_header(const Chunk& chunk) {
  if (chunk.type != "IHDR" || chunk.data.size() != kHeaderLength) {
    throw ImageError("damaged: the PNG has no header");
  }
  const Header header{big_endian(chunk.data.data()), big_endian(chunk.data.data() + 4), 0};
  const auto bits = static_cast<unsigned char>(chunk.data[8]);
  const auto colour = static_cast<unsigned char>(chunk.data[9]);
  if (bits > 8) {
    throw ImageError("not 8 bits a channel (" + std::to_string(bits) + "); save it with 8");
  }
  check_size(header.width, header.height);
  constexpr std::array<unsigned, 7> kChannels{1, 0, 3, 1, 2, 0, 4};  // by colour type
  const unsigned channels = colour < kChannels.size() ? kChannels[colour] : 0;
  return {header.width, header.height, (uint64_t{header.width} * bits * channels + 7) / 8};
}

void check_known(const Chunk& chunk) {
  for (const char* const known : {"IHDR", "PLTE", "IDAT", "IEND"}) {
    if (chunk.type == known) {
      return;
    }
  }
  throw ImageError("not a PNG that is read: its chunk " + std::string(chunk.type) + " is unknown");
}

}  // namespace

std::string pixels_only_png(const std::string& bytes) {
  Chunk chunk = read_chunk(bytes, kSignature);
  const Header header = read_header(chunk);
  std::string kept = bytes.substr(0, kSignature);
  uint64_t compressed = 0;
  for (size_t at = kSignature;; at += chunk.whole.size()) {
    chunk = read_chunk(bytes, at);
    if (std::isupper(static_cast<unsigned char>(chunk.type[0])) != 0) {  // a chunk that determines pixels
      check_known(chunk);
      kept += chunk.whole;
    }
    if (chunk.type == "IDAT") {
      compressed += chunk.data.size();
    }
    if (chunk.type == "IEND") {
      break;
    }
  }
  if (compressed * kMostInflated < header.row_bytes * header.height) {
    fail_claim(bytes.size(), header.width, header.height);
  }
  return kept;
}

}  // namespace dlinknet
