// What the fake API server answers instead of doing what it was asked: a Status object.
#pragma once

#include <boost/json/object.hpp>
#include <string>

namespace walstitch::test {

struct FakeFailure {
  int code = 500;
  std::string reason;
  std::string message;
  boost::json::object details{};

  [[nodiscard]] boost::json::object Status() const;
};

}  // namespace walstitch::test
