// One client's connection, without its socket: which protocol it speaks, who it is, what it has subscribed
// to, and what each of its requests is answered. Pure but for the admission that it asks.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "agents/http/access.h"
#include "controller/sentinel/events.h"
#include "controller/sentinel/knowledge.h"
#include "controller/sentinel/resp.h"

namespace walstitch::sentinel {

struct SessionOptions {
  std::uint64_t id = 0;
  std::string address;                         // "127.0.0.1:50000"
  std::string local_address;                   // of the listener
  const http::Admission* admission = nullptr;  // null: there are no tokens
  // What whoever has shown no token may do; nullopt: nothing.
  std::optional<http::AccessRole> anonymous = http::AccessRole::kOperate;
};

class Session {
 public:
  // Of all that one client has subscribed to: channels and patterns, and their bytes.
  static constexpr std::size_t kMaxSubscriptions = 64;
  static constexpr std::size_t kMaxSubscribedBytes = 16 * 1024;
  // Wrong tokens on one connection, until it is closed.
  static constexpr int kMaxWrongTokens = 3;

  Session(SessionOptions options, std::int64_t now_ms);

  struct Outcome {
    std::string bytes;                      // for the client
    bool close = false;                     // after them
    std::optional<std::string> failover{};  // of this group is ordered; the answer is still to come
    // For the counts.
    bool error = false;
    bool wrong_token = false;
    bool not_allowed = false;
    bool too_large = false;
  };
  // `clients` gives the lines of CLIENT LIST.
  Outcome Handle(const Request& request, const Knowledge& knowledge,
                 const std::function<std::string()>& clients);
  // A reply that comes later, to an order.
  [[nodiscard]] std::string Answer(const Reply& reply) const { return Encode(reply, protocol_); }

  // What the client has to be told of an event, and how often; empty: nothing.
  struct Told {
    std::string bytes;
    int count = 0;
  };
  [[nodiscard]] Told Tell(const Event& event) const;

  [[nodiscard]] bool IsSubscribed() const { return !channels_.empty() || !patterns_.empty(); }
  // It may ask questions. Looks again whether its token still is one.
  [[nodiscard]] bool MayView() const { return WhoIs().has_value(); }
  // Whose token was shown, for the audit; empty: nobody's.
  [[nodiscard]] std::string CallerName() const;
  [[nodiscard]] const std::string& Address() const { return options_.address; }
  // Its line of CLIENT LIST, with the line's end.
  [[nodiscard]] std::string Describe(std::int64_t now_ms) const;
  // When it sent its last request, or came.
  [[nodiscard]] std::int64_t AskedMs() const { return asked_ms_; }
  [[nodiscard]] bool HasAsked() const { return has_asked_; }

 private:
  using List = std::set<std::string, std::less<>>;

  [[nodiscard]] std::optional<http::Caller> WhoIs() const;
  Reply Authenticate(std::string_view user, const std::string& token, Outcome* outcome);
  Reply Hello(const Request& request, Outcome* outcome);
  Reply Client(const Request& request, const Knowledge& knowledge,
               const std::function<std::string()>& clients);
  Reply SetName(const std::string& name);
  std::string Subscribe(const Request& request, bool patterns, Outcome* outcome);
  std::string Unsubscribe(const Request& request, bool patterns);
  [[nodiscard]] std::string Confirm(const char* what, const std::string* name) const;

  SessionOptions options_;
  Protocol protocol_ = Protocol::kResp2;
  std::string token_;  // as the client gave it; asked of the admission again with every request
  std::string name_;
  std::string last_command_ = "NULL";
  List channels_;
  List patterns_;
  std::int64_t began_ms_;
  std::int64_t asked_ms_;
  bool has_asked_ = false;
  int wrong_tokens_ = 0;
};

}  // namespace walstitch::sentinel
