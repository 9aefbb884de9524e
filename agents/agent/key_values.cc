#include "agents/agent/key_values.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "agents/agent/wall_clock.h"
#include "policies/model/bytes.h"
#include "policies/model/types.h"

namespace walstitch::agent {

namespace {

using node::NodeCommand;
using node::NodeReply;
using Kind = node::NodeReply::Kind;

constexpr std::chrono::milliseconds kTimeout{5000};
// A key that takes too long is noted; after so many in a row the server is asked whether it answers at all.
constexpr int kMaxTimeouts = 3;
// A time to live is read with a clock's error on both sides.
constexpr std::int64_t kSameExpiryMs = 1000;
constexpr std::size_t kElementsPerCommand = 1000;
constexpr std::chrono::seconds kTokensStand{1};
constexpr std::size_t kKeysAtATime = 200;
// Of a value that is only compared.
constexpr std::uint64_t kMaxStateBytes = std::uint64_t{64} << 20;
constexpr std::int64_t kMaxStateElements = 1000000;
constexpr std::chrono::milliseconds kStateTimeout{20000};

// An answer that may be another one soon: nothing is known of the key.
bool IsPassing(std::string_view error) {
  for (const std::string_view begin : {"LOADING", "MASTERDOWN", "NOAUTH", "ERR max number of clients"}) {
    if (error.starts_with(begin)) return true;
  }
  return false;
}

Error Passing(std::string_view command, const NodeReply& reply) {
  return Error(ErrorCode::kUnavailable,
               std::string(command) + ": the server answered: " + ToPrintable(reply.text));
}

struct Reading {
  const char* type;
  const char* count;                  // the command that tells how many elements, or bytes
  std::vector<const char*> elements;  // what stands before and behind the key in the one that gives them
};

const Reading* ReadingOf(std::string_view type) {
  static const std::vector<Reading> readings = {
      {"string", "STRLEN", {"GET"}},
      {"hash", "HLEN", {"HGETALL"}},
      {"list", "LLEN", {"LRANGE", "0", "-1"}},
      {"set", "SCARD", {"SMEMBERS"}},
      {"zset", "ZCARD", {"ZRANGE", "0", "-1", "WITHSCORES"}},
  };
  for (const Reading& reading : readings) {
    if (type == reading.type) return &reading;
  }
  return nullptr;
}

NodeCommand WithKey(const std::vector<const char*>& words, const std::string& key) {
  NodeCommand command;
  for (const char* word : words) {
    command.emplace_back(word);
    if (command.size() == 1) command.push_back(key);
  }
  return command;
}

struct Expiry {
  std::optional<std::int64_t> at_ms;
  std::uint32_t error_ms = 0;
};

// By PEXPIRETIME, which is exact, where the server knows it; else by PTTL.
Expiry ExpiryOf(const NodeReply& left, const NodeReply& exact, std::int64_t now_ms) {
  if (exact.kind == Kind::kNumber && exact.number > 0) return {exact.number, 0};
  if (left.kind == Kind::kNumber && left.number >= 0) return {now_ms + left.number, kSameExpiryMs};
  return {};
}

// What to ask for all that tells two values of a type apart; empty: there is no such command.
std::vector<NodeCommand> QuestionsOfState(std::string_view type, const std::string& key) {
  if (const Reading* reading = ReadingOf(type)) {
    return {WithKey(reading->elements, key)};
  }
  if (type == "bitmap") return {{"DUMP", key}};
  if (type == "sortedint") return {{"SIRANGE", key, "0", std::to_string(kMaxStateElements)}};
  if (type == "ReJSON-RL") return {{"JSON.GET", key}};
  if (type == "stream")
    return {{"XRANGE", key, "-", "+"}, {"XINFO", "STREAM", key}, {"XINFO", "GROUPS", key}};
  return {};
}

// A digest over what the server gave, whatever order it keeps.
class ValueDigester {
 public:
  explicit ValueDigester(std::string_view type)
      : pairs_(type == "hash"), unordered_(pairs_ || type == "set") {
    AddText(type);
  }

  void Add(const NodeReply& reply) {
    if (!unordered_ || reply.kind != Kind::kList) return AddReply(reply);
    const std::size_t width = pairs_ ? 2 : 1;
    std::vector<std::pair<std::string_view, std::string_view>> parts;
    for (std::size_t i = 0; i + width <= reply.list.size(); i += width) {
      parts.emplace_back(reply.list[i].text, pairs_ ? std::string_view(reply.list[i + 1].text) : "");
    }
    std::sort(parts.begin(), parts.end());
    AddText("list of " + std::to_string(reply.list.size()));
    for (const auto& [first, second] : parts) {
      AddText(first);
      if (pairs_) AddText(second);
    }
  }

