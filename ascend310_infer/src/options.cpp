#include "options.h"

#include <cstdlib>
#include <functional>
#include <map>

#include "errors.h"

namespace dlinknet {

const char* const kUsage =
    "usage: dlinknet_infer --model=FILE --images=PLACE [--OPTION=VALUE ...]\n"
    "\n"
    "Finds the roads, or several classes, in images with an exported D-LinkNet or LinkNet.\n"
    "\n"
    "  --model=FILE       the exported model; FILE.json, which export.py writes beside it, says what it takes\n"
    "  --images=PLACE     a folder of images, or one image, of any size\n"
    "  --results=FOLDER   receives the results (result_Files)\n"
    "  --times=FOLDER     receives times.txt (time_Result)\n"
    "  --output=WHAT      bin: ID_sat.bin, float32 probabilities row by row, of several classes one map after the other;\n"
    "                     mask: ID_mask.png, 0 and 255, or the classes' values; both (bin)\n"
    "  --threshold=T      a mask's road is above it, 0 to 1 (what FILE.json says)\n"
    "  --tile_overlap=N   pixels that tiles of larger images share at least (256)\n"
    "  --device_id=N      which Ascend (0)\n"
    "  --fp16             has an Ascend compute in float16; else it takes float32 where it can\n"
    "  --plain_loop       one step after another, without threads; to measure what they gain\n"
    "  --help             this text\n"
    "\n"
    "Ends with 0 where all images were done, 1 where some could not be, 2 where something has to be mended first.\n";

namespace {

double number(const std::string& name, const std::string& value, double least, double most, bool whole) {
  char* end = nullptr;
  const double found = std::strtod(value.c_str(), &end);
  if (value.empty() || *end != '\0' || !(found >= least && found <= most) || (whole && found != static_cast<int>(found))) {
    throw UserError("--" + name + " must be a " + (whole ? "whole " : "") + "number from " + std::to_string(static_cast<int>(least)) +
                    " to " + std::to_string(static_cast<int>(most)) + ", not '" + value + "'");
  }
  return found;
}

}  // namespace

Options parse_options(int count, const char* const* words) {
  Options options;
  constexpr int kMost = 1 << 20;
  const std::map<std::string, std::function<void(const std::string&)>> with_value = {
      {"model", [&](const std::string& value) { options.model = value; }},
      {"images", [&](const std::string& value) { options.images = value; }},
      {"results", [&](const std::string& value) { options.results = value; }},
      {"times", [&](const std::string& value) { options.times = value; }},
      {"output",
       [&](const std::string& value) {
         if (value != "bin" && value != "mask" && value != "both") {
           throw UserError("--output must be bin, mask or both, not '" + value + "'");
         }
         options.write_probabilities = value != "mask";
         options.write_masks = value != "bin";
       }},
      {"threshold", [&](const std::string& value) { options.threshold = static_cast<float>(number("threshold", value, 0, 1, false)); }},
      {"tile_overlap",
       [&](const std::string& value) { options.tile_overlap = static_cast<int>(number("tile_overlap", value, 0, kMost, true)); }},
      {"device_id", [&](const std::string& value) { options.device_id = static_cast<int>(number("device_id", value, 0, kMost, true)); }},
  };
  const std::map<std::string, bool*> flags = {
      {"fp16", &options.fp16}, {"plain_loop", &options.plain_loop}, {"help", &options.help}};
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const size_t equals = word.find('=');
    if (word.rfind("--", 0) != 0) {
      throw UserError("'" + word + "' is not understood: options are --NAME=VALUE; --help lists them");
    }
    const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    if (const auto flag = flags.find(name); flag != flags.end() && equals == std::string::npos) {
      *flag->second = true;
    } else if (const auto option = with_value.find(name); option == with_value.end()) {
      throw UserError("there is no option --" + name + "; --help lists them");
    } else if (equals == std::string::npos || equals + 1 == word.size()) {
      throw UserError("--" + name + " takes a value: --" + name + "=VALUE");
    } else {
      option->second(word.substr(equals + 1));
    }
  }
  if (!options.help && (options.model.empty() || options.images.empty())) {
    throw UserError(std::string(options.model.empty() ? "--model" : "--images") + " is missing; --help lists all options");
  }
  return options;
}

}  // namespace dlinknet
