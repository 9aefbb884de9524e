// Redis' protocol on the server's side: requests as clients write them, and replies in both versions of it,
// RESP2 and RESP3. Pure: no socket, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policies/model/result.h"

namespace walstitch::sentinel {

using Request = std::vector<std::string>;  // the command's name first; never empty

struct RequestLimits {
  std::size_t arguments = 128;
  std::size_t bytes = 16 * 1024;  // of one request, as it comes
};

// Incremental: bytes go in as they come, whole requests come out. Takes arrays of bulk strings, and inline
// commands as a person types them. Whatever is neither, or beyond the limits, is an Error (kInvalid) in
// Redis' own words, after which the reader is of no more use. Holds no more than the limit and what was
// appended last. Not thread-safe; owns its bytes.
class RequestReader {
 public:
  explicit RequestReader(RequestLimits limits = {}) : limits_(limits) {}

  void Append(std::string_view bytes);
  // nullopt: more bytes are needed.
  Result<std::optional<Request>> Next();
  // A request has begun, and has not ended.
  [[nodiscard]] bool HasBegun() const { return read_ < bytes_.size(); }

 private:
  Result<std::optional<Request>> NextArray();
  Result<std::optional<Request>> NextInline();

  RequestLimits limits_;
  std::string bytes_;
  std::size_t read_ = 0;  // bytes_ before this belong to requests already given out
};

enum class Protocol { kResp2 = 2, kResp3 = 3 };

// A reply, whatever the protocol: what RESP2 has no word for becomes what Redis makes of it there.
struct Reply {
  enum class Kind {
    kSimple,     // +OK
    kError,      // -ERR …
    kInteger,    // :1
    kBulk,       // $2 hi
    kVerbatim,   // RESP3: =, text; RESP2: a bulk string
    kNull,       // RESP3: _; RESP2: $-1
    kNullArray,  // RESP3: _; RESP2: *-1
    kArray,      // *
    kMap,        // RESP3: %, RESP2: * of twice as many; items are keys and values in turn
    kSet,        // RESP3: ~, RESP2: *
    kPush,       // RESP3: >, RESP2: *
  };
  Kind kind = Kind::kNull;
  std::string text{};
  std::int64_t integer = 0;
  std::vector<Reply> items{};

  static Reply Simple(std::string text) { return {Kind::kSimple, std::move(text)}; }
  static Reply Fault(std::string text) { return {Kind::kError, std::move(text)}; }  // with its code
  static Reply Number(std::int64_t number) { return {Kind::kInteger, {}, number}; }
  static Reply Bulk(std::string text) { return {Kind::kBulk, std::move(text)}; }
  static Reply Verbatim(std::string text) { return {Kind::kVerbatim, std::move(text)}; }
  static Reply Null() { return {Kind::kNull}; }
  static Reply NullArray() { return {Kind::kNullArray}; }
  static Reply Array(std::vector<Reply> items = {}) { return {Kind::kArray, {}, 0, std::move(items)}; }
  static Reply Map(std::vector<Reply> items = {}) { return {Kind::kMap, {}, 0, std::move(items)}; }
  static Reply Set(std::vector<Reply> items = {}) { return {Kind::kSet, {}, 0, std::move(items)}; }
  static Reply Push(std::vector<Reply> items) { return {Kind::kPush, {}, 0, std::move(items)}; }
  static Reply Ok() { return Simple("OK"); }
};

// As the wire has it. Line breaks in simple strings and errors become blanks: they would end the reply.
std::string Encode(const Reply& reply, Protocol protocol);

}  // namespace walstitch::sentinel
