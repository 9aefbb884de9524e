// What a client of Sentinel's protocol sends: the reader of requests, and what each request is answered.
#include <algorithm>
#include <string>
#include <vector>

#include "controller/sentinel/session.h"
#include "tests/fuzz/targets.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

using sentinel::Request;
using sentinel::RequestReader;

constexpr std::size_t kMaxReply = std::size_t{1} << 20;

struct Read {
  std::vector<Request> requests;
  std::string error;
  bool has_begun = false;
  bool operator==(const Read&) const = default;
};

Read ReadAll(std::string_view bytes, std::size_t at_once, const sentinel::RequestLimits& limits) {
  RequestReader reader(limits);
  Read read;
  for (std::size_t at = 0; at < bytes.size(); at += at_once) {
    reader.Append(bytes.substr(at, at_once));
    while (true) {
      auto next = reader.Next();
      if (!next) {
        WALSTITCH_CHECK(next.error().Code() == ErrorCode::kInvalid);
        WALSTITCH_CHECK(next.error().Message().starts_with("Protocol error: "));
        read.error = next.error().Message();
        return read;
      }
      if (!*next) break;
      WALSTITCH_CHECK(!(*next)->empty());
      WALSTITCH_CHECK((*next)->size() <= limits.arguments);
      std::size_t size = 0;
      for (const std::string& word : **next) size += word.size();
      WALSTITCH_CHECK(size <= limits.bytes);
      read.requests.push_back(std::move(**next));
    }
  }
  read.has_begun = reader.HasBegun();
  return read;
}

// The end of the reply that begins at `at`, which must be a whole one.
std::size_t EndOfReply(std::string_view bytes, std::size_t at) {
  const std::size_t end = bytes.find("\r\n", at);
  WALSTITCH_CHECK(end != std::string_view::npos);
  const std::string_view line = bytes.substr(at + 1, end - at - 1);
  WALSTITCH_CHECK(line.find_first_of("\r\n") == std::string_view::npos);
  const auto number = [&] { return std::stoll(std::string(line)); };
  std::size_t next = end + 2;
  switch (bytes[at]) {
    case '+':
    case '-':
      return next;
    case ':':
      WALSTITCH_CHECK(std::to_string(number()) == line);
      return next;
    case '_':
      WALSTITCH_CHECK(line.empty());
      return next;
    case '$':
    case '=': {
      if (line == "-1") return next;
      const auto size = static_cast<std::size_t>(number());
      WALSTITCH_CHECK(bytes.size() >= next + size + 2 && bytes.substr(next + size, 2) == "\r\n");
      return next + size + 2;
    }
    case '*':
    case '~':
    case '>':
    case '%': {
      const long long count = number() * (bytes[at] == '%' ? 2 : 1);
      for (long long i = 0; i < count; ++i) next = EndOfReply(bytes, next);
      return next;
    }
    default:
      WALSTITCH_CHECK(false);
      return next;
  }
}

const sentinel::View& SampleView() {
  static const sentinel::View view = [] {
    sentinel::View sample;
    sample.at_ms = 1000;
    for (const char* name : {"shop", "cart"}) {
      sentinel::GroupSeen& group = sample.groups[name];
      group.name = name;
      group.master = "n1";
      for (const char* node : {"n1", "n2"}) {
        sentinel::NodeSeen& seen = group.nodes[node];
        seen.name = node;
        seen.endpoint = {"10.0.0.1", static_cast<std::uint16_t>(node[1])};
        seen.usable = name[0] == 's';
      }
    }
    return sample;
  }();
  return view;
}

void Answer(const std::vector<Request>& requests, bool asks_for_token) {
  const http::Admission admission = [](std::string_view token) -> std::optional<http::Caller> {
    if (token != "t") return std::nullopt;
    return http::Caller{"token", http::AccessRole::kView};
  };
  sentinel::SessionOptions options;
  if (asks_for_token) {
    options.admission = &admission;
    options.anonymous.reset();
  }
  sentinel::Session session(options, 1000);
  sentinel::Knowledge knowledge;
  knowledge.view = &SampleView();
  knowledge.now_ms = 2000;
  for (const Request& request : requests) {
    const auto outcome = session.Handle(request, knowledge, [] { return std::string(); });
    WALSTITCH_CHECK(outcome.bytes.empty() == outcome.failover.has_value());
    WALSTITCH_CHECK(!outcome.failover || !asks_for_token);
    WALSTITCH_CHECK(outcome.bytes.size() <= kMaxReply);
    for (std::size_t at = 0; at < outcome.bytes.size();) at = EndOfReply(outcome.bytes, at);
    const std::string told = session.Tell({"+switch-master", "shop 10.0.0.1 1 10.0.0.1 2"}).bytes;
    for (std::size_t at = 0; at < told.size();) at = EndOfReply(told, at);
  }
}

}  // namespace

void FuzzSentinelRequest(std::string_view bytes) {
  sentinel::RequestLimits small;
  small.arguments = 8;
  small.bytes = 256;
  for (const sentinel::RequestLimits& limits : {sentinel::RequestLimits(), small}) {
    const Read whole = ReadAll(bytes, std::max<std::size_t>(bytes.size(), 1), limits);
    WALSTITCH_CHECK(whole == ReadAll(bytes, 1, limits));
    WALSTITCH_CHECK(whole == ReadAll(bytes, 7, limits));
    Answer(whole.requests, false);
    Answer(whole.requests, true);
  }
}

}  // namespace walstitch::wal
