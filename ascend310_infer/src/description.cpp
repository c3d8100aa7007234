#include "description.h"

#include <algorithm>
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

constexpr int kFormat = 1;      // of the JSON; later formats are rejected
constexpr int kMostSide = 1 << 15;
constexpr int kMostClasses = 251;

int side(const nlohmann::json& shape, size_t axis) {
  const int found = shape.at(axis).get<int>();
  if (found < kStride || found > kMostSide || found % kStride != 0) {
    throw std::out_of_range("side");
  }
  return found;
}

// Return the value of each class in masks: the first of the class's values. If a class has no value, return the classes' indices.
std::vector<unsigned char> mask_values(const nlohmann::json& table, int classes) {
  std::vector<nlohmann::json> known = table.at("classes").get<std::vector<nlohmann::json>>();
  if (table.value("void_counted", false)) {
    known.push_back(table.at("void"));
  }
  if (known.size() != static_cast<size_t>(classes)) {
    throw std::out_of_range("classes");
  }
  const bool places =
      std::any_of(known.begin(), known.end(), [](const nlohmann::json& each) { return each.at("values").empty(); });
  std::vector<unsigned char> values;
  for (const nlohmann::json& each : known) {
    const int value = places ? static_cast<int>(values.size()) : each.at("values").at(0).get<int>();
    if (value < 0 || value > 255) {
      throw std::out_of_range("value");
    }
    values.push_back(static_cast<unsigned char>(value));
  }
  return values;
}

std::array<double, 3> shifts(const nlohmann::json& shift) {
  return shift.is_array() ? shift.get<std::array<double, 3>>() : std::array<double, 3>{shift, shift, shift};
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
    const int classes = values.at("classes").get<int>();
    if (values.at("format").get<int>() > kFormat || classes < 1 || classes > kMostClasses) {
      throw UserError(name + " is from a later dlinknet, which this program does not know");
    }
    const nlohmann::json& input = values.at("input");
    const nlohmann::json& shape = input.at("shape");
    Description found;
    found.classes = classes;
    if (classes > 1) {
      found.values = mask_values(values.at("class_table"), classes);
    }
    found.model = values.at("model").get<std::string>();
    const std::string layout = input.at("layout").get<std::string>(), where = values.at("preprocessing").at("where").get<std::string>();
    found.int8 = values.contains("quantized");
    found.pixels = layout == "NHWC";
    // There are two kinds of input: pixels, with the preprocessing in the graph; or planes, which the host computes.
    if (input.at("channels") != "BGR" || input.at("type") != (found.pixels ? "uint8" : "float32") ||
        (!found.pixels && layout != "NCHW") || where != (found.pixels ? "graph" : "host")) {
      throw UserError(name + " is of a kind that this program does not know");
    }
    if (shape.size() != 4 || shape.at(0) != 1) {
      throw UserError(name + ": this program requires a model for one image of one size: export with --batch_size=1, without --dynamic");
    }
    found.height = side(shape, found.pixels ? 1 : 2);
    found.width = side(shape, found.pixels ? 2 : 3);
    const nlohmann::json& preprocessing = values.at("preprocessing");
    found.scale = preprocessing.at("scale").get<double>();
    found.shift = shifts(preprocessing.at("shift"));
    if (preprocessing.contains("resize")) {
      found.resize_height = preprocessing.at("resize").at(0).get<int>();
      found.resize_width = preprocessing.at("resize").at(1).get<int>();
      if (std::min(found.resize_height, found.resize_width) < 1 || std::max(found.resize_height, found.resize_width) > kMostSide) {
        throw std::out_of_range("resize");
      }
    }
    found.threshold = values.at("threshold").get<double>();
    const bool finite = std::isfinite(found.scale) && std::isfinite(found.shift[0] + found.shift[1] + found.shift[2]);
    if (!finite || !(found.threshold >= 0 && found.threshold <= 1)) {
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
    throw UserError("--model: " + beside.string() + " is missing, which export.py writes beside a model to describe its input");
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
