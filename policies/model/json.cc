#include "policies/model/json.h"

#include <algorithm>
#include <boost/json.hpp>

#include "policies/model/json_codec.h"

namespace walstitch {
namespace {

constexpr std::size_t kMaxDepth = 32;

// The length of the UTF-8 sequence at the beginning of the text; 0 if there is no valid one.
std::size_t Utf8Length(std::string_view text) {
  auto at = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  std::size_t length = lead >= 0xc2 && lead <= 0xdf   ? 2
                       : lead >= 0xe0 && lead <= 0xef ? 3
                       : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                      : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and code points beyond U+10FFFF.
  if (lead == 0xe0 && at(1) < 0xa0) return 0;
  if (lead == 0xed && at(1) > 0x9f) return 0;
  if (lead == 0xf0 && at(1) < 0x90) return 0;
  if (lead == 0xf4 && at(1) > 0x8f) return 0;
  return length;
}

void Pretty(const boost::json::value& json, std::size_t indent, std::string* out) {
  const std::string inner(indent + 2, ' ');
  if (const auto* object = json.if_object(); object != nullptr && !object->empty()) {
    *out += "{\n";
    for (auto it = object->begin(); it != object->end(); ++it) {
      *out += inner + boost::json::serialize(boost::json::string_view(it->key())) + ": ";
      Pretty(it->value(), indent + 2, out);
      *out += std::next(it) == object->end() ? "\n" : ",\n";
    }
    *out += std::string(indent, ' ') + "}";
  } else if (const auto* array = json.if_array(); array != nullptr && !array->empty()) {
    *out += "[\n";
    for (auto it = array->begin(); it != array->end(); ++it) {
      *out += inner;
      Pretty(*it, indent + 2, out);
      *out += std::next(it) == array->end() ? "\n" : ",\n";
    }
    *out += std::string(indent, ' ') + "]";
  } else {
    *out += boost::json::serialize(json);
  }
}

}  // namespace

namespace codec {

std::string CleanText(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    std::size_t length = Utf8Length(text);
    if (length == 0) {
      out += ToPrintable(text.substr(0, 1));
      length = 1;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string Path::ToString() const {
  std::string text = parent != nullptr ? parent->ToString() : std::string();
  if (index) return text + "[" + std::to_string(*index) + "]";
  if (!text.empty()) text += ".";
  return text + std::string(name);
}

std::string_view KindName(const boost::json::value& json) {
  switch (json.kind()) {
    case boost::json::kind::null:
      return "null";
    case boost::json::kind::bool_:
      return "a boolean";
    case boost::json::kind::int64:
    case boost::json::kind::uint64:
      return "a number";
    case boost::json::kind::double_:
      return "a fractional number";
    case boost::json::kind::string:
      return "a string";
    case boost::json::kind::array:
      return "an array";
    case boost::json::kind::object:
      return "an object";
  }
  return "nothing";
}

}  // namespace codec

Result<boost::json::value> ParseJson(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = kMaxDepth;
  boost::json::parser parser({}, options);
  boost::json::error_code error;
  std::size_t used = parser.write_some(text.data(), text.size(), error);
  if (!error && used < text.size()) error = boost::json::error::extra_data;
  if (!error) return parser.release();

  std::string_view before = text.substr(0, std::min(used, text.size()));
  auto line = 1 + std::count(before.begin(), before.end(), '\n');
  std::size_t start = before.rfind('\n');
  std::size_t column = start == std::string_view::npos ? before.size() + 1 : before.size() - start;
  std::string what = error.message();
  if (error == boost::json::error::incomplete) what = "the text ends too early";
  if (error == boost::json::error::too_deep) {
    what = "nested deeper than " + std::to_string(kMaxDepth) + " levels";
  }
  return Fail(ErrorCode::kInvalid,
              "JSON, line " + std::to_string(line) + ", column " + std::to_string(column) + ": " + what);
}

bool IsText(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    const bool control = (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f;
    const std::size_t length = control ? 0 : Utf8Length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string Dump(const boost::json::value& json) { return boost::json::serialize(json); }

std::string DumpPretty(const boost::json::value& json) {
  std::string out;
  Pretty(json, 0, &out);
  return out;
}

}  // namespace walstitch
