// Who is at the other end of a connection, and what they may ask. Plain data.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace walstitch::http {

// Of a token. Whoever may operate may view.
enum class AccessRole { kView, kOperate };

struct Caller {
  std::string name;  // of the token, for the audit; never the token itself
  AccessRole role = AccessRole::kOperate;
};

// Whose token it is; nullopt: nobody's. Compares in a time that tells nothing of the tokens.
using Admission = std::function<std::optional<Caller>(std::string_view token)>;

}  // namespace walstitch::http
