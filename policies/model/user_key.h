// A key as its user knows it.
#pragma once

#include <compare>
#include <string>

namespace walstitch {

struct UserKeyName {
  std::string name_space;  // raw bytes, as key
  std::string key;
  auto operator<=>(const UserKeyName&) const = default;
};

// A key, and what is the matter with it.
struct KeyProblem {
  UserKeyName name;
  std::string why;  // one sentence
};

}  // namespace walstitch
