// Reads files, damaged or not, as the program reads its input: .json files as descriptions, others as images, which it cuts into
// tiles. Ends with status 0 if each file is accepted, or rejected with an error.

#include <cstdio>
#include <vector>

#include "description.h"
#include "errors.h"
#include "preprocess.h"
#include "tiles.h"

int main(int count, char** words) {
  constexpr int kSide = 64, kOverlap = 16;
  size_t good = 0, bad = 0;
  const auto table = dlinknet::pixel_tables(3.2, {-1.6, -1.6, -1.6});
  std::vector<float> planes(3 * kSide * kSide);
  for (int i = 1; i < count; ++i) {
    const std::filesystem::path file = words[i];
    try {
      const std::string bytes = dlinknet::read_file(file);
      if (file.extension() == ".json") {
        dlinknet::parse_description(bytes, file.string());
      } else {
        const cv::Mat image = dlinknet::decode(bytes);
        const auto rows = dlinknet::make_axis(image.rows, kSide, kOverlap), columns = dlinknet::make_axis(image.cols, kSide, kOverlap);
        for (const int top : rows.starts) {
          dlinknet::to_planes(dlinknet::tile_of(image, top, columns.starts.back(), kSide, kSide), table, planes.data());
        }
      }
      ++good;
    } catch (const dlinknet::UserError&) {
      ++bad;
    } catch (const dlinknet::ImageError&) {
      ++bad;
    } catch (const std::runtime_error&) {       // the file cannot be read
      ++bad;
    }
  }
  std::printf("%zu good, %zu bad\n", good, bad);
  return 0;
}
