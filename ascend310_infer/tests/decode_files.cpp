// Decodes image files as the program does, for comparison with Python. FILE.bgr receives height x
// width x 3 uint8. A line on stdout gives the size, or the reason why the file is rejected.

#include <cstdio>

#include "description.h"
#include "errors.h"
#include "preprocess.h"
#include "results.h"

int main(int count, char** words) {
  for (int i = 1; i < count; ++i) {
    const std::string file = words[i];
    try {
      const cv::Mat image = dlinknet::decode(dlinknet::read_file(file));
      dlinknet::write_whole(file + ".bgr", image.data, image.total() * image.elemSize());
      std::printf("%dx%d\n", image.cols, image.rows);
    } catch (const dlinknet::ImageError& error) {
      std::printf("%s\n", error.what());
    }
  }
  return 0;
}
