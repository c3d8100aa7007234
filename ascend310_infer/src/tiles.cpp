#include "tiles.h"

#include <algorithm>
#include <cstddef>

#include "preprocess.h"

namespace dlinknet {

namespace {

std::vector<int> make_starts(int length, int side, int overlap) {
  const int padded = (length + kStride - 1) / kStride * kStride;
  if (padded <= side) {
    return {0};
  }
  const int shared = std::min({overlap, side / 4, side - kStride});
  for (int number = 2;; ++number) {
    std::vector<int> starts;
    int widest = 0;
    for (int i = 0; i < number; ++i) {
      starts.push_back(static_cast<int>(static_cast<long long>(i) * ((padded - side) / kStride) / (number - 1)) * kStride);
      widest = i > 0 ? std::max(widest, starts[i] - starts[i - 1]) : 0;
    }
    if (widest <= side - shared) {
      return starts;
    }
  }
}

}  // namespace

Axis make_axis(int length, int side, int overlap) {
  Axis axis;
  axis.starts = make_starts(length, side, overlap);
  const std::vector<int>& starts = axis.starts;
  const size_t count = starts.size();
  int shared = side;
  std::vector<double> middles;
  for (size_t i = 0; i + 1 < count; ++i) {
    shared = std::min(shared, starts[i] + side - starts[i + 1]);
    middles.push_back((starts[i + 1] + starts[i] + side) / 2.0);
  }
  const int ramp = count > 1 ? std::max(1, shared / 4) : 1;
  // Return the sum of the weights that tile i and all later tiles have at a pixel.
  const auto taken = [&](size_t i, int pixel) {
    if (i == 0 || i == count) {
      return i == 0 ? 1.0 : 0.0;
    }
    return std::clamp((pixel + 0.5 - middles[i - 1]) / ramp + 0.5, 0.0, 1.0);
  };
  for (size_t i = 0; i < count; ++i) {
    std::vector<float> weights(side);
    for (int pixel = 0; pixel < side; ++pixel) {
      weights[pixel] = static_cast<float>(taken(i, starts[i] + pixel) - taken(i + 1, starts[i] + pixel));
    }
    axis.weights.push_back(std::move(weights));
  }
  return axis;
}

}  // namespace dlinknet
