// Errors: the program prints one line, and ends with an exit status.
#pragma once

#include <stdexcept>
#include <string>

namespace dlinknet {

// A mistake that the user can correct. The text is one line that names the file or option. The program ends with status 2.
class UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An image that cannot be processed. The program processes the others and ends with status 1.
class ImageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Return a text with one blank for each run of blanks and line ends. The errors of libraries have many lines.
inline std::string one_line(const std::string& text) {
  std::string line;
  for (const char letter : text) {
    const bool blank = letter == ' ' || letter == '\n' || letter == '\r' || letter == '\t';
    if (!blank) {
      line += letter;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  return line;
}

}  // namespace dlinknet
