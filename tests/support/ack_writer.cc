#include "tests/support/ack_writer.h"

#include <optional>
#include <utility>
#include <vector>

namespace walstitch::test {
namespace {

constexpr uint64_t kShared = 8;

struct Planned {
  std::vector<std::string> command;
  AckLog::Registers registers;
  std::string counter;
};

// The n-th write of a writer.
Planned Plan(const std::string& prefix, const std::string& node, uint64_t n) {
  const std::string value = node + "." + std::to_string(n);
  const std::string own = node + ":" + std::to_string(n % AckWriter::kOwnKeys);
  const std::string shared = std::to_string(n / 8 % kShared);
  Planned planned;
  switch (n % 8) {
    case 3:
      planned.command = {"MSET"};
      for (int i = 0; i < AckWriter::kBatch; ++i) {
        const std::string key = prefix + "batch:" + own + ":" + std::to_string(i);
        planned.command.insert(planned.command.end(), {key, value});
        planned.registers.emplace_back(key, value);
      }
      break;
    case 5:
      planned.command = {"SET", prefix + "shared:" + shared, value};
      planned.registers = {{planned.command[1], value}};
      break;
    case 6:
      planned.command = {"HSET", prefix + "hash", "field-" + shared, value};
      planned.registers = {{planned.command[1] + kFieldMark + planned.command[2], value}};
      break;
    case 7:
      planned.counter = prefix + "counter:" + shared;
      planned.command = {"INCR", planned.counter};
      break;
    default:
      planned.command = {"SET", prefix + "own:" + own, value};
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
    : log_(log), target_{node, "127.0.0.1", port}, node_(std::move(node)), options_(std::move(options)) {
  thread_ = std::thread([this] { Run(); });
}

void AckWriter::Pause() {
  if (!pause_.owns_lock()) pause_ = std::unique_lock(turn_);
}

void AckWriter::Resume() {
  if (pause_.owns_lock()) pause_.unlock();
}

void AckWriter::Stop() {
  stop_ = true;
  Resume();
  if (thread_.joinable()) thread_.join();
}

void AckWriter::Run() {
  std::optional<RedisClient> client;
  for (uint64_t n = 0; !stop_;) {
    const WriteState state = WriteOnce(&client, n);
    // A refused value is nowhere, and can be the next one.
    if (state != WriteState::kRefused) ++n;
    std::this_thread::sleep_for(state == WriteState::kAcknowledged ? options_.pause : options_.patience);
  }
}

WriteState AckWriter::WriteOnce(std::optional<RedisClient>* client, uint64_t n) {
  std::lock_guard turn(turn_);
  if (stop_) return WriteState::kRefused;
  if (!*client) {
    if (options_.resolve) {
      auto target = options_.resolve();
      if (!target) return WriteState::kRefused;
      target_ = std::move(*target);
    }
    client->emplace(target_.port, target_.host, options_.timeout);
    if ((*client)->IsConnected() && !options_.password.empty()) (**client)("AUTH", options_.password);
    if (!(*client)->IsConnected()) {
      client->reset();
      return WriteState::kRefused;
    }
  }
  Planned planned = Plan(options_.prefix, node_, n);
  const uint64_t write = log_.Begin(target_.node, std::move(planned.registers), planned.counter);
  const Reply reply = (**client).Command(planned.command);
  const int64_t done_us = AckLog::NowMicros();
  const WriteState state = StateOf(reply);
  log_.End(write, state, done_us);
  // After a timeout the answer may still come, and be taken for that of another write.
  if (reply.IsBroken() || (options_.resolve && state == WriteState::kRefused)) client->reset();
  return state;
}

}  // namespace walstitch::test
