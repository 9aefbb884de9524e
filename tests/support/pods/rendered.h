// A rendered chart: the documents that `helm template` prints, found by kind and name.
#pragma once

#include <yaml-cpp/yaml.h>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <vector>

namespace walstitch::test {

class RenderedChart {
 public:
  // Throws if the file is none.
  static RenderedChart Read(const std::string& path);

  // Throws if there is none.
  [[nodiscard]] YAML::Node Get(const std::string& kind, const std::string& name) const;
  [[nodiscard]] std::vector<YAML::Node> All(const std::string& kind) const;
  [[nodiscard]] const std::string& Text() const { return text_; }

 private:
  std::string text_;
  std::vector<YAML::Node> documents_;
};

// As the API takes it: plain scalars are numbers, booleans or null where they look like it, quoted ones are
// texts.
boost::json::value ToJson(const YAML::Node& node);

}  // namespace walstitch::test
