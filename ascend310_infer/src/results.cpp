#include "results.h"

#include <png.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <sstream>
#include <stdexcept>

namespace dlinknet {

namespace {

[[noreturn]] void fail(const std::filesystem::path& file) {
  throw std::runtime_error(file.string() + ": cannot be written: " + std::strerror(errno));
}

// Return the nearest-rank quantile: at least this share of the sorted values does not exceed it.
double quantile(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<size_t>(share * static_cast<double>(sorted.size()) + 0.999999);
  return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

}  // namespace

void write_whole(const std::filesystem::path& file, const void* data, size_t size) {
  const std::filesystem::path temporary =
      file.parent_path() / ("." + file.filename().string() + "." + std::to_string(::getpid()));
  FILE* stream = std::fopen(temporary.c_str(), "wb");
  if (stream == nullptr) {
    fail(file);
  }
  bool written = std::fwrite(data, 1, size, stream) == size;
  int reason = errno;
  if (std::fclose(stream) != 0 && written) {      // buffered bytes did not fit on the disk
    written = false;
    reason = errno;
  }
  if (written && std::rename(temporary.c_str(), file.c_str()) == 0) {
    return;
  }
  reason = written ? errno : reason;
  std::remove(temporary.c_str());
  errno = reason;
  fail(file);
}

void write_png(const std::filesystem::path& file, const std::vector<unsigned char>& pixels, int height, int width) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::vector<unsigned char> bytes(size);
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(), width, nullptr) == 0) {
    throw std::runtime_error(file.string() + ": cannot be encoded as PNG: " + image.message);
  }
  write_whole(file, bytes.data(), size);
}

void write_times(const std::filesystem::path& folder, std::vector<double> network_ms, double seconds) {
  std::ostringstream text;
  text << "images: " << network_ms.size() << "\n";
  if (!network_ms.empty()) {
    std::sort(network_ms.begin(), network_ms.end());
    const double sum = std::accumulate(network_ms.begin(), network_ms.end(), 0.0);
    text << "images_per_second: " << static_cast<double>(network_ms.size()) / seconds << "\n"
         << "mean_ms: " << sum / static_cast<double>(network_ms.size()) << "\n"
         << "median_ms: " << quantile(network_ms, 0.5) << "\n"
         << "p90_ms: " << quantile(network_ms, 0.9) << "\n";
  }
  const std::string bytes = text.str();
  write_whole(folder / "times.txt", bytes.data(), bytes.size());
}

}  // namespace dlinknet
