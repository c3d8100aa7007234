#include "options.h"

#include <cstdlib>
#include <functional>
#include <map>
#include <set>

#include "errors.h"

namespace dlinknet {

const char* const kUsage =
    "usage: dlinknet_infer --model=FILE --images=PLACE [--OPTION=VALUE ...]\n"
    "\n"
    "Finds the roads, or several classes, in images with an exported D-LinkNet or LinkNet.\n"
    "\n"
    "  --model=FILE       the exported model; requires FILE.json, which export.py writes beside it\n"
    "  --images=PLACE     a folder of images, or one image; images may have any size\n"
    "  --results=FOLDER   receives the results (default result_Files)\n"
    "  --times=FOLDER     receives times.txt (default time_Result)\n"
    "  --output=KIND      bin: ID_sat.bin, float32 probabilities row by row; of several classes, one map after another\n"
    "                     mask: ID_mask.png, 0 and 255; of several classes, their values\n"
    "                     both: ID_sat.bin and ID_mask.png (default bin)\n"
    "  --threshold=T      in a mask, a probability above T is road; 0 to 1 (default: the threshold in FILE.json)\n"
    "  --tile_overlap=N   minimum overlap in pixels of the tiles of a larger image (default 256)\n"
    "  --device_id=N      which Ascend (default 0)\n"
    "  --precision=MODE   how an Ascend computes the float32 layers of a .mindir; atc has already decided this for an .om\n"
    "                     preferred_fp32: in float32, or in float16 where the chip has no float32 (default)\n"
    "                     enforce_fp32: matrix products read float16 and sum in float32, all else is float32\n"
    "                     enforce_origin: in float32 everywhere; a layer without float32 is rejected\n"
    "                     enforce_fp16: in float16; preferred_optimal: CANN mixes both\n"
    "                     for an .onnx with OpenVINO: float32 (default), bfloat16, or auto: bfloat16 if the CPU knows it\n"
    "  --fp16             the same as --precision=enforce_fp16\n"
    "  --plain_loop       run one step after another, without threads, to measure the gain of the threads\n"
    "  --help             print this text\n"
    "\n"
    "Exit status: 0 if all images were done, 1 if some failed, 2 if you must correct something first.\n";

namespace {

// MindSpore's names, and those for CPUs. The engine rejects those of the others.
const std::set<std::string> kPrecisions = {"preferred_fp32", "enforce_fp32", "enforce_origin", "enforce_fp16", "preferred_optimal",
                                           "float32", "bfloat16", "auto"};

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
      {"precision",
       [&](const std::string& value) {
         if (kPrecisions.count(value) == 0) {
           throw UserError("--precision must be preferred_fp32, enforce_fp32, enforce_origin, enforce_fp16 or preferred_optimal "
                           "for an Ascend, float32, bfloat16 or auto for a CPU, not '" + value + "'");
         }
         options.precision = value;
         options.precision_chosen = true;
       }},
      {"threshold", [&](const std::string& value) { options.threshold = static_cast<float>(number("threshold", value, 0, 1, false)); }},
      {"tile_overlap",
       [&](const std::string& value) { options.tile_overlap = static_cast<int>(number("tile_overlap", value, 0, kMost, true)); }},
      {"device_id", [&](const std::string& value) { options.device_id = static_cast<int>(number("device_id", value, 0, kMost, true)); }},
  };
  bool fp16 = false;
  const std::map<std::string, bool*> flags = {{"fp16", &fp16}, {"plain_loop", &options.plain_loop}, {"help", &options.help}};
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
      throw UserError("--" + name + " requires a value: --" + name + "=VALUE");
    } else {
      option->second(word.substr(equals + 1));
    }
  }
  if (fp16 && options.precision_chosen && options.precision != "enforce_fp16") {
    throw UserError("--fp16 and --precision=" + options.precision + " contradict each other");
  }
  if (fp16) {
    options.precision = "enforce_fp16";
    options.precision_chosen = true;
  }
  if (!options.help && (options.model.empty() || options.images.empty())) {
    throw UserError(std::string(options.model.empty() ? "--model" : "--images") + " is missing; --help lists all options");
  }
  return options;
}

}  // namespace dlinknet
