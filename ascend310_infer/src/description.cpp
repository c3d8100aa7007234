#include "description.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "errors.h"
#include "preprocess.h"

namespace dlinknet {

namespace {

constexpr int kFormat = 1;      // of the JSON; a later one is refused
constexpr int kMostSide = 1 << 15;

int side(const nlohmann::json& shape, size_t axis) {
  const int found = shape.at(axis).get<int>();
  if (found < kStride || found > kMostSide || found % kStride != 0) {
    throw std::out_of_range("side");
  }
  return found;
}

}  // namespace

std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (!stream) {
    throw std::runtime_error(std::string("cannot be read: ") + std::strerror(errno));
  }
  return bytes;
}

Description parse_description(const std::string& text, const std::string& name) {
  try {
    const nlohmann::json values = nlohmann::json::parse(text);
    if (values.at("format").get<int>() > kFormat || values.at("classes").get<int>() != 1) {
      throw UserError(name + " is of a later kind, which this program does not know");
    }
    const nlohmann::json& input = values.at("input");
    const nlohmann::json& shape = input.at("shape");
    Description found;
    found.model = values.at("model").get<std::string>();
    const std::string layout = input.at("layout").get<std::string>(), where = values.at("preprocessing").at("where").get<std::string>();
    found.pixels = layout == "NHWC";
    // Both or none: pixels as they are, with the preprocessing in the graph; or planes that the host prepares.
    if (input.at("channels") != "BGR" || input.at("type") != (found.pixels ? "uint8" : "float32") ||
        (!found.pixels && layout != "NCHW") || where != (found.pixels ? "graph" : "host")) {
      throw UserError(name + " is of a later kind, which this program does not know");
    }
    if (shape.size() != 4 || shape.at(0) != 1) {
      throw UserError(name + ": this program takes models of one image of one size: export with --batch_size=1, without --dynamic");
    }
    found.height = side(shape, found.pixels ? 1 : 2);
    found.width = side(shape, found.pixels ? 2 : 3);
    const nlohmann::json& preprocessing = values.at("preprocessing");
    found.scale = preprocessing.at("scale").get<double>();
    found.shift = preprocessing.at("shift").get<double>();
    found.threshold = values.at("threshold").get<double>();
    if (!std::isfinite(found.scale) || !std::isfinite(found.shift) || !(found.threshold >= 0 && found.threshold <= 1)) {
      throw std::out_of_range("number");
    }
    return found;
  } catch (const UserError&) {
    throw;
  } catch (const std::exception&) {
    throw UserError(name + " is not what export.py writes beside a model");
  }
}

Description read_description(const std::filesystem::path& model) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(model, failed)) {
    throw UserError("--model: there is no file " + model.string());
  }
  const std::filesystem::path beside = model.string() + ".json";
  if (!std::filesystem::is_regular_file(beside, failed)) {
    throw UserError("--model: " + beside.string() + " is missing, which export.py writes beside a model and which says what it takes");
  }
  std::string text;
  try {
    text = read_file(beside);
  } catch (const std::runtime_error& error) {
    throw UserError("--model: " + beside.string() + " " + error.what());
  }
  return parse_description(text, "--model: " + beside.string());
}

}  // namespace dlinknet
