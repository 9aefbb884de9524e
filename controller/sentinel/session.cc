#include "controller/sentinel/session.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "controller/sentinel/answers.h"
#include "controller/sentinel/commands.h"
#include "policies/loader.h"

namespace walstitch::sentinel {

namespace {

constexpr std::size_t kMaxName = 256;

std::size_t BytesOf(const std::set<std::string, std::less<>>& list) {
  std::size_t bytes = 0;
  for (const std::string& each : list) bytes += each.size();
  return bytes;
}

bool HasRightCount(const CommandInfo& command, std::size_t words) {
  const auto count = static_cast<std::size_t>(std::abs(command.arity));
  return command.arity > 0 ? words == count : words >= count;
}

Reply UnknownCommand(const Request& request) {
  std::string text = "ERR unknown command " + Quoted(request[0]) + ", with args beginning with: ";
  for (std::size_t i = 1; i < request.size() && text.size() < 256; ++i) text += Quoted(request[i]) + " ";
  return Reply::Fault(std::move(text));
}

bool IsAllowedWhileSubscribed(std::string_view command) {
  return command == "ping" || command == "quit" || command == "reset" || command.ends_with("subscribe");
}

}  // namespace

Session::Session(SessionOptions options, std::int64_t now_ms)
    : options_(std::move(options)), began_ms_(now_ms), asked_ms_(now_ms) {}

std::optional<http::Caller> Session::WhoIs() const {
  if (options_.admission != nullptr && !token_.empty()) {
    if (auto caller = (*options_.admission)(token_)) return caller;
  }
  if (!options_.anonymous) return std::nullopt;
  return http::Caller{"", *options_.anonymous};
}

std::string Session::CallerName() const {
  const auto caller = WhoIs();
  return caller ? caller->name : std::string();
}

Reply Session::Authenticate(std::string_view user, const std::string& token, Outcome* outcome) {
  if (options_.admission == nullptr) {
    return Reply::Fault(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?");
  }
  // The user is the token's name, or Redis' word for anybody's.
  const auto caller = token.empty() ? std::nullopt : (*options_.admission)(token);
  if (caller && (user == "default" || user == caller->name)) {
    token_ = token;
    return Reply::Ok();
  }
  outcome->wrong_token = true;
  if (++wrong_tokens_ >= kMaxWrongTokens) outcome->close = true;
  return Reply::Fault("WRONGPASS invalid username-password pair or user is disabled.");
}

Reply Session::SetName(const std::string& name) {
  const bool clean = std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!clean || name.size() > kMaxName)
    return Reply::Fault("ERR Client names cannot contain spaces, newlines or special characters.");
  name_ = name;
  return Reply::Ok();
}

Reply Session::Hello(const Request& request, Outcome* outcome) {
  Protocol protocol = protocol_;
  if (request.size() > 1) {
    if (request[1] != "2" && request[1] != "3") {
      const bool number =
          std::all_of(request[1].begin(), request[1].end(), [](char c) { return c >= '0' && c <= '9'; });
      return Reply::Fault(number && !request[1].empty()
                              ? "NOPROTO unsupported protocol version"
                              : "ERR Protocol version is not an integer or out of range");
    }
    protocol = request[1] == "3" ? Protocol::kResp3 : Protocol::kResp2;
  }
  std::optional<std::string> name;
  for (std::size_t i = 2; i < request.size(); ++i) {
    const std::string option = Lower(request[i]);
    if (option == "auth" && i + 2 < request.size()) {
      // Where nobody is asked, Redis lets anybody in here.
      if (options_.admission != nullptr) {
        Reply reply = Authenticate(request[i + 1], request[i + 2], outcome);
        if (reply.kind == Reply::Kind::kError) return reply;
      }
      i += 2;
    } else if (option == "setname" && i + 1 < request.size()) {
      name = request[++i];
    } else {
      return Reply::Fault("ERR Syntax error in HELLO option " + Quoted(request[i]));
    }
  }
  if (!MayView()) {
    return Reply::Fault(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
        "<user> <pass> option can be used to authenticate the client and select the RESP protocol version at "
        "the same time");
  }
  if (name) {
    Reply reply = SetName(*name);
    if (reply.kind == Reply::Kind::kError) return reply;
  }
  protocol_ = protocol;
  return Reply::Map({Reply::Bulk("server"), Reply::Bulk("redis"), Reply::Bulk("version"),
                     Reply::Bulk("7.0.15"), Reply::Bulk("proto"),
                     Reply::Number(protocol_ == Protocol::kResp3 ? 3 : 2), Reply::Bulk("id"),
                     Reply::Number(static_cast<std::int64_t>(options_.id)), Reply::Bulk("mode"),
                     Reply::Bulk("sentinel"), Reply::Bulk("modules"), Reply::Array()});
}

Reply Session::Client(const Request& request, const Knowledge& knowledge,
                      const std::function<std::string()>& clients) {
  const std::string word = Lower(request[1]);
  const std::size_t arguments = request.size() - 2;
  if (word == "id" && arguments == 0) return Reply::Number(static_cast<std::int64_t>(options_.id));
  if (word == "getname" && arguments == 0) return name_.empty() ? Reply::Null() : Reply::Bulk(name_);
  if (word == "setname" && arguments == 1) return SetName(request[2]);
  if (word == "setinfo" && arguments == 2) return Reply::Ok();
  if ((word == "no-evict" || word == "no-touch") && arguments == 1) {
    const std::string value = Lower(request[2]);
    return value == "on" || value == "off" ? Reply::Ok() : Reply::Fault("ERR syntax error");
  }
  if (word == "info" && arguments == 0) return Reply::Verbatim(Describe(knowledge.now_ms));
  if (word == "list") return Reply::Verbatim(clients());
  if (word == "id" || word == "getname" || word == "setname" || word == "setinfo" || word == "info" ||
      word == "no-evict" || word == "no-touch") {
    return WrongArguments("client|" + word);
  }
  return Reply::Fault("ERR unknown subcommand " + Quoted(request[1]) +
                      ". Known are GETNAME, ID, INFO, LIST, NO-EVICT, NO-TOUCH, SETINFO and SETNAME.");
}

std::string Session::Describe(std::int64_t now_ms) const {
  return "id=" + std::to_string(options_.id) + " addr=" + options_.address +
         " laddr=" + options_.local_address + " fd=-1 name=" + name_ +
         " age=" + std::to_string((now_ms - began_ms_) / 1000) +
         " idle=" + std::to_string((now_ms - asked_ms_) / 1000) + " flags=" + (IsSubscribed() ? "P" : "N") +
         " db=0 sub=" + std::to_string(channels_.size()) + " psub=" + std::to_string(patterns_.size()) +
         " ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 "
         "tot-mem=0 "
         "events=r cmd=" +
         last_command_ + " user=default redir=-1 resp=" + (protocol_ == Protocol::kResp3 ? "3" : "2") + "\n";
}

std::string Session::Confirm(const char* what, const std::string* name) const {
  const auto count = static_cast<std::int64_t>(channels_.size() + patterns_.size());
  return Encode(Reply::Push({Reply::Bulk(what), name == nullptr ? Reply::Null() : Reply::Bulk(*name),
                             Reply::Number(count)}),
                protocol_);
}

std::string Session::Subscribe(const Request& request, bool patterns, Outcome* outcome) {
  List& list = patterns ? patterns_ : channels_;
  std::size_t bytes = BytesOf(channels_) + BytesOf(patterns_);
  std::string out;
  for (std::size_t i = 1; i < request.size(); ++i) {
    const bool is_new = !list.contains(request[i]);
    bytes += is_new ? request[i].size() : 0;
    if (is_new && (channels_.size() + patterns_.size() >= kMaxSubscriptions || bytes > kMaxSubscribedBytes)) {
      outcome->too_large = outcome->error = outcome->close = true;
      return out + Encode(Reply::Fault("ERR too much to subscribe to: at most " +
                                       std::to_string(kMaxSubscriptions) + " channels and patterns, of " +
                                       std::to_string(kMaxSubscribedBytes) + " bytes together"),
                          protocol_);
    }
    list.insert(request[i]);
    out += Confirm(patterns ? "psubscribe" : "subscribe", &request[i]);
  }
  return out;
}

std::string Session::Unsubscribe(const Request& request, bool patterns) {
  List& list = patterns ? patterns_ : channels_;
  const char* what = patterns ? "punsubscribe" : "unsubscribe";
  std::vector<std::string> names(request.begin() + 1, request.end());
  if (names.empty()) names.assign(list.begin(), list.end());
  if (names.empty()) return Confirm(what, nullptr);
  std::string out;
  for (const std::string& name : names) {
    list.erase(name);
    out += Confirm(what, &name);
  }
  return out;
}

Session::Outcome Session::Handle(const Request& request, const Knowledge& knowledge,
                                 const std::function<std::string()>& clients) {
  asked_ms_ = knowledge.now_ms;
  has_asked_ = true;
  Outcome outcome;
  const auto answer = [&](const Reply& reply) {
    outcome.error = outcome.error || reply.kind == Reply::Kind::kError;
    outcome.bytes += Encode(reply, protocol_);
    return outcome;
  };
  const std::string name = Lower(request[0]);
  const CommandInfo* command = FindCommand(name);
  // Other controllers ask who answers here, and show nobody's token for it: an id gives nothing away.
  const bool asks_id = name == "sentinel" && request.size() == 2 && Lower(request[1]) == "myid";
  const bool open = name == "auth" || name == "hello" || name == "quit" || name == "reset" || asks_id;
  if (!open && !MayView()) {
    outcome.wrong_token = true;
    return answer(Reply::Fault("NOAUTH Authentication required."));
  }
  if (command == nullptr) return answer(UnknownCommand(request));
  last_command_ = name;
  if (!HasRightCount(*command, request.size())) return answer(WrongArguments(name));
  if (IsSubscribed() && protocol_ == Protocol::kResp2 && !IsAllowedWhileSubscribed(name)) {
    return answer(Reply::Fault("ERR Can't execute '" + name +
                               "': only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
                               "this context"));
  }

  if (name == "ping") {
    if (request.size() > 2) return answer(WrongArguments(name));
    if (IsSubscribed() && protocol_ == Protocol::kResp2) {
      return answer(
          Reply::Array({Reply::Bulk("pong"), Reply::Bulk(request.size() == 2 ? request[1] : std::string())}));
    }
    return answer(request.size() == 2 ? Reply::Bulk(request[1]) : Reply::Simple("PONG"));
  }
  if (name == "auth") {
    if (request.size() > 3) return answer(Reply::Fault("ERR syntax error"));
    const bool with_user = request.size() == 3;
    return answer(Authenticate(with_user ? request[1] : "default", request[with_user ? 2 : 1], &outcome));
  }
  if (name == "hello") return answer(Hello(request, &outcome));
  if (name == "quit") {
    outcome.close = true;
    return answer(Reply::Ok());
  }
  if (name == "reset") {
    channels_.clear();
    patterns_.clear();
    token_.clear();
    name_.clear();
    protocol_ = Protocol::kResp2;
    return answer(Reply::Simple("RESET"));
  }
  if (name == "client") return answer(Client(request, knowledge, clients));
  if (name == "command") {
    outcome.bytes = EncodedCommand(request, protocol_);
    outcome.error = outcome.bytes.starts_with('-');
    return outcome;
  }
  if (name == "role") return answer(AnswerRole(knowledge));
  if (name == "info") return answer(AnswerInfo(request, knowledge));
  if (name == "acl") {
    if (Lower(request[1]) == "whoami" && request.size() == 2) return answer(Reply::Bulk("default"));
    return answer(Reply::Fault("ERR refused: who may do what comes from the controller's configuration"));
  }
  if (name == "shutdown") {
    return answer(Reply::Fault("ERR refused: the controller is stopped by whoever started it"));
  }
  if (name == "publish")
    return answer(Reply::Fault("ERR Only HELLO messages are accepted by Sentinel instances."));
  if (name == "subscribe" || name == "psubscribe") {
    outcome.bytes += Subscribe(request, name == "psubscribe", &outcome);
    return outcome;
  }
  if (name == "unsubscribe" || name == "punsubscribe") {
    outcome.bytes += Unsubscribe(request, name == "punsubscribe");
    return outcome;
  }
  // sentinel
  if (Lower(request[1]) != "failover") return answer(AnswerSentinel(request, knowledge));
  if (WhoIs()->role != http::AccessRole::kOperate) {
    outcome.not_allowed = true;
    return answer(
        Reply::Fault("NOPERM whoever orders a failover needs a token that may operate: this user has no "
                     "permissions to run the 'sentinel|failover' command"));
  }
  auto group = GroupToFailOver(request, knowledge);
  if (!group) return answer(Reply::Fault(group.error().Message()));
  outcome.failover = std::move(*group);
  return outcome;
}

Session::Told Session::Tell(const Event& event) const {
  Told told;
  if (channels_.contains(event.channel)) {
    ++told.count;
    told.bytes +=
        Encode(Reply::Push({Reply::Bulk("message"), Reply::Bulk(event.channel), Reply::Bulk(event.payload)}),
               protocol_);
  }
  for (const std::string& pattern : patterns_) {
    if (!GlobMatches(pattern, event.channel)) continue;
    ++told.count;
    told.bytes += Encode(Reply::Push({Reply::Bulk("pmessage"), Reply::Bulk(pattern),
                                      Reply::Bulk(event.channel), Reply::Bulk(event.payload)}),
                         protocol_);
  }
  return told;
}

}  // namespace walstitch::sentinel
