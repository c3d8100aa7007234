#include "tiff_image.h"

#include <tiffio.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "errors.h"
#include "image_kind.h"

namespace dlinknet {

namespace {

constexpr uint64_t kMostBlock = 1ULL << 28;  // the most bytes of a tile, or of a row
constexpr const char* kSaveGrey =
    "; save it as grey: gdal_translate -b 1 -co PHOTOMETRIC=MINISBLACK";
constexpr const char* kChooseThree =
    "; choose three of them: gdal_translate -b 1 -b 2 -b 3 -co PHOTOMETRIC=RGB";
constexpr int kMostPages = 64;               // the most pages that are examined

// The input of libtiff: bytes in memory.
struct Source {
  const std::string& bytes;
  uint64_t position = 0;
};

Source& source(thandle_t handle) { return *static_cast<Source*>(handle); }

tmsize_t read_bytes(thandle_t handle, void* to, tmsize_t wanted) {
  Source& from = source(handle);
  const uint64_t size = from.bytes.size(), left = size - std::min(size, from.position);
  const uint64_t count = std::min<uint64_t>(left, wanted > 0 ? static_cast<uint64_t>(wanted) : 0);
  std::memcpy(to, from.bytes.data() + (size - left), count);
  from.position += count;
  return static_cast<tmsize_t>(count);
}

tmsize_t write_nothing(thandle_t, void*, tmsize_t) { return 0; }

toff_t seek(thandle_t handle, toff_t offset, int whence) {
  Source& from = source(handle);
  const uint64_t end = from.bytes.size();
  const uint64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? from.position : end;
  from.position = base + offset;
  return from.position;
}

int close_nothing(thandle_t) { return 0; }

toff_t size_of(thandle_t handle) { return source(handle).bytes.size(); }

// Let libtiff read the bytes in place. It copies no block, so blocks that overlap cost nothing.
int map_bytes(thandle_t handle, void** base, toff_t* size) {
  *base = const_cast<char*>(source(handle).bytes.data());
  *size = source(handle).bytes.size();
  return 1;
}

void unmap_nothing(thandle_t, void*, toff_t) {}

using File = std::unique_ptr<TIFF, decltype(&TIFFClose)>;

template <typename Value>
Value field(TIFF* tiff, uint32_t tag, Value otherwise) {
  Value value = otherwise;
  return TIFFGetFieldDefaulted(tiff, tag, &value) == 1 ? value : otherwise;
}

// The tags of a page.
struct Page {
  uint32_t width, height;
  uint16_t bits, bands, format, photometric, planes, compression, orientation;
  std::vector<uint16_t> extra;  // the kind of each band after the colours
  bool tiled;
  bool contiguous() const { return planes == PLANARCONFIG_CONTIG; }
};

Page read_tags(TIFF* tiff) {
  Page page{};
  page.width = field<uint32_t>(tiff, TIFFTAG_IMAGEWIDTH, 0);
  page.height = field<uint32_t>(tiff, TIFFTAG_IMAGELENGTH, 0);
  page.bits = field<uint16_t>(tiff, TIFFTAG_BITSPERSAMPLE, 1);
  page.bands = field<uint16_t>(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  page.format = field<uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
  page.photometric = field<uint16_t>(tiff, TIFFTAG_PHOTOMETRIC, UINT16_MAX);
  page.planes = field<uint16_t>(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  page.compression = field<uint16_t>(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  page.orientation = field<uint16_t>(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  page.tiled = TIFFIsTiled(tiff) != 0;
  uint16_t count = 0;
  uint16_t* extra = nullptr;
  if (TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &count, &extra) == 1 && extra != nullptr) {
    page.extra.assign(extra, extra + count);
  }
  return page;
}

void check_values(const Page& page) {
  const std::string scale = ": gdal_translate -ot Byte -scale", bits = std::to_string(page.bits);
  if (page.format == SAMPLEFORMAT_IEEEFP) {
    throw ImageError("float values of " + bits + " bits; scale it to 8 bits" + scale);
  }
  if (page.format == SAMPLEFORMAT_INT) {
    throw ImageError("signed values of " + bits + " bits; scale it to unsigned 8 bits" + scale);
  }
  if (page.format != SAMPLEFORMAT_UINT && page.format != SAMPLEFORMAT_VOID) {
    throw ImageError("complex values; scale its parts to 8 bits" + scale);
  }
  if (page.bits > 8) {
    throw ImageError("not 8 bits a channel (" + bits + "); scale it to 8 bits" + scale);
  }
  if (page.bits < 8) {
    throw ImageError(bits + (page.bits == 1 ? " bit" : " bits") +
                     " a channel; save it with 8: gdal_translate -co NBITS=8");
  }
}

void check_compression(uint16_t compression) {
  if (compression != COMPRESSION_OJPEG && TIFFIsCODECConfigured(compression) == 1) {
    return;
  }
  static const std::map<uint16_t, const char*> kNames{
      {COMPRESSION_OJPEG, "old-style JPEG"}, {33003, "JPEG 2000"}, {33005, "JPEG 2000"},
      {34712, "JPEG 2000"},  {34887, "LERC"}, {34925, "LZMA"},      {34933, "PNG"},
      {34934, "JPEG XR"},    {50000, "ZSTD"}, {50001, "WebP"},      {50002, "JPEG XL"},
      {52546, "JPEG XL"}};
  const auto name = kNames.find(compression);
  throw ImageError("compression " +
                   (name != kNames.end() ? name->second : std::to_string(compression)) +
                   ", which is not read; save it with another: "
                   "gdal_translate -co COMPRESS=DEFLATE");
}

[[noreturn]] void fail_bands(uint16_t bands, const std::string& what, const char* remedy) {
  throw ImageError(std::to_string(bands) + (bands == 1 ? " band" : " bands") + what + remedy);
}

void check_colours(const Page& page) {
  const uint16_t bands = page.bands;
  if (std::count(page.extra.begin(), page.extra.end(), EXTRASAMPLE_ASSOCALPHA) > 0) {
    throw ImageError(std::string("colours multiplied by their alpha; save the colours alone: ") +
                     (bands < 3 ? "gdal_translate -b 1" : "gdal_translate -b 1 -b 2 -b 3"));
  }
  switch (page.photometric) {
    case PHOTOMETRIC_RGB:
      if (bands < 3) {
        fail_bands(bands, " marked as RGB", kSaveGrey);
      }
      return;
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_PALETTE:
      if (bands > 2) {
        fail_bands(bands, " that are not marked as colours", kChooseThree);
      }
      if (bands == 2 && page.photometric != PHOTOMETRIC_MINISBLACK) {
        const bool palette = page.photometric == PHOTOMETRIC_PALETTE;
        fail_bands(bands, palette ? " marked as palette" : " marked as grey", kSaveGrey);
      }
      return;
    case PHOTOMETRIC_YCBCR:
      if (page.compression != COMPRESSION_JPEG || bands != 3 || !page.contiguous()) {
        throw ImageError("YCbCr colours without JPEG compression; save it as RGB");
      }
      return;
    case PHOTOMETRIC_SEPARATED:
      throw ImageError("CMYK colours; save it as RGB");
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
    case PHOTOMETRIC_ITULAB:
      throw ImageError("Lab colours; save it as RGB");
    default:
      throw ImageError("its TIFF does not say that it is RGB or grey; save it as RGB");
  }
}

// Return the most bytes that a compression makes of one byte; 0 if there is no limit.
uint64_t most_decoded(uint16_t compression) {
  switch (compression) {
    case COMPRESSION_NONE:
      return 1;
    case COMPRESSION_PACKBITS:
      return 64;
    case COMPRESSION_LZW:
      return 4096;
    case COMPRESSION_DEFLATE:
    case COMPRESSION_ADOBE_DEFLATE:
      return 1032;
    case COMPRESSION_JPEG:
      return 2048;  // one bit per 64 values; a colour's value covers up to 4 x 4 pixels
    default:
      return 0;
  }
}

void check_blocks(TIFF* tiff, const Page& page, uint64_t size) {
  const uint32_t count = page.tiled ? TIFFNumberOfTiles(tiff) : TIFFNumberOfStrips(tiff);
  uint64_t stored = 0;
  for (uint32_t block = 0; block < count; ++block) {
    const uint64_t offset = TIFFGetStrileOffset(tiff, block);
    const uint64_t bytes = TIFFGetStrileByteCount(tiff, block);
    if (offset == 0 || bytes == 0) {
      throw ImageError("parts of it are not stored (a sparse TIFF); fill them: "
                       "gdal_translate -co SPARSE_OK=FALSE");
    }
    if (offset > size || bytes > size - offset) {
      throw ImageError("truncated");
    }
    stored += bytes;
  }
  const uint64_t raw = uint64_t{page.width} * page.height * page.bands;
  const uint64_t row = page.tiled ? TIFFTileSize64(tiff) : TIFFScanlineSize64(tiff);
  const uint64_t ratio = most_decoded(page.compression);
  const uint64_t whole = page.tiled || ratio != 0 ? row : TIFFStripSize64(tiff);
  if (row == 0) {
    throw ImageError("damaged: the TIFF says no size of its tiles or rows");
  }
  if (std::max(row, whole) > kMostBlock) {
    throw ImageError("blocks of more than " + std::to_string(kMostBlock >> 20) +
                     " MB in the TIFF; write it in tiles of 256 pixels");
  }
  if (ratio != 0 && raw / ratio > stored) {
    fail_claim(size, page.width, page.height);
  }
}

// Return the blue, green and red of each value, for a page with one band of grey or of a palette.
std::array<cv::Vec3b, 256> value_colours(TIFF* tiff, const Page& page) {
  std::array<cv::Vec3b, 256> colours;
  for (int value = 0; value < 256; ++value) {
    colours[value] = cv::Vec3b::all(static_cast<unsigned char>(
        page.photometric == PHOTOMETRIC_MINISWHITE ? 255 - value : value));
  }
  if (page.photometric != PHOTOMETRIC_PALETTE) {
    return colours;
  }
  std::array<uint16_t*, 3> map{};
  if (TIFFGetField(tiff, TIFFTAG_COLORMAP, &map[0], &map[1], &map[2]) != 1) {
    throw ImageError("damaged: a palette is missing in the TIFF");
  }
  // Some programs write 8 bits where TIFF has 16.
  const bool small = std::all_of(map.begin(), map.end(), [](const uint16_t* from) {
    return std::all_of(from, from + 256, [](uint16_t value) { return value < 256; });
  });
  for (int value = 0; value < 256; ++value) {
    for (int channel = 0; channel < 3; ++channel) {
      const uint16_t entry = map[2 - channel][value];
      colours[value][channel] = static_cast<unsigned char>(small ? entry : entry >> 8);
    }
  }
  return colours;
}

// Copies decoded rows into an image.
class Painter {
 public:
  Painter(TIFF* tiff, const Page& page, cv::Mat* image)
      : coloured_(page.photometric == PHOTOMETRIC_RGB || page.photometric == PHOTOMETRIC_YCBCR),
        step_(page.contiguous() ? page.bands : 1),
        image_(image) {
    if (!coloured_) {
      colours_ = value_colours(tiff, page);
    }
  }

  // Return how often each block is read: once for each plane that holds a colour.
  int planes(const Page& page) const { return page.contiguous() || !coloured_ ? 1 : 3; }

  // Copy rows of a block. `from` holds all bands, or those of one plane.
  void put(const unsigned char* from, size_t row_bytes, int plane, const cv::Rect& where) {
    for (int row = 0; row < where.height; ++row, from += row_bytes) {
      put_row(from, plane, image_->ptr<cv::Vec3b>(where.y + row) + where.x, where.width);
    }
  }

 private:
  void put_row(const unsigned char* from, int plane, cv::Vec3b* to, int width) const {
    for (int column = 0; column < width; ++column, from += step_) {
      if (!coloured_) {
        to[column] = colours_[from[0]];
      } else if (step_ == 1) {
        to[column][2 - plane] = from[0];
      } else {
        to[column] = cv::Vec3b(from[2], from[1], from[0]);
      }
    }
  }

  const bool coloured_;
  const int step_;  // bytes from a pixel to the next
  cv::Mat* const image_;
  std::array<cv::Vec3b, 256> colours_;
};

[[noreturn]] void fail_decoding() {
  throw ImageError("damaged: parts of it cannot be decompressed");
}

void read_strips(TIFF* tiff, const Page& page, Painter& painter) {
  std::vector<unsigned char> row(TIFFScanlineSize64(tiff));
  const int width = static_cast<int>(page.width);
  for (int plane = 0; plane < painter.planes(page); ++plane) {
    for (uint32_t top = 0; top < page.height; ++top) {
      if (TIFFReadScanline(tiff, row.data(), top, static_cast<uint16_t>(plane)) != 1) {
        fail_decoding();
      }
      painter.put(row.data(), row.size(), plane, cv::Rect(0, static_cast<int>(top), width, 1));
    }
  }
}

void read_tiles(TIFF* tiff, const Page& page, Painter& painter) {
  std::vector<unsigned char> tile(TIFFTileSize64(tiff));
  const auto width = field<uint32_t>(tiff, TIFFTAG_TILEWIDTH, 0);
  const auto height = field<uint32_t>(tiff, TIFFTAG_TILELENGTH, 0);
  const size_t row_bytes = TIFFTileRowSize64(tiff);
  for (int plane = 0; plane < painter.planes(page); ++plane) {
    for (uint32_t top = 0; top < page.height; top += height) {
      for (uint32_t left = 0; left < page.width; left += width) {
        if (TIFFReadTile(tiff, tile.data(), left, top, 0, static_cast<uint16_t>(plane)) < 0) {
          fail_decoding();
        }
        const cv::Rect where(left, top, std::min(width, page.width - left),
                             std::min(height, page.height - top));
        painter.put(tile.data(), row_bytes, plane, where);
      }
    }
  }
}

// Throw ImageError if further pages have the same size. Bands that were saved as pages look like a page of grey.
void check_further_pages(TIFF* tiff, const Page& page) {
  int alike = 1;
  for (int number = 1; number < kMostPages && TIFFReadDirectory(tiff) == 1; ++number) {
    const auto kind = field<uint32_t>(tiff, TIFFTAG_SUBFILETYPE, 0);
    const bool beside = (kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) != 0;
    if (!beside && field<uint32_t>(tiff, TIFFTAG_IMAGEWIDTH, 0) == page.width &&
        field<uint32_t>(tiff, TIFFTAG_IMAGELENGTH, 0) == page.height) {
      ++alike;
    }
  }
  if (alike > 1) {
    throw ImageError(std::to_string(alike) +
                     " pages of one size, of which the first alone would be read; if they are its "
                     "bands, save them as one page; else save the page to read by itself");
  }
}

}  // namespace

cv::Mat decode_tiff(const std::string& bytes) {
  TIFFSetErrorHandler(nullptr);  // OpenCV sets handlers too
  TIFFSetWarningHandler(nullptr);
  Source from{bytes};
  const File file(TIFFClientOpen("image", "r", &from, read_bytes, write_nothing, seek,
                                 close_nothing, size_of, map_bytes, unmap_nothing),
                  &TIFFClose);
  if (file == nullptr) {
    throw ImageError("truncated or damaged: its TIFF tags cannot be read");
  }
  TIFF* const tiff = file.get();
  const Page page = read_tags(tiff);
  if (page.width == 0 || page.height == 0) {
    throw ImageError("damaged: the TIFF has no size");
  }
  check_size(page.width, page.height);
  if (page.orientation != ORIENTATION_TOPLEFT) {
    throw ImageError("a turned TIFF; save it without an Orientation tag");
  }
  check_values(page);
  check_compression(page.compression);
  check_colours(page);
  if (page.photometric == PHOTOMETRIC_YCBCR) {
    TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
  }
  check_blocks(tiff, page, bytes.size());
  cv::Mat image(static_cast<int>(page.height), static_cast<int>(page.width), CV_8UC3);
  Painter painter(tiff, page, &image);
  (page.tiled ? read_tiles : read_strips)(tiff, page, painter);
  check_further_pages(tiff, page);
  return image;
}

}  // namespace dlinknet
