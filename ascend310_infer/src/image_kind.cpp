#include "image_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "errors.h"

namespace dlinknet {

namespace {

using std::string_view_literals::operator""sv;

constexpr uint64_t kMostPixels = 1 << 30;  // the most that OpenCV decodes
constexpr uint64_t kMostSide = 1 << 20;

struct Signature {
  size_t at;  // its offset in the file
  std::string_view begin;
};

struct Known {
  Signature signature;
  ImageKind kind;
};

struct Foreign {
  Signature signature;
  const char* name;
};

constexpr std::array<Known, 8> kKnown{{
    {{0, "\xFF\xD8\xFF"sv}, ImageKind::kJpeg},
    {{0, "\x89PNG\r\n\x1A\n"sv}, ImageKind::kPng},
    {{0, "II*\0"sv}, ImageKind::kTiff},
    {{0, "MM\0*"sv}, ImageKind::kTiff},
    {{0, "II+\0"sv}, ImageKind::kTiff},
    {{0, "MM\0+"sv}, ImageKind::kTiff},
    {{8, "WEBP"sv}, ImageKind::kWebp},
    {{0, "BM"sv}, ImageKind::kBmp},
}};

constexpr std::array<Foreign, 34> kForeign{{
    {{0, "GIF8"sv}, "GIF"},
    {{0, "\0\0\0\x0CjP  "sv}, "JPEG 2000"},
    {{0, "\xFF\x4F\xFF\x51"sv}, "JPEG 2000"},
    {{4, "ftypavif"sv}, "AVIF"},
    {{4, "ftypavis"sv}, "AVIF"},
    {{4, "ftyphei"sv}, "HEIC"},
    {{4, "ftypmif1"sv}, "HEIF"},
    {{4, "ftyp"sv}, "MP4"},
    {{0, "\xFF\x0A"sv}, "JPEG XL"},
    {{0, "\0\0\0\x0CJXL "sv}, "JPEG XL"},
    {{0, "II\xBC\x01"sv}, "JPEG XR"},
    {{0, "%!PS"sv}, "EPS"},
    {{0, "\xC5\xD0\xD3\xC6"sv}, "EPS"},
    {{0, "%PDF"sv}, "PDF"},
    {{0, "8BPS"sv}, "Photoshop"},
    {{0, "qoif"sv}, "QOI"},
    {{0, "\0\0\1\0"sv}, "ICO"},
    {{0, "\0\0\2\0"sv}, "ICO"},
    {{0, "icns"sv}, "ICNS"},
    {{0, "DDS "sv}, "DDS"},
    {{0, "\x76\x2F\x31\x01"sv}, "OpenEXR"},
    {{0, "#?RADIANCE"sv}, "Radiance HDR"},
    {{0, "SIMPLE  ="sv}, "FITS"},
    {{0, "NITF"sv}, "NITF"},
    {{0, "\x89HDF"sv}, "HDF5"},
    {{0, "CDF\1"sv}, "NetCDF"},
    {{0, "CDF\2"sv}, "NetCDF"},
    {{0, "\x93NUMPY"sv}, "NumPy"},
    {{0, "PK\3\4"sv}, "ZIP"},
    {{0, "\x1F\x8B"sv}, "gzip"},
    {{0, "P5"sv}, "PGM"},
    {{0, "P6"sv}, "PPM"},
    {{0, "P7"sv}, "PAM"},
    {{0, "<svg"sv}, "SVG"},
}};

bool fits(const std::string& bytes, const Signature& signature) {
  return bytes.compare(std::min(signature.at, bytes.size()), signature.begin.size(),
                       signature.begin.data(), signature.begin.size()) == 0;
}

bool is_web_page(const std::string& bytes) {
  std::string begin = bytes.substr(0, 1000);
  std::transform(begin.begin(), begin.end(), begin.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return begin.find("<html") != std::string::npos ||
         begin.find("<!doctype html") != std::string::npos;
}

}  // namespace

ImageKind kind_of(const std::string& bytes) {
  if (bytes.empty()) {
    throw ImageError("is empty; download or copy it again");
  }
  for (const Known& known : kKnown) {
    if (fits(bytes, known.signature)) {
      return known.kind;
    }
  }
  if (fits(bytes, {0, "version https://git-lfs.github.com/"sv})) {
    throw ImageError("is a Git LFS pointer, not the file itself; run: git lfs pull");
  }
  for (const Foreign& foreign : kForeign) {
    if (fits(bytes, foreign.signature)) {
      throw ImageError(std::string("is ") + foreign.name +
                       ", which is not read; save it as PNG or TIFF");
    }
  }
  if (is_web_page(bytes)) {
    throw ImageError("is a web page, not the file itself; download the file again");
  }
  throw ImageError("is no image");
}

void check_size(uint64_t width, uint64_t height) {
  if (std::max(width, height) > kMostSide || width * height > kMostPixels) {
    throw ImageError(std::to_string(width) + "x" + std::to_string(height) +
                     " pixels are too many (at most " + std::to_string(kMostPixels) + " and " +
                     std::to_string(kMostSide) + " a side); cut it into parts");
  }
}

void fail_claim(uint64_t bytes, uint64_t width, uint64_t height) {
  throw ImageError("truncated: " + std::to_string(bytes) + " bytes cannot hold " +
                   std::to_string(width) + "x" + std::to_string(height) + " pixels");
}

}  // namespace dlinknet
