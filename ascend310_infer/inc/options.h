// The command line.
#pragma once

#include <filesystem>
#include <string>

namespace dlinknet {

struct Options {
  std::filesystem::path model;                          // FILE.mindir, FILE.om or FILE.onnx, with its JSON beside it
  std::filesystem::path images;                         // a folder of images, or one image
  std::filesystem::path results = "result_Files";       // receives ID_sat.bin or ID_mask.png
  std::filesystem::path times = "time_Result";          // receives times.txt
  bool write_probabilities = true;                      // ID_sat.bin
  bool write_masks = false;                             // ID_mask.png
  float threshold = -1.0F;                              // a probability above it is road; below 0: the JSON's threshold
  int tile_overlap = 256;                               // minimum overlap of neighbouring tiles, in pixels
  int device_id = 0;
  std::string precision = "preferred_fp32";             // how an Ascend computes a .mindir: one of kPrecisions
  bool precision_chosen = false;                        // the command line has --precision or --fp16
  bool help = false;
  bool plain_loop = false;                              // run one step after another, to measure the gain of the threads
};

extern const char* const kUsage;

// Parse the command line. Throw UserError if it is wrong.
Options parse_options(int count, const char* const* words);

}  // namespace dlinknet
