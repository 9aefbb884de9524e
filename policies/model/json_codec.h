// Private to json_*.cc: writes and reads a struct by one list of its fields (json_fields.h), so that
// the two directions can not drift apart.
//
// A field list is a function `Fields(visit, object)` that calls, for each field in order,
//   visit("name", object.name)          required when read; an optional<> may be absent or null
//   visit.Defaulted("name", ...)        may be absent: the struct's own default stays
//   visit.Raw("name", ...)              raw bytes, as printable text (bytes.h)
//   visit.Base64("name", ...)           raw bytes, many of them
#pragma once

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "policies/model/batch.h"
#include "policies/model/bytes.h"
#include "policies/model/command.h"
#include "policies/model/names.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::codec {

using DigestBytes = std::array<std::uint8_t, 16>;

template <typename T>
inline constexpr bool kIsOptional = false;
template <typename T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <typename T>
inline constexpr bool kIsVector = false;
template <typename T>
inline constexpr bool kIsVector<std::vector<T>> = true;

// Text is UTF-8 in JSON. Sentences may quote what a server or a file said, so bytes that are no UTF-8
// are written as \xHH: one bad byte must not make a whole report unreadable.
std::string CleanText(std::string_view text);

// --- writing ---------------------------------------------------------------------------------------

template <typename T>
boost::json::value Write(const T& value);

struct Writer {
  boost::json::object out;

  template <typename T>
  void operator()(std::string_view name, const T& value) {
    if constexpr (kIsOptional<T>) {
      if (value) out[name] = Write(*value);
    } else {
      out[name] = Write(value);
    }
  }
  template <typename T>
  void Defaulted(std::string_view name, const T& value) {
    (*this)(name, value);
  }
  void Raw(std::string_view name, const std::string& bytes) { out[name] = ToPrintable(bytes); }
  void Base64(std::string_view name, const std::string& bytes) { out[name] = ToBase64(bytes); }
};

boost::json::value WriteAction(const Action& action);

template <typename T>
boost::json::value Write(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value;
  } else if constexpr (std::is_enum_v<T>) {
    return boost::json::value(ToString(value));
  } else if constexpr (std::unsigned_integral<T>) {
    return static_cast<std::uint64_t>(value);
  } else if constexpr (std::signed_integral<T>) {
    return static_cast<std::int64_t>(value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return boost::json::value(CleanText(value));
  } else if constexpr (std::is_same_v<T, Sequence>) {
    return value.Value();
  } else if constexpr (std::is_same_v<T, BatchDigest>) {
    return Write(value.bytes);
  } else if constexpr (std::is_same_v<T, DigestBytes>) {
    return boost::json::value(ToHex(std::string(value.begin(), value.end())));
  } else if constexpr (std::is_same_v<T, Action>) {
    return WriteAction(value);
  } else if constexpr (kIsVector<T>) {
    boost::json::array array;
    array.reserve(value.size());
    for (const auto& element : value) array.push_back(Write(element));
    return array;
  } else {
    Writer writer;
    Fields(writer, value);
    return std::move(writer.out);
  }
}

// --- reading ---------------------------------------------------------------------------------------

// Where a value stands, innermost first; lives on the stack, becomes text only for an error.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;             // a field, or the root's name
  std::optional<std::size_t> index;  // an element of an array

  [[nodiscard]] std::string ToString() const;  // "report.relay.upstream.port", "decision.plan[2].why"
};

// "a string", "an object", ...: what there is instead of what was expected.
std::string_view KindName(const boost::json::value& json);

// The first error of a reading; later ones are of no use to anybody.
struct Failure {
  std::optional<Error> error;

  void At(const Path& path, const std::string& what) {
    if (!error) error.emplace(ErrorCode::kInvalid, path.ToString() + ": " + what);
  }
  void Expected(const Path& path, std::string_view what, const boost::json::value& json) {
    At(path, "expected " + std::string(what) + ", got " + std::string(KindName(json)));
  }
};

template <typename T>
void Read(const boost::json::value& json, const Path& path, T& out, Failure& failure);

struct Reader {
  const boost::json::object& object;
  const Path& path;
  Failure& failure;

