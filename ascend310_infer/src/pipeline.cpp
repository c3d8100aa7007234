#include "pipeline.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <set>

#include "channel.h"
#include "errors.h"
#include "preprocess.h"
#include "results.h"
#include "tiles.h"

namespace dlinknet {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

constexpr size_t kAhead = 2;    // the most tiles that wait for the network, and the most that wait for the writer
const std::set<std::string> kTypes = {".jpg", ".jpeg", ".png", ".tif", ".tiff"};
// Other types of images. They are left out, and one line names them. dlinknet/images/files.py has the same types.
const std::set<std::string> kOtherTypes = {".avif", ".bmp", ".dib", ".ecw", ".exr", ".gif", ".hdf", ".hdr", ".heic", ".heif", ".ico", ".img",
                                           ".j2k", ".jfif", ".jp2", ".jpe", ".jpx", ".jxl", ".nc", ".pbm", ".pgm", ".pnm", ".ppm", ".psd",
                                           ".qoi", ".sid", ".svg", ".tga", ".vrt", ".webp"};

double milliseconds(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double, std::milli>(to - from).count(); }

bool ends_with(const std::string& word, const std::string& end) {
  return word.size() >= end.size() && word.compare(word.size() - end.size(), end.size(), end) == 0;
}

// An image that was read. It does not change afterwards, so all threads may read it.
struct Image {
  fs::path file;
  int height = 0, width = 0;            // size for the network
  int own_height = 0, own_width = 0;    // size on disk
  Axis rows, columns;
};

// One tile: first it holds its input, then its probabilities. If `fault` is not empty, the image is left out for this reason.
struct Tile {
  std::shared_ptr<const Image> image;
  size_t row = 0, column = 0;
  bool first = true, last = true;       // of its image
  std::vector<unsigned char> input;
  std::vector<float> probabilities;
  double network_ms = 0;
  std::string fault;
};

// Reads images and makes their tiles.
class Reader {
 public:
  Reader(const Description& description, const Options& options)
      : description_(description), overlap_(options.tile_overlap), tables_(pixel_tables(description.scale, description.shift)) {}

  // Pass every tile of an image to `next`. An image that cannot be read becomes one tile with a fault.
  void read(const fs::path& file, const std::function<void(Tile)>& next) const {
    auto image = std::make_shared<Image>();
    image->file = file;
    size_t number = 0;
    try {
      cv::Mat pixels = decode(read_file(file));
      image->own_height = pixels.rows;
      image->own_width = pixels.cols;
      if (description_.resize_height > 0) {
        pixels = resized(pixels, description_.resize_height, description_.resize_width);
      }
      image->height = pixels.rows;
      image->width = pixels.cols;
      image->rows = make_axis(pixels.rows, description_.height, overlap_);
      image->columns = make_axis(pixels.cols, description_.width, overlap_);
      const size_t columns = image->columns.starts.size(), count = image->rows.starts.size() * columns;
      for (; number < count; ++number) {
        Tile tile;
        tile.image = image;
        tile.row = number / columns;
        tile.column = number % columns;
        tile.first = number == 0;
        tile.last = number + 1 == count;
        tile.input = input(pixels, image->rows.starts[tile.row], image->columns.starts[tile.column]);
        next(std::move(tile));
      }
    } catch (const std::exception& error) {
      Tile tile;
      tile.image = image;
      tile.first = number == 0;
      tile.fault = one_line(error.what());
      next(std::move(tile));
    }
  }

 private:
  std::vector<unsigned char> input(const cv::Mat& pixels, int top, int left) const {
    const cv::Mat tile = tile_of(pixels, top, left, description_.height, description_.width);
    const size_t row_bytes = static_cast<size_t>(tile.cols) * 3;
    std::vector<unsigned char> bytes(row_bytes * tile.rows * (description_.pixels ? 1 : sizeof(float)));
    if (!description_.pixels) {
      to_planes(tile, tables_, reinterpret_cast<float*>(bytes.data()));
      return bytes;
    }
    for (int row = 0; row < tile.rows; ++row) {
      std::copy_n(tile.ptr<unsigned char>(row), row_bytes, bytes.data() + row * row_bytes);
    }
    return bytes;
  }

  const Description& description_;
  const int overlap_;
  const Tables tables_;
};

// Runs the network on one tile after another. The engine may copy a tile while it computes the one before.
class NetworkRunner {
 public:
  // `waits` tells whether another tile is ready. `next` receives every tile that is done, in order.
  NetworkRunner(Engine& engine, const Description& description, std::function<bool()> waits, std::function<void(Tile)> next)
      : engine_(engine), size_(static_cast<size_t>(description.classes) * description.height * description.width),
        waits_(std::move(waits)), next_(std::move(next)) {}

