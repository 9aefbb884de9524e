#include "tests/support/random_history.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <utility>

#include "tests/support/keyspace.h"

namespace walstitch::test {
namespace {

constexpr size_t kHotKeys = 8;
// Of each prefix and type: few, so that histories meet.
constexpr uint64_t kNumbers = 4;
// Keys from this number on are renamed and copied, over each other.
constexpr uint64_t kRenamedFrom = 2;
constexpr int64_t kFarMs = 4102444800000;  // in 2100

struct TypeWord {
  char letter;
  const char* command;  // without which there is no such type
};
constexpr std::array<TypeWord, 11> kTypes = {{{'s', "SET"},
                                              {'h', "HSET"},
                                              {'l', "RPUSH"},
                                              {'e', "SADD"},
                                              {'z', "ZADD"},
                                              {'b', "SETBIT"},
                                              {'i', "SIADD"},
                                              {'x', "XADD"},
                                              {'j', "JSON.SET"},
                                              {'f', "BF.RESERVE"},
                                              {'y', "PFADD"}}};

const char* const kCommands[] = {"SET",
                                 "SETNX",
                                 "PSETEX",
                                 "GETSET",
                                 "GETDEL",
                                 "APPEND",
                                 "SETRANGE",
                                 "INCR",
                                 "INCRBY",
                                 "DECR",
                                 "MSET",
                                 "HSET",
                                 "HMSET",
                                 "HSETNX",
                                 "HDEL",
                                 "HINCRBY",
                                 "RPUSH",
                                 "LPUSH",
                                 "RPOP",
                                 "LPOP",
                                 "LSET",
                                 "LINSERT",
                                 "LREM",
                                 "LTRIM",
                                 "LMOVE",
                                 "SADD",
                                 "SREM",
                                 "SPOP",
                                 "SMOVE",
                                 "ZADD",
                                 "ZREM",
                                 "ZINCRBY",
                                 "ZPOPMIN",
                                 "ZREMRANGEBYRANK",
                                 "GEOADD",
                                 "SETBIT",
                                 "BITOP",
                                 "SIADD",
                                 "SIREM",
                                 "XADD",
                                 "XTRIM",
                                 "XDEL",
                                 "XGROUP",
                                 "XREADGROUP",
                                 "XACK",
                                 "XSETID",
                                 "JSON.SET",
                                 "JSON.NUMINCRBY",
                                 "JSON.ARRAPPEND",
                                 "JSON.MERGE",
                                 "JSON.DEL",
                                 "BF.RESERVE",

                                 "PFADD",
                                 "DEL",
                                 "UNLINK",
                                 "EXPIRE",
                                 "PEXPIRE",
                                 "PEXPIREAT",
                                 "PERSIST",
                                 "RENAME",
                                 "COPY",
                                 "FLUSHDB",
                                 "SCRIPT",
                                 "PUBLISH"};

// They write what they read; behind other writes of the transaction, Kvrocks reads it from the very batch
// that it writes to, which moves.
bool CrashesInTransactions(const std::string& command) {
  return command == "LINSERT" || command == "LREM" || command == "RENAME" || command == "COPY";
}

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

RandomHistory::RandomHistory(uint64_t seed, std::vector<NamespaceToken> namespaces, RedisClient& client)
    : engine_(seed), namespaces_(std::move(namespaces)) {
  Words question = {"COMMAND", "INFO"};
  question.insert(question.end(), std::begin(kCommands), std::end(kCommands));
  const Reply answer = client.Command(question);
  for (size_t i = 0; i < answer.items.size() && i + 2 < question.size(); ++i) {
    if (answer.items[i].kind == Reply::Kind::kArray && !answer.items[i].items.empty()) {
      commands_.insert(question[i + 2]);
    }
  }
  for (const TypeWord& type : kTypes) {
    if (Has(type.command)) types_.push_back(type.letter);
  }
}

const std::vector<std::string>& RandomHistory::Prefixes() {
  static const std::vector<std::string> prefixes = {"page:", "sess:", "cart:", "order:"};
  return prefixes;
}

void RandomHistory::PickHotKeys() {
  hot_.clear();
  for (size_t i = 0; i < kHotKeys; ++i) hot_.push_back(DrawPlace(Below(namespaces_.size())));
}

RandomHistory::Place RandomHistory::DrawPlace(size_t name_space) {
  Place place;
  place.name_space = name_space;
  place.prefix = Below(Prefixes().size());
  place.type = types_[Below(types_.size())];
  place.number = Below(kNumbers);
  return place;
}

RandomHistory::Place RandomHistory::Draw(size_t name_space) {
  std::vector<Place> near;
  std::copy_if(hot_.begin(), hot_.end(), std::back_inserter(near),
               [&](const Place& place) { return place.name_space == name_space; });
  if (!near.empty() && !OneIn(3)) return near[Below(near.size())];
  return DrawPlace(name_space);
}

// Some names hold bytes that are no text.
std::string RandomHistory::KeyName(const Place& place) const {
  std::string name = Prefixes()[place.prefix] + place.type + "-" + std::to_string(place.number);
  if (place.number == 1) name += std::string("\xff\x00\r\n", 4);
  if (generation_ > 0) name += "-" + std::to_string(generation_);
  return name;
}

std::string RandomHistory::Value() {
  switch (Below(8)) {
    case 0:
      return Number();
    case 1: {
      static const char* const texts[] = {"007", "-0", "1e3", "+5", " 7", "3.0", "", "9223372036854775807"};
      return texts[Below(std::size(texts))];
    }
    case 2: {
      std::string noise(1 + Below(40), '\0');
      for (char& c : noise) c = static_cast<char>(Below(256));
      return noise;
    }
    case 3:
      return std::string(1 + Below(OneIn(4) ? 20000 : 400), static_cast<char>('a' + Below(26)));
    default:
      return "value-" + std::to_string(Below(1000));
  }
}

std::string RandomHistory::Soon() {
  const auto left_ms = static_cast<int64_t>(1 + Below(OneIn(2) ? 100 : 1000));
  last_expiry_ms_ = std::max(last_expiry_ms_, NowMs() + left_ms);
  return std::to_string(left_ms);
}

RandomHistory::Words RandomHistory::Addition(const Place& place) {
  const std::string key = KeyName(place);
  switch (place.type) {
    case 'h':
      if (OneIn(2)) return {"HSET", key, Element(), Value()};
      return {"HSET", key, Element(), Value(), Element(), Value()};
    case 'e':
      if (OneIn(2)) return {"SADD", key, Element()};
      return {"SADD", key, Element(), Element(), Value()};
    case 'z':
      if (OneIn(2)) return {"ZADD", key, Number(), Element()};
      return {"ZADD", key, Number(), Element(), "-1.5", Element(), "inf", Value()};
    default:
      return {"SET", key, Value()};
  }
}

RandomHistory::Words RandomHistory::OfType(char type, const std::string& key) {
  Place place;
  place.prefix = Below(Prefixes().size());
  place.type = type;
  place.number = Below(kNumbers);
  const std::string other = KeyName(place);
  const auto first_of = [&](std::vector<Words> choices) { return choices[Below(choices.size())]; };
  const std::string in_a_while = std::to_string(kFarMs + static_cast<int64_t>(Below(1000)) - NowMs());
  switch (type) {
    case 's':
      return first_of({{"SET", key, Value()},
                       {"SET", key, Value()},
                       {"SET", key, Number()},
                       {"SETNX", key, Value()},
                       {"PSETEX", key, OneIn(2) ? Soon() : in_a_while, Value()},
                       {"GETSET", key, Value()},
                       {"GETDEL", key},
                       {"APPEND", key, Value()},
                       {"SETRANGE", key, std::to_string(Below(50)), Value()},
                       {"INCR", key},
                       {"INCRBY", key, Number()},
                       {"DECR", key},
                       {"MSET", key, Value(), other, Value()}});
    case 'h':
      return first_of({{"HSET", key, Element(), Value()},
                       {"HSET", key, Element(), Number(), Element(), Value()},
                       {"HMSET", key, Element(), Value()},
                       {"HSETNX", key, Element(), Value()},
                       {"HDEL", key, Element()},
                       {"HDEL", key, Element(), Element(), Element()},
                       {"HINCRBY", key, Element(), Number()}});
    case 'l':
      return first_of({{"RPUSH", key, Value()},
                       {"RPUSH", key, Value(), Element(), Element()},
                       {"LPUSH", key, Element(), Value()},
                       {"RPOP", key},
                       {"LPOP", key},
                       {"LSET", key, std::to_string(Below(4)), Value()},
                       {"LINSERT", key, "BEFORE", Element(), Value()},
                       {"LREM", key, "1", Element()},
                       {"LTRIM", key, std::to_string(Below(2)), "-2"},
                       {"LMOVE", key, other, "LEFT", "RIGHT"}});
    case 'e':
      return first_of({{"SADD", key, Element(), Value()},
                       {"SADD", key, Element(), Element(), Element()},
                       {"SREM", key, Element()},
                       {"SREM", key, Element(), Element(), Element()},
                       {"SPOP", key},
                       {"SMOVE", key, other, Element()}});
    case 'z':
      return first_of({{"ZADD", key, Number(), Element()},
                       {"ZADD", key, "-1.5", Element(), "0.1", Element(), "-inf", Value()},
                       {"ZADD", key, "NX", Number(), Element()},
                       {"ZREM", key, Element()},
                       {"ZREM", key, Element(), Element(), Element()},
                       {"ZINCRBY", key, Number(), Element()},
                       {"ZPOPMIN", key},
                       {"ZREMRANGEBYRANK", key, "0", std::to_string(Below(3))},
                       {"GEOADD", key, "13.3", "38.1", Element()}});
    case 'b':
      return first_of({{"SETBIT", key, std::to_string(Below(100)), "1"},
                       {"SETBIT", key, std::to_string(Below(40000)), std::to_string(Below(2))},
                       {"BITOP", "OR", key, key, other}});
    case 'i':
      return first_of({{"SIADD", key, Number()},
                       {"SIADD", key, std::to_string(Below(9)), std::to_string(Below(9)), Number()},
                       {"SIREM", key, std::to_string(Below(9))}});
    case 'x':
      return first_of({{"XADD", key, "*", Element(), Value()},
                       {"XADD", key, "*", Element(), Value(), Element(), Value()},
                       {"XADD", key, "MAXLEN", "3", "*", Element(), Value()},
                       {"XTRIM", key, "MAXLEN", std::to_string(Below(3))},
                       {"XDEL", key, "0-1"},
                       {"XGROUP", "CREATE", key, "group-" + std::to_string(Below(2)), "0"},
                       {"XREADGROUP", "GROUP", "group-0", "reader", "COUNT", "2", "STREAMS", key, ">"},
                       {"XGROUP", "DESTROY", key, "group-1"},
                       {"XADD", key, std::to_string(kFarMs) + "-*", Element(), Value()}});
    case 'j':
      return first_of({{"JSON.SET", key, "$", R"({"a":1,"b":[1,2],"c":")" + Number() + "\"}"},
                       {"JSON.SET", key, "$.d", Number()},
                       {"JSON.NUMINCRBY", key, "$.a", Number()},
                       {"JSON.ARRAPPEND", key, "$.b", Number()},
                       {"JSON.MERGE", key, "$", R"({"e":{"f":)" + Number() + "}}"},
                       {"JSON.DEL", key, OneIn(3) ? "$" : "$.a"}});
    case 'f':
      // No BF.ADD: to a filter that was flushed, or that a restart brought back, it crashes Kvrocks.
      return {"BF.RESERVE", key, "0.01", std::to_string(4 + Below(100)), "EXPANSION", "2"};
    default:
      return {"PFADD", key, Value(), Element(), Number()};
  }
}

RandomHistory::Words RandomHistory::OfAnyKey(const HistoryMix& mix, const Place& place) {
  const std::string key = KeyName(place);
  const bool may_expire = mix.expiries || place.type == 's' || place.type == 'j';
  if (mix.renames && place.number >= kRenamedFrom && OneIn(3)) {
    Place other = DrawPlace(place.name_space);
    if (!OneIn(4)) other.type = place.type;
    other.number = kRenamedFrom + Below(kNumbers - kRenamedFrom);
    const std::string to = KeyName(other);
    const bool copies = Has("COPY") && OneIn(2);
    const std::string& name_space = namespaces_[place.name_space].name;
    versions_kept_.insert({name_space + ":" + key, name_space + ":" + to});
    if (copies) return {"COPY", key, to, "REPLACE"};
    return {"RENAME", key, to};
  }
  const uint64_t choices = (may_expire ? 6U : 0U) + (mix.deletes ? 2U : 0U);
  if (choices == 0) return OfType(place.type, key);
  switch (may_expire ? Below(choices) : 7) {
    case 0:
      return {"PEXPIRE", key, Soon()};
    case 1:
      return {"EXPIRE", key, "1000000"};
    case 2:
    case 3:
      return {"PEXPIREAT", key, std::to_string(kFarMs + static_cast<int64_t>(Below(1000)))};
    case 4:
      return {"PEXPIREAT", key, OneIn(2) ? "1000" : std::to_string(NowMs())};
    case 5:
      return {"PERSIST", key};
    default:
      return OneIn(3) ? Words{"UNLINK", key} : Words{"DEL", key};
  }
}

// None, most of the time.
RandomHistory::Words RandomHistory::OfNoKey(const HistoryMix& mix) {
  if (OneIn(40)) return {"PUBLISH", "channel", Value()};
  if (mix.scripts && OneIn(100)) return {"SCRIPT", "LOAD", "return " + Number()};
  if (mix.flushes && OneIn(300)) return {"FLUSHDB"};
  return {};
}

RandomHistory::Words RandomHistory::Command(const HistoryMix& mix, size_t name_space) {
  while (true) {
    Place place = Draw(name_space);
    Words words;
    if (mix.only_additions) {
      static const std::string additions = "shez";
      if (additions.find(place.type) == std::string::npos) place.type = additions[Below(4)];
      words = Addition(place);
    } else if (Words of_no_key = OfNoKey(mix); !of_no_key.empty()) {
      words = std::move(of_no_key);
    } else if (OneIn(5)) {
      words = OfAnyKey(mix, place);
    } else {
      const bool other = mix.other_types && OneIn(15);
      words = OfType(other ? types_[Below(types_.size())] : place.type, KeyName(place));
    }
    if (Has(words[0])) return words;
  }
}

bool RandomHistory::Write(uint16_t port, size_t commands, const HistoryMix& mix) {
  std::vector<std::unique_ptr<RedisClient>> clients;
  for (const NamespaceToken& name_space : namespaces_) {
    clients.push_back(std::make_unique<RedisClient>(port));
    if (!name_space.token.empty() && !(*clients.back())("AUTH", name_space.token).IsOk()) return false;
  }
  for (size_t i = 0; i < commands; ++i) {
    // The first one has the most.
    const size_t name_space = OneIn(2) ? 0 : Below(namespaces_.size());
    RedisClient& client = *clients[name_space];
    if (!OneIn(10)) {
      const Words words = Command(mix, name_space);
      Note(name_space, words, client.Command(words));
      continue;
    }
    std::vector<Words> transaction;
    for (uint64_t left = 2 + Below(4); left > 0; --left) {
      transaction.push_back(Command(mix, name_space));
      if (CrashesInTransactions(transaction.back()[0])) transaction.pop_back();
    }
    client("MULTI");
    for (const Words& words : transaction) client.Command(words);
    const Reply replies = client("EXEC");
    text_ += "EXEC of:\n";
    for (size_t at = 0; at < transaction.size(); ++at) {
      Note(name_space, transaction[at], at < replies.items.size() ? replies.items[at] : replies);
    }
  }
  return std::all_of(clients.begin(), clients.end(),
                     [](const auto& client) { return client->IsConnected(); });
}

void RandomHistory::Note(size_t name_space, const Words& command, const Reply& reply) {
  Count& count = counts_[command[0]];
  ++(reply.IsError() || reply.IsBroken() ? count.refused : count.done);
  if (command[0] == "SCRIPT" && reply.kind == Reply::Kind::kString) scripts_.insert(reply.text);
  text_ += namespaces_[name_space].name;
  for (const std::string& word : command) {
    text_ += " " + (word.size() > 100 ? Quote(word.substr(0, 100)) + "..." : Quote(word));
  }
  text_ += " -> " + Quote(ToString(reply).substr(0, 100)) + "\n";
}

std::string RandomHistory::TakeText() { return std::exchange(text_, ""); }

}  // namespace walstitch::test
