#include "agents/agent/node_monitor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "tests/unit/agent/scratch_directory.h"
#include "tests/unit/node/fake_kvrocks.h"

namespace walstitch::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using tests::FakeKvrocks;

// A process that holds the database's lock until it is killed.
class LockHolder {
 public:
  explicit LockHolder(const std::string& file) {
    int ready[2];
    if (pipe(ready) != 0) throw std::runtime_error("pipe");
    child_ = fork();
    if (child_ == 0) {
      const int descriptor = open(file.c_str(), O_RDWR | O_CREAT, 0644);
      struct flock lock {};
      lock.l_type = F_WRLCK;
      lock.l_whence = SEEK_SET;
      const char byte = fcntl(descriptor, F_SETLK, &lock) == 0 ? 'y' : 'n';
      if (write(ready[1], &byte, 1) == 1) pause();
      _exit(0);
    }
    close(ready[1]);
    char byte = 'n';
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
    close(ready[0]);
  }
  ~LockHolder() { Kill(); }
  LockHolder(const LockHolder&) = delete;
  LockHolder& operator=(const LockHolder&) = delete;

  void Kill() {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    child_ = 0;
  }

 private:
  pid_t child_ = 0;
};

TEST(NodeMonitor, EndOfTheProcessThatHoldsTheDatabaseIsNoticedAtOnce) {
  signal(SIGPIPE, SIG_IGN);
  tests::ScratchDirectory scratch;
  std::filesystem::create_directory(scratch.Path() + "/db");
  LockHolder holder(scratch.Path() + "/db/LOCK");
  FakeKvrocks server([](const FakeKvrocks::Words& words) -> std::optional<std::string> {
    if (words[0] == "INFO") return FakeKvrocks::Bulk("role:master\r\nloading:0\r\nprocess_id:1\r\n");
    return "*2\r\n" + FakeKvrocks::Bulk(words[2]) + FakeKvrocks::Bulk("no");
  });
  boost::asio::io_context context(1);
  auto guard = boost::asio::make_work_guard(context);
  std::mutex mutex;
  std::condition_variable changed;
  int looks = 0;
  node::ClientOptions client;
  client.port = server.Port();
  MonitorOptions options;
  options.interval = options.quick_interval = seconds(3600);  // it looks when something happens, or never
  options.database_directory = scratch.Path() + "/db";
  NodeMonitor monitor(context.get_executor(), client, options, [&](const Observation&) {
    std::lock_guard lock(mutex);
    ++looks;
    changed.notify_all();
  });
  monitor.Start();
  std::thread thread([&context] { context.run(); });
  const auto wait = [&](int wanted) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, seconds(20), [&] { return looks >= wanted; });
  };
  EXPECT_TRUE(wait(1));
  holder.Kill();
  EXPECT_TRUE(wait(2));
  monitor.Stop();
  guard.reset();
  context.stop();
  thread.join();
}

}  // namespace
}  // namespace walstitch::agent
