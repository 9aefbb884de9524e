#include "tests/support/pods/rendered.h"

#include <charconv>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace walstitch::test {

RenderedChart RenderedChart::Read(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  std::ostringstream text;
  text << file.rdbuf();
  RenderedChart chart;
  chart.text_ = text.str();
  for (const YAML::Node& document : YAML::LoadAll(chart.text_)) {
    if (document.IsMap()) chart.documents_.push_back(document);
  }
  if (chart.documents_.empty()) throw std::runtime_error(path + ": no documents in it");
  return chart;
}

YAML::Node RenderedChart::Get(const std::string& kind, const std::string& name) const {
  for (const YAML::Node& document : documents_) {
    if (document["kind"].as<std::string>() != kind) continue;
    if (document["metadata"]["name"].as<std::string>() == name) return document;
  }
  throw std::runtime_error("the rendered chart has no " + kind + " " + name);
}

std::vector<YAML::Node> RenderedChart::All(const std::string& kind) const {
  std::vector<YAML::Node> found;
  for (const YAML::Node& document : documents_) {
    if (document["kind"].as<std::string>() == kind) found.push_back(document);
  }
  return found;
}

boost::json::value ToJson(const YAML::Node& node) {
  if (node.IsMap()) {
    boost::json::object object;
    for (const auto& item : node) object[item.first.as<std::string>()] = ToJson(item.second);
    return object;
  }
  if (node.IsSequence()) {
    boost::json::array array;
    for (const auto& item : node) array.push_back(ToJson(item));
    return array;
  }
  if (!node.IsScalar()) return nullptr;
  const std::string text = node.Scalar();
  if (node.Tag() == "!") return boost::json::string(text);  // it was quoted
  if (text == "true" || text == "false") return text == "true";
  if (text == "null" || text == "~") return nullptr;
  std::int64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem == std::errc() && end == text.data() + text.size()) return number;
  return boost::json::string(text);
}

}  // namespace walstitch::test
