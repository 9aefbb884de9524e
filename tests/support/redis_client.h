// A thin client over hiredis, for tests.
//
// Blocking, with a timeout on connect and on every command. A broken connection
// is a reply of kind kBroken, and stays one. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

struct redisContext;

namespace walstitch::test {

struct Reply {
  enum class Kind { kStatus, kError, kInteger, kString, kNil, kArray, kBroken };

  Kind kind = Kind::kBroken;
  std::string text;  // status, error, string, or why the connection broke
  int64_t integer = 0;
  std::vector<Reply> items;

  bool IsOk() const { return kind == Kind::kStatus && text == "OK"; }
  bool IsError() const { return kind == Kind::kError; }
  bool IsBroken() const { return kind == Kind::kBroken; }
  bool IsNil() const { return kind == Kind::kNil; }
  // The texts of an array's items, in order.
  std::vector<std::string> Texts() const;
  // The value behind `name` in a flat name-value array; a broken one if absent.
  const Reply& Field(const std::string& name) const;
};

// As one line, for messages: `(error) ERR …`, `3`, `"text"`, `["a", "b"]`.
std::string ToString(const Reply& reply);
std::ostream& operator<<(std::ostream& out, const Reply& reply);

class RedisClient {
 public:
  explicit RedisClient(uint16_t port, std::string host = "127.0.0.1",
                       std::chrono::milliseconds timeout = std::chrono::seconds(20));
  ~RedisClient();
  RedisClient(RedisClient&&) noexcept;
  RedisClient& operator=(RedisClient&&) noexcept;

  bool IsConnected() const;
  // Binary-safe.
  Reply Command(const std::vector<std::string>& arguments);
  template <typename... Arguments>
  Reply operator()(Arguments&&... arguments) {
    return Command({std::string(std::forward<Arguments>(arguments))...});
  }
  // Sends without waiting; each needs a ReadReply() later.
  bool Send(const std::vector<std::string>& arguments);
  Reply ReadReply();

  uint16_t port() const { return port_; }
  const std::string& host() const { return host_; }

 private:
  struct Free {
    void operator()(redisContext* context) const;
  };

  std::string host_;
  uint16_t port_;
  std::unique_ptr<redisContext, Free> context_;
};

}  // namespace walstitch::test
