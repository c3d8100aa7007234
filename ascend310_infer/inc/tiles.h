// Where the tiles of an image lie and how much each counts, as dlinknet/inference/predictor.py has it for models of one size.
#pragma once

#include <vector>

namespace dlinknet {

// The tiles along one axis of an image, all of one side, a multiple of 32. They start at multiples of 32 and share at least
// `overlap` pixels (and a quarter of a side at most). weights[i][p]: how much tile i counts at its pixel p, 0 to 1; at each pixel of the axis
// those of all tiles sum to 1. One takes over from the other in the middle quarter of what they share.
struct Axis {
  std::vector<int> starts;
  std::vector<std::vector<float>> weights;
};

Axis make_axis(int length, int side, int overlap);

}  // namespace dlinknet