  // Start a tile. Finish tiles until the engine accepts another one; all of them if no other tile is ready.
  void submit(Tile tile) {
    const auto begin = Clock::now();
    if (tile.fault.empty()) {
      try {
        tile.probabilities.resize(size_);   // here, because nothing may throw between start() and finish()
        engine_.start(tile.input.data());
      } catch (const std::exception& error) {
        tile.fault = one_line(error.what());
      }
    }
    begun_.push_back({std::move(tile), begin});
    while (begun_.size() >= engine_.depth() || (!begun_.empty() && !waits_())) {
      finish();
    }
  }

  // Wait for all tiles. Call this after the last one.
  void drain() {
    while (!begun_.empty()) {
      finish();
    }
  }

 private:
  struct Begun {
    Tile tile;
    Clock::time_point begin;
  };

  void finish() {
    Tile tile = std::move(begun_.front().tile);
    const auto begin = std::max(begun_.front().begin, ended_);      // the tile before has its own time
    begun_.pop_front();
    if (tile.fault.empty()) {
      try {
        engine_.finish(tile.probabilities.data());
      } catch (const std::exception& error) {
        tile.fault = one_line(error.what());
      }
      ended_ = Clock::now();
      tile.network_ms = milliseconds(begin, ended_);
    }
    std::vector<unsigned char>().swap(tile.input);
    next_(std::move(tile));
  }

  Engine& engine_;
  const size_t size_;
  const std::function<bool()> waits_;
  const std::function<void(Tile)> next_;
  std::deque<Begun> begun_;
  Clock::time_point ended_{};
};

// Closes a channel at the end of a block, also after an exception. Otherwise its reader would wait forever.
class Closing {
 public:
  explicit Closing(Channel<Tile>& channel) : channel_(channel) {}
  Closing(const Closing&) = delete;
  ~Closing() { channel_.close(); }

 private:
  Channel<Tile>& channel_;
};

// Call `work` for each tile that comes through a channel. If `work` throws, drop the other tiles, because the sender must not wait
// for room.
void drained(Channel<Tile>& channel, const std::function<void(Tile&)>& work) {
  try {
    while (auto tile = channel.pop()) {
      work(*tile);
    }
  } catch (...) {
    while (channel.pop()) {
    }
    throw;
  }
}

// Blends the tiles of one image after another and writes the results that the options choose.
class Writer {
 public:
  Writer(const Description& description, const Options& options, Summary* summary)
      : description_(description), options_(options), summary_(summary),
        threshold_(options.threshold < 0 ? static_cast<float>(description.threshold) : options.threshold) {}

  void take(const Tile& tile) {
    const Image& image = *tile.image;
    try {
      if (tile.first) {
        fault_.clear();
        network_ms_ = 0;
        whole_.assign(static_cast<size_t>(description_.classes) * image.height * image.width, 0.0F);
      }
      network_ms_ += tile.network_ms;
      fault_ = fault_.empty() ? tile.fault : fault_;
      if (fault_.empty()) {
        blend(tile);
      }
      if (tile.last && fault_.empty()) {
        write(image);
      }
    } catch (const std::exception& error) {
      fault_ = one_line(error.what());
    }
    if (!tile.last) {
      return;
    }
    if (fault_.empty()) {
      ++summary_->done;
      summary_->network_ms.push_back(network_ms_);
    } else {
      summary_->faults.push_back(image.file.filename().string() + ": " + fault_);
    }
  }

 private:
  void blend(const Tile& tile) {
    const Image& image = *tile.image;
    const int top = image.rows.starts[tile.row], left = image.columns.starts[tile.column];
    const int rows = std::min(description_.height, image.height - top), columns = std::min(description_.width, image.width - left);
    const std::vector<float>& down = image.rows.weights[tile.row];
    const std::vector<float>& across = image.columns.weights[tile.column];
    for (int map = 0; map < description_.classes; ++map) {
      for (int row = 0; row < rows; ++row) {
        const float* from = tile.probabilities.data() + (static_cast<size_t>(map) * description_.height + row) * description_.width;
        float* to = whole_.data() + (static_cast<size_t>(map) * image.height + top + row) * image.width + left;
        for (int column = 0; column < columns; ++column) {
          to[column] += down[row] * across[column] * from[column];
        }
      }
    }
  }

  void write(const Image& image) {
    if (image.height != image.own_height || image.width != image.own_width) {
      whole_ = resized_maps(whole_, description_.classes, image.height, image.width, image.own_height, image.own_width);
    }
    if (options_.write_probabilities) {
      write_whole(options_.results / (id_of(image.file) + "_sat.bin"), whole_.data(), whole_.size() * sizeof(float));
    }
    if (options_.write_masks) {
      write_png(options_.results / (id_of(image.file) + "_mask.png"), mask(), image.own_height, image.own_width);
    }
  }

