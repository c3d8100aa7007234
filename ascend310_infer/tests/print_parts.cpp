// Writes planes and tiles as the program computes them, for comparison with Python:
//   print_parts planes IMAGE HEIGHT WIDTH TOP LEFT FILE    the float32 planes of one tile
//   print_parts axis LENGTH SIDE OVERLAP FILE              the tiles' starts to stdout, their float32 weights to FILE

#include <cstdio>
#include <cstdlib>

#include "description.h"
#include "preprocess.h"
#include "results.h"
#include "tiles.h"

int main(int count, char** words) {
  const std::string what = count > 1 ? words[1] : "";
  if (what == "planes" && count == 8) {
    const int height = std::atoi(words[3]), width = std::atoi(words[4]);
    const cv::Mat image = dlinknet::decode(dlinknet::read_file(words[2]));
    std::vector<float> planes(3 * static_cast<size_t>(height) * width);
    dlinknet::to_planes(dlinknet::tile_of(image, std::atoi(words[5]), std::atoi(words[6]), height, width),
                        dlinknet::pixel_tables(3.2, {-1.6, -1.6, -1.6}), planes.data());
    dlinknet::write_whole(words[7], planes.data(), planes.size() * sizeof(float));
    return 0;
  }
  if (what == "axis" && count == 6) {
    const auto axis = dlinknet::make_axis(std::atoi(words[2]), std::atoi(words[3]), std::atoi(words[4]));
    std::vector<float> all;
    for (size_t i = 0; i < axis.starts.size(); ++i) {
      std::printf("%d\n", axis.starts[i]);
      all.insert(all.end(), axis.weights[i].begin(), axis.weights[i].end());
    }
    dlinknet::write_whole(words[5], all.data(), all.size() * sizeof(float));
    return 0;
  }
  return 2;
}
