#include "tests/support/redis_client.h"

#include <hiredis/hiredis.h>

namespace walstitch::test {
namespace {

timeval ToTimeval(std::chrono::milliseconds duration) {
  timeval value{};
  value.tv_sec = static_cast<time_t>(duration.count() / 1000);
  value.tv_usec = static_cast<suseconds_t>(duration.count() % 1000 * 1000);
  return value;
}

Reply Convert(const redisReply& from) {
  Reply reply;
  if (from.str != nullptr) reply.text.assign(from.str, static_cast<size_t>(from.len));
  switch (from.type) {
    case REDIS_REPLY_STATUS:
      reply.kind = Reply::Kind::kStatus;
      break;
    case REDIS_REPLY_ERROR:
      reply.kind = Reply::Kind::kError;
      break;
    case REDIS_REPLY_INTEGER:
      reply.kind = Reply::Kind::kInteger;
      reply.integer = from.integer;
      break;
    case REDIS_REPLY_STRING:
      reply.kind = Reply::Kind::kString;
      break;
    case REDIS_REPLY_ARRAY:
      reply.kind = Reply::Kind::kArray;
      for (size_t i = 0; i < from.elements; ++i) reply.items.push_back(Convert(*from.element[i]));
      break;
    default:
      reply.kind = Reply::Kind::kNil;
      break;
  }
  return reply;
}

}  // namespace

std::vector<std::string> Reply::Texts() const {
  std::vector<std::string> texts;
  texts.reserve(items.size());
  for (const Reply& item : items) texts.push_back(item.text);
  return texts;
}

const Reply& Reply::Field(const std::string& name) const {
  static const Reply kAbsent;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].text == name) return items[i + 1];
  }
  return kAbsent;
}

std::string ToString(const Reply& reply) {
  switch (reply.kind) {
    case Reply::Kind::kStatus:
      return reply.text;
    case Reply::Kind::kError:
      return "(error) " + reply.text;
    case Reply::Kind::kInteger:
      return std::to_string(reply.integer);
    case Reply::Kind::kString:
      return "\"" + reply.text + "\"";
    case Reply::Kind::kNil:
      return "(nil)";
    case Reply::Kind::kBroken:
      return "(broken) " + reply.text;
    case Reply::Kind::kArray: {
      std::string out = "[";
      for (const Reply& item : reply.items) out += (out.size() > 1 ? ", " : "") + ToString(item);
      return out + "]";
    }
  }
  return "";
}

std::ostream& operator<<(std::ostream& out, const Reply& reply) { return out << ToString(reply); }

void RedisClient::Free::operator()(redisContext* context) const { ::redisFree(context); }

RedisClient::RedisClient(uint16_t port, std::string host, std::chrono::milliseconds timeout)
    : host_(std::move(host)),
      port_(port),
      context_(::redisConnectWithTimeout(host_.c_str(), port, ToTimeval(timeout))) {
  if (IsConnected()) ::redisSetTimeout(context_.get(), ToTimeval(timeout));
}

RedisClient::~RedisClient() = default;
RedisClient::RedisClient(RedisClient&&) noexcept = default;
RedisClient& RedisClient::operator=(RedisClient&&) noexcept = default;

bool RedisClient::IsConnected() const { return context_ != nullptr && context_->err == 0; }

bool RedisClient::Send(const std::vector<std::string>& arguments) {
  if (!IsConnected()) return false;
  std::vector<const char*> values;
  std::vector<size_t> lengths;
  for (const std::string& argument : arguments) {
    values.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  if (::redisAppendCommandArgv(context_.get(), static_cast<int>(values.size()), values.data(),
                               lengths.data()) != REDIS_OK) {
    return false;
  }
  int done = 0;
  while (done == 0) {
    if (::redisBufferWrite(context_.get(), &done) != REDIS_OK) return false;
  }
  return true;
}

Reply RedisClient::ReadReply() {
  void* raw = nullptr;
  Reply reply;
  if (!IsConnected() || ::redisGetReply(context_.get(), &raw) != REDIS_OK || raw == nullptr) {
    reply.text = context_ != nullptr ? context_->errstr : "no connection";
    return reply;
  }
  reply = Convert(*static_cast<redisReply*>(raw));
  ::freeReplyObject(raw);
  return reply;
}

Reply RedisClient::Command(const std::vector<std::string>& arguments) {
  Send(arguments);
  return ReadReply();
}

}  // namespace walstitch::test
