// The command line.
#pragma once

#include <filesystem>
#include <string>

namespace dlinknet {

struct Options {
  std::filesystem::path model;                          // FILE.mindir or FILE.onnx, with FILE.json beside it
  std::filesystem::path images;                         // a folder of them, or one image
  std::filesystem::path results = "result_Files";       // receives ID_sat.bin or ID_mask.png
  std::filesystem::path times = "time_Result";          // receives times.txt
  bool write_probabilities = true;                      // ID_sat.bin
  bool write_masks = false;                             // ID_mask.png
  float threshold = -1.0F;                              // road is above it; below 0: what the model's JSON says
  int tile_overlap = 256;                               // pixels that neighbouring tiles share at least
  int device_id = 0;
  bool fp16 = false;                                    // has an Ascend compute in float16; else in float32 where it can
  bool help = false;
  bool plain_loop = false;                              // one step after another, to measure what the threads gain
};

extern const char* const kUsage;

// Reads the command line. Throws UserError where it is wrong.
Options parse_options(int count, const char* const* words);

}  // namespace dlinknet
