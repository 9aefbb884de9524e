// Reads the commands that a node sends: RESP arrays of bulk strings, as Kvrocks' replica side and any
// client library write them. Incremental: bytes go in as they come, whole commands come out.
//
// Pure: no socket, no clock. Bounded: a command has at most kMaxArguments arguments and kMaxCommandBytes
// bytes; whatever breaks that, or is no such array (an inline command, HTTP, noise), is an Error, after
// which the reader is of no more use. Not thread-safe; owns its bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/result.h"

namespace walstitch::relay {

inline constexpr std::size_t kMaxArguments = 64;
// `_fetch_file` names every file that one connection fetches: eleven bytes each, 90,000 files at most.
inline constexpr std::size_t kMaxCommandBytes = std::size_t{1} << 20;

using RespCommand = std::vector<std::string>;

class RespReader {
 public:
  void Append(std::string_view bytes);

  // The next whole command; nullopt: more bytes are needed.
  Result<std::optional<RespCommand>> Next();

  // How much was appended and not yet read as a command.
  [[nodiscard]] std::size_t Pending() const { return bytes_.size() - read_; }

  // What was appended and not yet read as a command. Empties the reader.
  std::string TakeRest();

 private:
  std::string bytes_;
  std::size_t read_ = 0;  // bytes_ before this belong to commands already given out
};

// The command as the wire has it.
std::string EncodeResp(const RespCommand& command);

}  // namespace walstitch::relay
