// Random commands over a small keyspace, so small that they often meet on the same keys: every type that the
// server knows, several namespaces, MULTI, expiries, keys that are deleted, renamed and copied.
//
// All that is drawn follows from the seed and from which commands the server has, and not from what it
// answers: many commands are refused (WRONGTYPE, no such key), and these write nothing.
//
//   RandomHistory history(seed, namespaces, client);
//   history.PickHotKeys();
//   history.Write(client.port(), 40, {});
//
// Use from one thread.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/redis_client.h"

namespace walstitch::test {

struct NamespaceToken {
  std::string name;   // "__namespace" is the default one
  std::string token;  // what AUTH takes for it
};

// What a history may hold.
struct HistoryMix {
  bool only_additions = false;  // SET, HSET, SADD and ZADD, each on keys of its own type; nothing else
  bool other_types = true;      // commands on keys of another type, so that SET may replace a hash
  bool expiries = true;         // of keys with elements; strings may always expire
  bool deletes = true;          // DEL
  bool renames = true;          // RENAME and COPY, which keep a key's version
  bool flushes = true;          // FLUSHDB, rarely
  bool scripts = true;          // SCRIPT LOAD
};

class RandomHistory {
 public:
  // Asks the server which commands it has.
  RandomHistory(uint64_t seed, std::vector<NamespaceToken> namespaces, RedisClient& client);

  // What keys begin with, before a letter for their type and a number.
  static const std::vector<std::string>& Prefixes();

  // Keys that most commands of the next histories are about.
  void PickHotKeys();
  // From now on keys have other names than all before.
  void NextGeneration() { ++generation_; }

  // So many commands or transactions, on the server of that port. False if a connection broke.
  bool Write(uint16_t port, size_t commands, const HistoryMix& mix);

  // Since the last call, one a line, for people.
  std::string TakeText();
  // When the last of the expiries that were set to come soon comes; unix time in milliseconds.
  int64_t last_expiry_ms() const { return last_expiry_ms_; }
  // Keys that RENAME or COPY wrote, as DumpKeyspace names them. What lies hidden of their older versions may
  // come to light again.
  const std::set<std::string>& versions_kept() const { return versions_kept_; }
  const std::set<std::string>& scripts() const { return scripts_; }  // SHA-1, hexadecimal
  // By command, how many were answered without and with an error.
  struct Count {
    uint64_t done = 0;
    uint64_t refused = 0;
  };
  const std::map<std::string, Count>& counts() const { return counts_; }

 private:
  struct Place {
    size_t name_space = 0;
    size_t prefix = 0;
    char type = 's';
    uint64_t number = 0;
  };

  uint64_t Below(uint64_t limit) { return engine_() % limit; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  bool Has(const std::string& command) const { return commands_.count(command) != 0; }
  std::string Number() { return std::to_string(Below(2000)); }
  std::string Element() { return "element-" + std::to_string(Below(8)); }
  std::string Value();
  std::string Soon();  // in milliseconds
  Place DrawPlace(size_t name_space);
  // One that is about, more often than not.
  Place Draw(size_t name_space);
  std::string KeyName(const Place& place) const;
  using Words = std::vector<std::string>;
  Words Command(const HistoryMix& mix, size_t name_space);
  Words Addition(const Place& place);
  Words OfType(char type, const std::string& key);
  Words OfAnyKey(const HistoryMix& mix, const Place& place);
  Words OfNoKey(const HistoryMix& mix);
  void Note(size_t name_space, const Words& command, const Reply& reply);

  std::mt19937_64 engine_;
  std::vector<NamespaceToken> namespaces_;
  std::set<std::string> commands_;  // of those that are drawn here
  std::string types_;               // a letter for each
  std::vector<Place> hot_;
  uint64_t generation_ = 0;
  std::string text_;
  int64_t last_expiry_ms_ = 0;
  std::set<std::string> versions_kept_;
  std::set<std::string> scripts_;
  std::map<std::string, Count> counts_;
};

}  // namespace walstitch::test