  // Return 255 for a probability above the threshold, else 0. For several classes, return the value of the most probable class;
  // among equals, the first class counts.
  std::vector<unsigned char> mask() const {
    const size_t area = whole_.size() / description_.classes;
    std::vector<unsigned char> found(area);
    if (description_.classes == 1) {
      std::transform(whole_.begin(), whole_.end(), found.begin(), [this](float value) { return value > threshold_ ? 255 : 0; });
      return found;
    }
    for (size_t pixel = 0; pixel < area; ++pixel) {
      size_t best = 0;
      for (size_t map = 1; map < static_cast<size_t>(description_.classes); ++map) {
        best = whole_[map * area + pixel] > whole_[best * area + pixel] ? map : best;
      }
      found[pixel] = description_.values[best];
    }
    return found;
  }

  const Description& description_;
  const Options& options_;
  Summary* const summary_;
  const float threshold_;
  std::vector<float> whole_;
  double network_ms_ = 0;
  std::string fault_;
};

}  // namespace

std::string id_of(const fs::path& image) {
  const std::string stem = image.stem().string();
  return ends_with(stem, "_sat") && stem.size() > 4 ? stem.substr(0, stem.size() - 4) : stem;
}

std::vector<fs::path> find_images(const fs::path& place) {
  std::vector<fs::path> found;
  std::vector<std::string> others;
  std::error_code failed;
  if (fs::is_regular_file(place, failed)) {
    return {place};
  }
  for (fs::directory_iterator at(place, failed), end; !failed && at != end; at.increment(failed)) {
    const fs::directory_entry& entry = *at;
    std::string type = entry.path().extension().string();
    std::transform(type.begin(), type.end(), type.begin(), [](unsigned char letter) { return std::tolower(letter); });
    const std::string name = entry.path().filename().string();
    if (name[0] == '.' || ends_with(entry.path().stem().string(), "_mask")) {
      continue;
    }
    if (kTypes.count(type) > 0) {
      found.push_back(entry.path());
    } else if (kOtherTypes.count(type) > 0) {
      others.push_back(name);
    }
  }
  if (failed) {
    throw UserError("--images: cannot read " + place.string() + ": " + failed.message());
  }
  if (!others.empty()) {
    std::sort(others.begin(), others.end());
    std::fprintf(stderr, "%zu files of other types were left out of %s (%s%s); .jpg, .jpeg, .png, .tif, .tiff are read\n", others.size(),
                 place.string().c_str(), others[0].c_str(), others.size() > 1 ? ", ..." : "");
  }
  if (found.empty()) {
    throw UserError("--images: " + place.string() + " holds no image (.jpg, .jpeg, .png, .tif, .tiff)");
  }
  std::sort(found.begin(), found.end());
  std::set<std::string> ids;
  for (const fs::path& file : found) {
    if (!ids.insert(id_of(file)).second) {
      throw UserError("--images: two images have the ID " + id_of(file));
    }
  }
  return found;
}

Summary run_pipeline(const std::vector<fs::path>& images, Engine& engine, const Description& description, const Options& options) {
  Summary summary;
  const Reader reader(description, options);
  Writer writer(description, options, &summary);
  const auto begin = Clock::now();
  if (options.plain_loop) {
    NetworkRunner runner(engine, description, [] { return false; }, [&](const Tile& tile) { writer.take(tile); });
    for (const fs::path& file : images) {
      reader.read(file, [&](Tile tile) { runner.submit(std::move(tile)); });
    }
  } else {
    Channel<Tile> prepared(kAhead), computed(kAhead);
    // get() throws the exception of a task. The destructors wait for both tasks.
    auto writing = std::async(std::launch::async, [&] {
      drained(computed, [&](Tile& tile) { writer.take(tile); });
    });
    auto reading = std::async(std::launch::async, [&] {
      const Closing at_the_end(prepared);
      for (const fs::path& file : images) {
        reader.read(file, [&](Tile tile) { prepared.push(std::move(tile)); });
      }
    });
    {
      const Closing at_the_end(computed);
      NetworkRunner runner(engine, description, [&] { return prepared.has_thing(); },
                           [&](Tile tile) { computed.push(std::move(tile)); });
      drained(prepared, [&](Tile& tile) { runner.submit(std::move(tile)); });
      runner.drain();
    }
    reading.get();
    writing.get();
  }
  summary.seconds = milliseconds(begin, Clock::now()) / 1000;
  return summary;
}

}  // namespace dlinknet
