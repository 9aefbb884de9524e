#include "agents/agent/node_monitor.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <utility>

namespace walstitch::agent {

namespace {

using Clock = std::chrono::steady_clock;

// Whether the second look saw another state of things than the first (a sequence that moves is none).
bool Changed(const Observation& before, const Observation& after) {
  if (before.process != after.process || before.facts.has_value() != after.facts.has_value()) return true;
  if (!before.facts) return false;
  return before.facts->role != after.facts->role || before.facts->master != after.facts->master ||
         before.facts->link_up != after.facts->link_up || before.facts->loading != after.facts->loading ||
         before.facts->sync_in_progress != after.facts->sync_in_progress;
}

}  // namespace

NodeMonitor::NodeMonitor(boost::asio::any_io_executor executor, node::ClientOptions client,
                         MonitorOptions options, std::function<void(Observation)> seen)
    : executor_(std::move(executor)),
      client_options_(std::move(client)),
      options_(options),
      seen_(std::move(seen)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  WALSTITCH_CHECK(wake_ >= 0);
  client_options_.stop = &stop_;
}

NodeMonitor::~NodeMonitor() {
  Stop();
  close(wake_);
}

void NodeMonitor::Start() {
  thread_ = std::thread([this] { Run(); });
}

void NodeMonitor::Stop() {
  stop_ = true;
  Request();
  if (thread_.joinable()) thread_.join();
}

std::uint64_t NodeMonitor::Request() {
  std::uint64_t number = ++requested_;
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = write(wake_, &one, sizeof one);  // full means awake already
  return number;
}

void NodeMonitor::Run() {
  node::KvrocksClient client(client_options_);
  Observation before;
  Clock::time_point quick_until = Clock::now() + options_.quick_time;
  while (!stop_) {
    std::uint64_t asked = requested_;
    Observation seen = Look(client);
    if (stop_) return;
    seen.served = asked;
    if (Changed(before, seen)) quick_until = Clock::now() + options_.quick_time;
    before = seen;
    boost::asio::post(executor_, [call = seen_, seen]() mutable { call(std::move(seen)); });
    if (requested_ != asked) continue;
    bool quick = Clock::now() < quick_until;
    if (Rest(client, quick ? options_.quick_interval : options_.interval)) {
      quick_until = Clock::now() + options_.quick_time;
    }
  }
}

// True if something happened: a request, or the connection ended.
bool NodeMonitor::Rest(const node::KvrocksClient& client, std::chrono::milliseconds time) {
  pollfd descriptors[2] = {{wake_, POLLIN, 0},
                           {client.Descriptor(), POLLIN | POLLRDHUP, 0}};  // -1 is skipped
  int ready = poll(descriptors, 2, static_cast<int>(time.count()));
  if (descriptors[0].revents != 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] ssize_t got = read(wake_, &count, sizeof count);
  }
  return ready > 0;
}

Observation NodeMonitor::Look(node::KvrocksClient& client) {
  Observation seen;
  auto info = client.Info();
  seen.process = ClassifyProcess(info);
  if (!info) {
    seen.error = info.error().Message();
    if (seen.process == ProcessState::kDown) asked_of_.reset();
    return seen;
  }
  seen.facts = node::ReadFacts(*info);
  bool loading = seen.facts->loading.value_or(false);
  if (!loading && (!asked_of_ || *asked_of_ != seen.facts->process_id.value_or(0))) {
    auto name = client.ConfigGet("db-name");
    auto replication_id = client.ConfigGet("use-rsid-psync");
    if (name && replication_id) {
      asked_of_ = seen.facts->process_id.value_or(0);
      database_name_ = *name;
      replication_id_psync_ = replication_id->value_or("no") == "yes";
    } else {
      seen.error = (name ? replication_id.error() : name.error()).Message();
    }
  }
  seen.database_name = database_name_;
  seen.replication_id_psync = replication_id_psync_;
  return seen;
}

}  // namespace walstitch::agent
