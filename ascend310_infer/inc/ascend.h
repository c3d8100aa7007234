// Code that both engines for an Ascend use.
#pragma once

#include <filesystem>
#include <string>

namespace dlinknet {

// Return the end of an error's line if this machine has no such Ascend; else an empty text.
inline std::string missing_ascend(int device_id) {
  const std::string device = "/dev/davinci" + std::to_string(device_id);
  return std::filesystem::exists(device) ? "" : " (" + device + " is missing: there is no such Ascend, or its driver is not loaded)";
}

}  // namespace dlinknet
