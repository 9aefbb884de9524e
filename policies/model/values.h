// What agents ask each other of the values of keys (agents/agent/key_service.h), and what comes of comparing
// and repairing them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policies/model/sequence.h"
#include "policies/model/user_key.h"

namespace walstitch {

struct KeysQuestion {
  std::vector<UserKeyName> keys;
};

// A key's value, as one node has it.
struct ValueState {
  std::string type;                         // as the server names it; empty: there is no such key
  std::string digest;                       // of type and elements, hexadecimal
  std::optional<std::int64_t> expire_ms{};  // unix time; absent: it does not expire
  std::uint32_t expire_error_ms = 0;        // how far off that may be
  std::string why;                          // not empty: it could not be read, and why
  bool passing = false;                     // it may be another time
};

struct ValuesAnswer {
  Sequence from;                   // the node's last before they were read
  Sequence last;                   // and after
  std::vector<ValueState> values;  // in the question's order
};

// Which of some keys cannot be rewritten on this node, the master: their places in the question, ascending.
struct UnrepairableKey {
  std::uint64_t at = 0;
  std::string why;  // one sentence
};
struct RepairableAnswer {
  std::vector<UnrepairableKey> cannot;
  std::vector<std::string> types;  // of every key, as the server names them; empty: it is not there
};

// Of keys that were read on both nodes at one sequence.
struct Comparison {
  std::uint64_t equal = 0;
  std::uint64_t differ = 0;
  std::vector<UserKeyName> differing;  // the first kMostNamed of them
  // Types that no command reads in full, and values that are too large.
  std::uint64_t unreadable = 0;
  std::vector<KeyProblem> unread;  // the first of them
  // Keys that changed whenever they were looked at.
  std::uint64_t restless = 0;
  std::vector<UserKeyName> never_still;  // the first of them
};

// On the master.
struct RepairReport {
  std::uint64_t repaired = 0;
  std::uint64_t evicted = 0;
  std::uint64_t failed = 0;
  std::vector<KeyProblem> failures;  // the first kMostNamed of them
};

inline constexpr std::size_t kMostNamed = 100;

}  // namespace walstitch
