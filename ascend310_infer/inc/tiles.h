// The places and weights of an image's tiles, as in dlinknet/inference/tiles.py for models of one size.
#pragma once

#include <vector>

namespace dlinknet {

// The tiles along one axis of an image. All have one side, a multiple of 32, and start at multiples of 32. Neighbours overlap by
// at least `overlap` pixels, or by a quarter of the side if that is less. weights[i][p] is the weight of tile i at its pixel p,
// 0 to 1. At each pixel of the axis the weights of all tiles sum to 1. In the middle quarter of an overlap, one tile fades into
// the next.
struct Axis {
  std::vector<int> starts;
  std::vector<std::vector<float>> weights;
};

// Return the fewest tiles of this side that cover `length` pixels.
Axis make_axis(int length, int side, int overlap);

}  // namespace dlinknet
