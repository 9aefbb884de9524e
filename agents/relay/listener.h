// The relay's listener: what strangers may do, who connected, and who was sent away. Plain data.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace walstitch::relay {

// Of whoever has no role yet (node_session.h).
struct SessionLimits {
  std::chrono::milliseconds first_command{10000};  // from the beginning to the end of the first one
  std::chrono::milliseconds role{30000};           // from the beginning until it has a role
  // While a full sync is fetched, a node may look through its files between two commands.
  std::chrono::milliseconds silence_during_fetch{60000};
  // What it has said and was not understood yet. Only `_fetch_file` is longer (resp_reader.h).
  std::size_t bytes = 16384;
  // Of a second node, for the first one's end to be seen.
  std::chrono::milliseconds second_node{1000};
};

// Why somebody was not served.
enum class Refused {
  kGarbage,   // no command of a node: not RESP at all
  kTls,       // TLS, where none is spoken, or without an end to its handshake
  kForeign,   // a command, and none of replication
  kPassword,  // none, or another than is asked for
  kTooLarge,  // a command that is longer than any that is honest at that time
  kSlow,      // did not say in time what it wanted
  kSecond,    // wanted to be the node while the node's own connection stood
  kFull,      // as many as may be were connected, and all of them were served
  kEvicted,   // had not said what it wanted when another needed the room
};
inline constexpr std::size_t kRefusedCount = 9;

constexpr std::string_view ToString(Refused refused) {
  switch (refused) {
    case Refused::kGarbage:
      return "garbage";
    case Refused::kTls:
      return "tls";
    case Refused::kForeign:
      return "foreign";
    case Refused::kPassword:
      return "password";
    case Refused::kTooLarge:
      return "too_large";
    case Refused::kSlow:
      return "slow";
    case Refused::kSecond:
      return "second";
    case Refused::kFull:
      return "full";
    case Refused::kEvicted:
      return "evicted";
  }
  return "";
}

struct ListenerCounts {
  std::uint64_t accepted = 0;                          // connections
  std::uint64_t open = 0;                              // of them now
  std::array<std::uint64_t, kRefusedCount> refused{};  // by Refused, in its order
  [[nodiscard]] std::uint64_t Of(Refused why) const { return refused[static_cast<std::size_t>(why)]; }
};

}  // namespace walstitch::relay
