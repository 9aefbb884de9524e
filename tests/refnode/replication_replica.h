// The replica's side of replication: a thread that follows one upstream.
//
// It behaves as Kvrocks' does, traps included, because that is what the tests
// are for:
//  - any PSYNC answer but `+OK` starts a full sync, which is then retried until
//    it succeeds;
//  - a closed connection is retried after a second, an error after ten; a stop
//    waits for that sleep, and otherwise for the thread's timer of 100 ms;
//  - with masterauth, every reconnect sends one more AUTH than the one before;
//  - what was received behind a heartbeat waits for the next time something is
//    received.
//
// Start() once, Stop() once, from the thread that holds the server's exclusive
// lock. State() and LastIoSeconds() from anywhere.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "socket.h"

namespace walstitch::refnode {

class Server;

enum class LinkState {
  kConnecting,
  kHandshake,
  kConnected,
  kFetchingMeta,
  kFetchingFiles,
  kError,
};

class ReplicaLink {
 public:
  ReplicaLink(Server& server, std::string host, uint16_t port);
  ~ReplicaLink() { Stop(); }
  ReplicaLink(const ReplicaLink&) = delete;
  ReplicaLink& operator=(const ReplicaLink&) = delete;

  void Start();
  void Stop();
  bool IsStopping() const { return stop_; }

  LinkState State() const { return state_; }
  int64_t LastIoSeconds() const { return last_io_s_; }
  // Breaks the current connection, as if the network had.
  void Drop();

 private:
  // What a step of the dialogue asks for next.
  enum class Outcome {
    kContinue,
    kClosed,    // the connection ended: reconnect soon
    kRestart,   // an error: reconnect late
    kFullSync,  // the upstream will not resume us
    kDone,      // full sync is complete: resume
    kStop,
  };

  void Run();
  Outcome Psync();
  Outcome FullSync();
  Outcome Authenticate(int times);
  Outcome Handshake();
  Outcome Follow();
  Outcome FetchFiles(const std::vector<std::string>& files);
  std::optional<std::string> FetchShare(const std::vector<std::string>& files);

  bool Connect();
  bool Send(const std::vector<std::string>& command);
  // Reads one CRLF line; kContinue if there is one.
  Outcome ReadLine(std::string* line);
  // Waits for more bytes; every 100 ms looks whether to stop.
  Outcome ReceiveMore();
  Outcome SleepAfter(Outcome outcome);
  bool ApplyFrame(std::string frame);

  Server& server_;
  const std::string host_;
  const uint16_t port_;
  std::thread thread_;
  std::atomic<bool> stop_{false};
  std::atomic<LinkState> state_{LinkState::kConnecting};
  std::atomic<int64_t> last_io_s_{0};

  Socket socket_;
  std::string input_;
  int psync_auths_ = 0;
  int full_sync_auths_ = 0;
  bool skip_announced_ip_ = false;
  std::chrono::steady_clock::time_point next_tick_;
};

}  // namespace walstitch::refnode