  template <typename T>
  void operator()(std::string_view name, T& out) {
    if (failure.error) return;
    const boost::json::value* json = object.if_contains(name);
    if constexpr (kIsOptional<T>) {
      out.reset();
      if (json == nullptr || json->is_null()) return;
      Read(*json, Path{&path, name, {}}, out.emplace(), failure);
    } else {
      if (json == nullptr) return failure.At(Path{&path, name, {}}, "missing");
      Read(*json, Path{&path, name, {}}, out, failure);
    }
  }
  template <typename T>
  void Defaulted(std::string_view name, T& out) {
    if (object.contains(name)) (*this)(name, out);
  }
  void Raw(std::string_view name, std::string& out) { Decoded(name, out, FromPrintable); }
  void Base64(std::string_view name, std::string& out) { Decoded(name, out, FromBase64); }

  void Decoded(std::string_view name, std::string& out, Result<std::string> (*decode)(std::string_view)) {
    std::string text;
    (*this)(name, text);
    if (failure.error) return;
    auto bytes = decode(text);
    if (!bytes) return failure.At(Path{&path, name, {}}, bytes.error().Message());
    out = std::move(*bytes);
  }
};

void ReadAction(const boost::json::value& json, const Path& path, Action& out, Failure& failure);
void ReadDigest(const boost::json::value& json, const Path& path, DigestBytes& out, Failure& failure);

template <typename T>
void ReadNumber(const boost::json::value& json, const Path& path, T& out, Failure& failure) {
  using Limits = std::numeric_limits<T>;
  if (json.is_int64() && std::in_range<T>(json.get_int64())) {
    out = static_cast<T>(json.get_int64());
  } else if (json.is_uint64() && std::in_range<T>(json.get_uint64())) {
    out = static_cast<T>(json.get_uint64());
  } else {
    std::string range = std::to_string(Limits::min()) + " to " + std::to_string(Limits::max());
    if (json.is_int64() || json.is_uint64()) {
      failure.At(path, "out of range; expected a whole number from " + range);
    } else {
      failure.Expected(path, "a whole number from " + range, json);
    }
  }
}

template <typename T>
void Read(const boost::json::value& json, const Path& path, T& out, Failure& failure) {
  if (failure.error) return;
  if constexpr (std::is_same_v<T, bool>) {
    if (!json.is_bool()) return failure.Expected(path, "true or false", json);
    out = json.get_bool();
  } else if constexpr (std::is_enum_v<T>) {
    if (!json.is_string()) return failure.Expected(path, "one of " + NameList<T>(), json);
    auto value = FromString<T>(std::string_view(json.get_string()));
    if (!value) {
      std::string text = ToPrintable(std::string_view(json.get_string()).substr(0, 64));
      return failure.At(path, "\"" + text + "\" is not known; expected one of " + NameList<T>());
    }
    out = *value;
  } else if constexpr (std::integral<T>) {
    ReadNumber(json, path, out, failure);
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!json.is_string()) return failure.Expected(path, "a string", json);
    out = std::string(std::string_view(json.get_string()));
  } else if constexpr (std::is_same_v<T, Sequence>) {
    std::uint64_t value = 0;
    ReadNumber(json, path, value, failure);
    out = Sequence(value);
  } else if constexpr (std::is_same_v<T, BatchDigest>) {
    ReadDigest(json, path, out.bytes, failure);
  } else if constexpr (std::is_same_v<T, DigestBytes>) {
    ReadDigest(json, path, out, failure);
  } else if constexpr (std::is_same_v<T, Action>) {
    ReadAction(json, path, out, failure);
  } else if constexpr (kIsVector<T>) {
    if (!json.is_array()) return failure.Expected(path, "an array", json);
    out.clear();
    const auto& array = json.get_array();
    out.reserve(array.size());
    for (std::size_t i = 0; i < array.size() && !failure.error; ++i) {
      Read(array[i], Path{&path, {}, i}, out.emplace_back(), failure);
    }
  } else {
    if (!json.is_object()) return failure.Expected(path, "an object", json);
    Reader reader{json.get_object(), path, failure};
    Fields(reader, out);
  }
}

// The whole of a message, by its root's name: "report", "command".
template <typename T>
Result<T> ReadRoot(const boost::json::value& json, std::string_view name) {
  T out;
  Failure failure;
  Read(json, Path{nullptr, name, {}}, out, failure);
  if (failure.error) return Fail(std::move(*failure.error));
  return out;
}

}  // namespace walstitch::codec
