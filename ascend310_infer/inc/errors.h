// How the program says what is wrong: one line, and an exit status.
#pragma once

#include <stdexcept>
#include <string>

namespace dlinknet {

// A mistake that the user can mend; the text is one line that names the file or option. The program ends with status 2.
class UserError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One image that cannot be done; the others are. The program ends with status 1.
class ImageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A text with every run of blanks and line ends as one blank: libraries' errors have many lines.
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
