#include "tests/support/ack_writer.h"

#include <optional>
#include <utility>
#include <vector>

#include "tests/support/redis_client.h"

namespace walstitch::test {
namespace {

constexpr uint64_t kShared = 8;

struct Planned {
  std::vector<std::string> command;
  AckLog::Registers registers;
  std::string counter;
};

// The n-th write of a writer.
Planned Plan(const std::string& node, uint64_t n) {
  const std::string value = node + "." + std::to_string(n);
  const std::string own = node + ":" + std::to_string(n % AckWriter::kOwnKeys);
  const std::string shared = std::to_string(n / 8 % kShared);
  Planned planned;
  switch (n % 8) {
    case 3:
      planned.command = {"MSET"};
      for (int i = 0; i < AckWriter::kBatch; ++i) {
        const std::string key = "batch:" + own + ":" + std::to_string(i);
        planned.command.insert(planned.command.end(), {key, value});
        planned.registers.emplace_back(key, value);
      }
      break;
    case 5:
      planned.command = {"SET", "shared:" + shared, value};
      planned.registers = {{planned.command[1], value}};
      break;
    case 6:
      planned.command = {"HSET", "hash", "field-" + shared, value};
      planned.registers = {{std::string("hash") + kFieldMark + planned.command[2], value}};
      break;
    case 7:
      planned.counter = "counter:" + shared;
      planned.command = {"INCR", planned.counter};
      break;
    default:
      planned.command = {"SET", "own:" + own, value};
      planned.registers = {{planned.command[1], value}};
      break;
  }
  return planned;
}

WriteState StateOf(const Reply& reply) {
  if (reply.IsBroken()) return WriteState::kUnknown;
  return reply.IsError() ? WriteState::kRefused : WriteState::kAcknowledged;
}

}  // namespace

AckWriter::AckWriter(AckLog& log, std::string node, uint16_t port, AckWriterOptions options)
    : log_(log), node_(std::move(node)), port_(port), options_(std::move(options)) {
  thread_ = std::thread([this] { Run(); });
}

void AckWriter::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void AckWriter::Run() {
  std::optional<RedisClient> client;
  for (uint64_t n = 0; !stop_;) {
    if (!client || !client->IsConnected()) {
      client.emplace(port_, "127.0.0.1", options_.timeout);
      if (client->IsConnected() && !options_.password.empty()) (*client)("AUTH", options_.password);
      if (!client->IsConnected()) {
        std::this_thread::sleep_for(options_.patience);
        continue;
      }
    }
    Planned planned = Plan(node_, n);
    const uint64_t write = log_.Begin(node_, std::move(planned.registers), planned.counter);
    // Not sent means that not all of it was: then nobody can have understood it.
    const bool is_sent = client->Send(planned.command);
    const Reply reply = is_sent ? client->ReadReply() : Reply();
    const int64_t done_us = AckLog::NowMicros();
    const WriteState state = is_sent ? StateOf(reply) : WriteState::kRefused;
    log_.End(write, state, done_us);
    // The number goes up only if the value may be somewhere: a refused one was never written.
    if (state != WriteState::kRefused) ++n;
    // After a timeout the answer may still come, and be taken for that of another write.
    if (reply.IsBroken()) client.reset();
    std::this_thread::sleep_for(state == WriteState::kAcknowledged ? options_.pause : options_.patience);
  }
}

}  // namespace walstitch::test