  std::string Finish() { return sha_.FinishHex(); }

 private:
  void AddReply(const NodeReply& reply) {
    switch (reply.kind) {
      case Kind::kList:
        AddText("list of " + std::to_string(reply.list.size()));
        for (const NodeReply& each : reply.list) AddReply(each);
        return;
      case Kind::kNumber:
        return AddText("number " + std::to_string(reply.number));
      case Kind::kText:
      case Kind::kError:
        AddText("text");
        return AddText(reply.text);
      case Kind::kNil:
      case Kind::kTooLarge:
        return AddText("nil");
    }
  }
  void AddText(std::string_view text) {
    sha_.Add(std::to_string(text.size()) + ":");
    sha_.Add(text);
  }

  bool pairs_;
  bool unordered_;
  Sha256Stream sha_;
};

void NotKept(SalvagedValue* value, std::string why) {
  value->key.kept = KeptAs::kNotKept;
  value->key.why = std::move(why);
  value->elements.clear();
}

void Absent(SalvagedValue* value) {
  value->key.kept = KeptAs::kAbsent;
  value->key.type.clear();
  value->key.expire_ms.reset();
  value->elements.clear();
}

// Hashes and sets have no order of their own: pairs, or members, sorted.
std::vector<std::vector<std::string>> Comparable(const SalvagedValue& value) {
  const std::size_t width = value.key.type == "hash" ? 2 : 1;
  std::vector<std::vector<std::string>> parts;
  for (std::size_t i = 0; i + width <= value.elements.size(); i += width) {
    parts.emplace_back(value.elements.begin() + static_cast<std::ptrdiff_t>(i),
                       value.elements.begin() + static_cast<std::ptrdiff_t>(i + width));
  }
  if (value.key.type == "hash" || value.key.type == "set") std::sort(parts.begin(), parts.end());
  return parts;
}

}  // namespace

ValueClient::ValueClient(node::ClientOptions administrator)
    : options_(std::move(administrator)), administrator_(options_), waiting_(options_) {}

Result<node::KvrocksClient*> ValueClient::Enter(const std::string& name_space) {
  if (name_space == kDefaultNamespace) return &administrator_;
  if (auto known = clients_.find(name_space); known != clients_.end()) return known->second.get();
  auto token = tokens_.find(name_space);
  if (token == tokens_.end()) {
    if (auto learnt = LearnTokens(); !learnt) return Fail(learnt.error());
    token = tokens_.find(name_space);
  }
  if (token == tokens_.end()) {
    return Fail(ErrorCode::kNotFound, "the server has no namespace " + ToPrintable(name_space));
  }
  node::ClientOptions options = options_;
  options.password = token->second;
  auto& client = clients_[name_space];
  client = std::make_unique<node::KvrocksClient>(std::move(options));
  return client.get();
}

// A namespace may be made at any time; but not for every key of one that is not there the server is asked.
Result<void> ValueClient::LearnTokens() {
  const auto now = std::chrono::steady_clock::now();
  if (tokens_asked_ && now - *tokens_asked_ < kTokensStand) return {};
  auto replies = administrator_.Send({{"NAMESPACE", "GET", "*"}}, {.timeout = kTimeout});
  if (!replies) return Fail(replies.error());
  const NodeReply& reply = replies->front();
  if (reply.kind == Kind::kError && IsPassing(reply.text)) return tl::unexpected(Passing("NAMESPACE", reply));
  if (reply.kind == Kind::kList) {
    for (std::size_t i = 0; i + 1 < reply.list.size(); i += 2)
      tokens_[reply.list[i].text] = reply.list[i + 1].text;
  }
  tokens_asked_ = now;
  return {};
}

void ValueClient::ForgetNamespaces() {
  tokens_.clear();
  tokens_asked_.reset();
  clients_.clear();
}

// EXEC waits for every command that was begun before it, and is empty.
Result<void> ValueClient::AwaitCommands() {
  auto replies = waiting_.Send({{"MULTI"}, {"EXEC"}}, {.timeout = kTimeout});
  if (!replies) return Fail(replies.error());
  if (replies->back().kind == Kind::kError)
    return Fail(ErrorCode::kConflict, ToPrintable(replies->back().text));
  return {};
}

Result<std::vector<SalvagedValue>> ValueClient::Read(const std::vector<UserKeyName>& keys) {
  std::vector<SalvagedValue> values(keys.size());
  for (std::size_t from = 0; from < keys.size();) {
    std::size_t to = from;
    while (to < keys.size() && keys[to].name_space == keys[from].name_space) ++to;
    if (auto read = ReadNamespace(keys[from].name_space, keys, from, to, &values); !read) {
      return Fail(read.error());
    }
    from = to;
  }
  return values;
}

Result<void> ValueClient::ReadNamespace(const std::string& name_space, const std::vector<UserKeyName>& keys,
                                        std::size_t from, std::size_t to,
                                        std::vector<SalvagedValue>* values) {
  for (std::size_t i = from; i < to; ++i) {
    (*values)[i].key.name_space = keys[i].name_space;
    (*values)[i].key.key = keys[i].key;
  }
  auto client = Enter(name_space);
  if (!client && client.error().Code() == ErrorCode::kNotFound) {
    for (std::size_t i = from; i < to; ++i) NotKept(&(*values)[i], client.error().Message());
    return {};
  }
  if (!client) return Fail(client.error());
  std::vector<NodeCommand> questions;
  for (std::size_t i = from; i < to; ++i) {
    questions.push_back({"TYPE", keys[i].key});
    questions.push_back({"PTTL", keys[i].key});
    questions.push_back({"PEXPIRETIME", keys[i].key});
  }
  auto answers = (*client)->Send(questions, {.timeout = kTimeout});
  if (!answers) return Fail(answers.error());
  const std::int64_t now_ms = UnixMs();
  for (std::size_t i = from; i < to; ++i) {
    SalvagedValue& value = (*values)[i];
    const NodeReply& type = (*answers)[3 * (i - from)];
    const NodeReply& left = (*answers)[3 * (i - from) + 1];
    const NodeReply& expires = (*answers)[3 * (i - from) + 2];
    if (type.kind == Kind::kError && IsPassing(type.text)) return tl::unexpected(Passing("TYPE", type));
    if (type.kind == Kind::kError) {
      NotKept(&value, "TYPE: the server answered: " + ToPrintable(type.text));
      continue;
    }
    if (type.text == "none") {
      Absent(&value);
      continue;
    }
    value.key.type = ToPrintable(type.text);
    value.key.expire_ms = ExpiryOf(left, expires, now_ms).at_ms;
    if (auto read = ReadOne(**client, &value); !read) return read;
  }
  return {};
}

Result<void> ValueClient::ReadOne(node::KvrocksClient& client, SalvagedValue* value) {
  const Reading* reading = ReadingOf(value->key.type);
  if (reading == nullptr) {
    NotKept(value, "a value of type " + value->key.type + " cannot be written back exactly");
    return {};
  }
  const std::string& key = value->key.key;
  const bool single = value->key.type == "string";
  const auto ask = [&](const std::vector<const char*>& words) {
    return client.Send({WithKey(words, key)}, {.timeout = kTimeout, .max_reply_bytes = kMaxValueBytes});
  };
  auto noted = [&](const Error& error) -> Result<void> {
    if (error.Code() != ErrorCode::kTimeout) return Fail(error);
    if (++timeouts_ >= kMaxTimeouts) {
      auto alive = administrator_.Send({{"PING"}}, {.timeout = kTimeout});
      if (!alive) return Fail(error);
      timeouts_ = 0;
    }
    NotKept(value, "the server did not give it in time");
    return {};
  };
  if (!single) {  // a string's length comes with it
    auto counted = ask({reading->count});
    if (!counted) return noted(counted.error());
    if (counted->front().kind == Kind::kNumber && counted->front().number > kMaxValueElements) {
      NotKept(value, "too large: " + std::to_string(counted->front().number) + " elements, and " +
                         std::to_string(kMaxValueElements) + " are kept at most");
      return {};
    }
  }
  auto answer = ask(reading->elements);
  if (!answer) return noted(answer.error());
  timeouts_ = 0;
  NodeReply& reply = answer->front();
  switch (reply.kind) {
    case Kind::kTooLarge:
      NotKept(value, "too large: more than " + HumanBytes(kMaxValueBytes));
      return {};
    case Kind::kError:
      if (IsPassing(reply.text)) return tl::unexpected(Passing(reading->elements.front(), reply));
      NotKept(value, "the server answered: " + ToPrintable(reply.text));
      return {};
    case Kind::kNil:  // it expired just now
      Absent(value);
      return {};
    case Kind::kText:
    case Kind::kNumber:
      if (!single || reply.kind == Kind::kNumber) break;
      value->elements.push_back(std::move(reply.text));
      value->key.kept = KeptAs::kValue;
      return {};
    case Kind::kList:
      if (single) break;
      if (reply.list.empty()) {
        Absent(value);
        return {};
      }
      value->elements.reserve(reply.list.size());
      for (NodeReply& element : reply.list) value->elements.push_back(std::move(element.text));
      value->key.kept = KeptAs::kValue;
      return {};
  }
  NotKept(value, "the server's answer makes no sense");
  return {};
}

Result<std::vector<ValueState>> ValueClient::ReadStates(const std::vector<UserKeyName>& keys) {
  std::vector<ValueState> states;
  states.reserve(keys.size());
  for (const UserKeyName& name : keys) {
    auto state = ReadState(name);
    if (!state) return Fail(state.error());
    states.push_back(std::move(*state));
  }
  return states;
}

Result<ValueState> ValueClient::ReadState(const UserKeyName& name) {
  ValueState state;
  auto client = Enter(name.name_space);
  if (!client && client.error().Code() == ErrorCode::kNotFound) {
    state.why = client.error().Message();
    return state;
  }
  if (!client) return Fail(client.error());
  auto answers = (*client)->Send({{"TYPE", name.key}, {"PTTL", name.key}, {"PEXPIRETIME", name.key}},
                                 {.timeout = kTimeout});
  if (!answers) return Fail(answers.error());
  const std::int64_t now_ms = UnixMs();
  const NodeReply& type = answers->front();
  if (type.kind == Kind::kError && IsPassing(type.text)) return tl::unexpected(Passing("TYPE", type));
  if (type.kind == Kind::kError) {
    state.why = "TYPE: the server answered: " + ToPrintable(type.text);
    state.passing = true;
    return state;
  }
  if (type.text == "none") return state;
  state.type = ToPrintable(type.text);
  const Expiry expiry = ExpiryOf((*answers)[1], (*answers)[2], now_ms);
  state.expire_ms = expiry.at_ms;
  state.expire_error_ms = expiry.error_ms;
  const std::vector<NodeCommand> questions = QuestionsOfState(state.type, name.key);
  if (questions.empty()) {
    state.why = "no command reads a value of type " + state.type + " in full";
    return state;
  }
  if (const Reading* reading = ReadingOf(state.type); reading != nullptr && state.type != "string") {
    auto count = (*client)->Send({{reading->count, name.key}}, {.timeout = kTimeout});
    if (!count) return Fail(count.error());
    if (count->front().kind == Kind::kNumber && count->front().number > kMaxStateElements) {
      state.why = "it has more than " + std::to_string(kMaxStateElements) + " elements";
      return state;
    }
  }
  ValueDigester digester(state.type);
  for (const NodeCommand& question : questions) {
    auto answer = (*client)->Send({question}, {.timeout = kStateTimeout, .max_reply_bytes = kMaxStateBytes});
    if (!answer && answer.error().Code() != ErrorCode::kTimeout) return Fail(answer.error());
    if (!answer) {
      state.why = "the server did not give it in time";
      state.passing = true;
      return state;
    }
    const NodeReply& reply = answer->front();
    if (reply.kind == Kind::kTooLarge) {
      state.why = "it is larger than " + HumanBytes(kMaxStateBytes);
      return state;
    }
    if (reply.kind == Kind::kError && IsPassing(reply.text)) {
      return tl::unexpected(Passing(question.front(), reply));
    }
    if (reply.kind == Kind::kError) {
      state.why = question.front() + ": the server answered: " + ToPrintable(reply.text);
      state.passing = true;
      return state;
    }
    digester.Add(reply);
  }
  state.digest = digester.Finish();
  return state;
}

Result<RepairableAnswer> ValueClient::FindUnrepairable(const std::vector<UserKeyName>& keys) {
  RepairableAnswer answer;
  answer.types.resize(keys.size());
  const auto say = [&answer](std::size_t i, std::string why) {
    answer.cannot.push_back({i, std::move(why)});
  };
  for (std::size_t from = 0; from < keys.size();) {
    std::size_t to = from;
    while (to < keys.size() && to - from < kKeysAtATime && keys[to].name_space == keys[from].name_space) ++to;
    auto client = Enter(keys[from].name_space);
    if (!client && client.error().Code() != ErrorCode::kNotFound) return Fail(client.error());
    if (!client) {
      for (std::size_t i = from; i < to; ++i) say(i, client.error().Message());
      from = to;
      continue;
    }
    std::vector<NodeCommand> questions;
    for (std::size_t i = from; i < to; ++i) questions.push_back({"TYPE", keys[i].key});
    auto types = (*client)->Send(questions, {.timeout = kTimeout});
    if (!types) return Fail(types.error());
    std::vector<NodeCommand> counts;
    std::vector<std::size_t> counted;
    for (std::size_t i = from; i < to; ++i) {
      const NodeReply& type = (*types)[i - from];
      if (type.kind == Kind::kError && IsPassing(type.text)) return tl::unexpected(Passing("TYPE", type));
      if (type.kind == Kind::kError) {
        say(i, "TYPE: the server answered: " + ToPrintable(type.text));
        continue;
      }
      if (type.text == "none") continue;
      answer.types[i] = ToPrintable(type.text);
      const Reading* reading = ReadingOf(type.text);
      if (reading == nullptr) {
        say(i, "a value of type " + answer.types[i] + " cannot be written back exactly");
        continue;
      }
      counts.push_back({reading->count, keys[i].key});
      counted.push_back(i);
    }
    if (!counts.empty()) {
      auto sizes = (*client)->Send(counts, {.timeout = kTimeout});
      if (!sizes) return Fail(sizes.error());
      for (std::size_t j = 0; j < counted.size(); ++j) {
        const NodeReply& size = (*sizes)[j];
        const bool text = answer.types[counted[j]] == "string";
        const std::int64_t most = text ? static_cast<std::int64_t>(kMaxValueBytes) : kMaxValueElements;
        // No number: it is gone, or another one by now.
        if (size.kind != Kind::kNumber || size.number <= most) continue;
        say(counted[j], "it is too large: " + std::to_string(size.number) +
                            (text ? " bytes, and " : " elements, and ") + std::to_string(most) +
                            " can be rewritten at most");
      }
    }
    from = to;
  }
  std::sort(answer.cannot.begin(), answer.cannot.end(),
            [](const UnrepairableKey& a, const UnrepairableKey& b) { return a.at < b.at; });
  return answer;
}

std::vector<NodeCommand> CommandsToWrite(const SalvagedValue& value, const std::string& key) {
  if (value.key.kept != KeptAs::kValue) return {NodeCommand{"DEL", key}};
  std::vector<NodeCommand> commands;
  const std::string& type = value.key.type;
  if (type == "string") {
    NodeCommand& command = commands.emplace_back(NodeCommand{"SET", key, value.elements.front()});
    if (value.key.expire_ms) {
      command.emplace_back("PXAT");
      command.push_back(std::to_string(*value.key.expire_ms));
    }
    return commands;
  }
  const bool pairs = type == "hash" || type == "zset";
  const char* name = type == "hash" ? "HSET" : type == "list" ? "RPUSH" : type == "set" ? "SADD" : "ZADD";
  for (std::size_t i = 0; i < value.elements.size(); i += kElementsPerCommand) {
    NodeCommand& command = commands.emplace_back(NodeCommand{name, key});
    const std::size_t end = std::min(i + kElementsPerCommand, value.elements.size());
    for (std::size_t j = i; j + (pairs ? 1 : 0) < end; j += pairs ? 2 : 1) {
      if (type == "zset") {  // the server gives member, score, and takes score, member
        command.push_back(value.elements[j + 1]);
        command.push_back(value.elements[j]);
      } else {
        command.push_back(value.elements[j]);
        if (pairs) command.push_back(value.elements[j + 1]);
      }
    }
  }
  if (value.key.expire_ms) commands.push_back({"PEXPIREAT", key, std::to_string(*value.key.expire_ms)});
  return commands;
}

bool SameValue(const SalvagedValue& a, const SalvagedValue& b) {
  if (a.key.kept != b.key.kept || a.key.type != b.key.type || a.key.kept == KeptAs::kNotKept) return false;
  if (a.key.expire_ms.has_value() != b.key.expire_ms.has_value()) return false;
  if (a.key.expire_ms && std::llabs(*a.key.expire_ms - *b.key.expire_ms) > kSameExpiryMs) return false;
  return Comparable(a) == Comparable(b);
}

}  // namespace walstitch::agent
