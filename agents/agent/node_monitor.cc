#include "agents/agent/node_monitor.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <utility>

#include "agents/wal/database_lock.h"

namespace walstitch::agent {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kConfigInterval{2};

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
  LetProcessGo();
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

// True if something happened: a request, or the connection or the process ended.
bool NodeMonitor::Rest(const node::KvrocksClient& client, std::chrono::milliseconds time) {
  pollfd descriptors[3] = {{wake_, POLLIN, 0},
                           {client.Descriptor(), POLLIN | POLLRDHUP, 0},
                           {process_, POLLIN, 0}};  // -1 is skipped
  int ready = poll(descriptors, 3, static_cast<int>(time.count()));
  if (descriptors[2].revents != 0) {
    process_gone_ = true;
    asked_of_.reset();
    LetProcessGo();
  }
  if (descriptors[0].revents != 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] ssize_t got = read(wake_, &count, sizeof count);
  }
  return ready > 0;
}

void NodeMonitor::LetProcessGo() {
  if (process_ >= 0) close(process_);
  process_ = -1;
}

// 1. The lock's holder is asked for. 2. It ends, and its pid is given to another process. 3. The pidfd is
// that one's. So the holder is asked for again: only if it still holds the lock, the pidfd is its.
void NodeMonitor::WatchProcess() {
  LetProcessGo();
  if (options_.database_directory.empty()) return;
  const auto holder = [this] { return wal::ExamineLock(options_.database_directory).process; };
  const std::int64_t process = holder();
  if (process <= 0) return;
  process_ = static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(process), 0));
  if (process_ >= 0 && holder() != process) LetProcessGo();
}

Observation NodeMonitor::Look(node::KvrocksClient& client) {
  Observation seen;
  auto info = client.Info();
  seen.process = ClassifyProcess(info);
  if (!info) {
    seen.error = info.error().Message();
    // Not hung, nor anything else: it was seen to end.
    if (process_gone_ && seen.process != ProcessState::kUp) seen.process = ProcessState::kDown;
    if (seen.process == ProcessState::kDown) {
      asked_of_.reset();
      LetProcessGo();
    }
    return seen;
  }
  process_gone_ = false;
  seen.facts = node::ReadFacts(*info);
  bool loading = seen.facts->loading.value_or(false);
  if (!loading && (!asked_of_ || *asked_of_ != seen.facts->process_id.value_or(0))) {
    auto name = client.ConfigGet("db-name");
    auto replication_id = client.ConfigGet("use-rsid-psync");
    if (name && replication_id) {
      asked_of_ = seen.facts->process_id.value_or(0);
      database_name_ = *name;
      replication_id_psync_ = replication_id->value_or("no") == "yes";
      WatchProcess();
    } else {
      seen.error = (name ? replication_id.error() : name.error()).Message();
    }
  }
  if (!loading && Clock::now() >= next_config_look_) {
    // Unlike the others it may be changed while the server runs. A version that does not know it has none.
    const auto empties = client.ConfigGet("slave-empty-db-before-fullsync");
    if (empties) empties_before_full_sync_ = empties->value_or("no") == "yes";
    next_config_look_ = Clock::now() + kConfigInterval;
  }
  seen.empties_before_full_sync = empties_before_full_sync_;
  seen.database_name = database_name_;
  seen.replication_id_psync = replication_id_psync_;
  return seen;
}

}  // namespace walstitch::agent
