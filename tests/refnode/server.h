// The node: listens, runs commands, and owns everything else.
//
// A thread per connection. Commands run under a shared lock; those that Kvrocks
// runs alone (EXEC, SLAVEOF, CONFIG SET, DEBUG) take it exclusively, and a
// waiting exclusive command holds newcomers back. RequestStop() may be called
// from a signal handler; everything else as its comment says.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <fstream>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "config.h"
#include "connection.h"
#include "faults.h"
#include "pubsub.h"
#include "replication_master.h"
#include "replication_replica.h"
#include "storage.h"

namespace walstitch::refnode {

// A shared lock that prefers whoever wants it exclusively.
class CommandLock {
 public:
  CommandLock();
  ~CommandLock() { pthread_rwlock_destroy(&lock_); }
  CommandLock(const CommandLock&) = delete;
  CommandLock& operator=(const CommandLock&) = delete;

  void lock() { pthread_rwlock_wrlock(&lock_); }
  bool try_lock() { return pthread_rwlock_trywrlock(&lock_) == 0; }
  void unlock() { pthread_rwlock_unlock(&lock_); }
  void lock_shared() { pthread_rwlock_rdlock(&lock_); }
  void unlock_shared() { pthread_rwlock_unlock(&lock_); }

 private:
  pthread_rwlock_t lock_;
};

struct Stats {
  std::atomic<uint64_t> connections{0};
  std::atomic<uint64_t> commands{0};
  std::atomic<uint64_t> sync_full{0};
  std::atomic<uint64_t> sync_partial_ok{0};
  std::atomic<uint64_t> sync_partial_err{0};
  std::atomic<uint64_t> sync_partial_padding{0};
};

class Server {
 public:
  explicit Server(Config& config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The text of the error, if any.
  std::optional<std::string> Start();
  // Serves until RequestStop(), then ends every thread and closes the database.
  void Run();
  void RequestStop();
  bool IsStopping() const { return stopping_; }

  Config& config() { return config_; }
  Storage& storage() { return storage_; }
  Stats& stats() { return stats_; }
  Faults& faults() { return faults_; }
  PubSub& pubsub() { return pubsub_; }
  CommandLock& command_lock() { return command_lock_; }
  void Log(const std::string& text);

  bool IsLoading() const { return loading_; }
  bool IsReplica() const { return is_replica_; }

  // SLAVEOF, under the exclusive lock.
  std::optional<std::string> Follow(const std::string& host, uint16_t port, bool even_if_same);
  rocksdb::Status Promote();
  LinkState ReplicationState();
  // Why SLAVEOF to there makes no sense, if it does not.
  std::optional<std::string> RefuseUpstream(const std::string& host, uint16_t port);

  // Restoring a full sync: waits until nobody uses the database, and closes it.
  // False if the link was stopped meanwhile.
  bool PrepareRestore(const ReplicaLink& link);
  void FinishRestore() { loading_ = false; }

  // Runs a feeder on the calling thread.
  void Feed(Connection& connection, uint64_t next, uint64_t pad_from = 0);
  void DisconnectReplicas();
  std::atomic<int>& running_fetches() { return running_fetches_; }

  std::string Info(const std::string& section, const std::string& ns);
  std::string Role();
  std::string ClientList();

  // Namespaces: token -> namespace.
  std::map<std::string, std::string> Tokens();
  std::optional<std::string> NamespaceOfToken(const std::string& token);
  std::optional<std::string> SetNamespace(const std::string& ns, const std::string& token);
  std::optional<std::string> AddNamespace(const std::string& ns, const std::string& token);
  std::optional<std::string> DeleteNamespace(const std::string& ns);
  std::optional<std::string> LoadNamespaces();

  // WATCH.
  void Watch(Connection& connection, const std::vector<std::string>& keys);
  void Unwatch(Connection& connection);
  void MarkChanged(const std::vector<std::string>& keys);
  void MarkAllChanged();

  // SCAN hands out numbers and remembers the key that each stands for.
  std::string MakeCursor(const std::string& key);
  std::string KeyOfCursor(const std::string& cursor);

  void SetKeyCount(const std::string& ns, uint64_t keys);
  uint64_t KeyCount(const std::string& ns);

  // Shuts connections down: clients, those of them that subscribe, replicas, the upstream.
  struct Whose {
    bool clients = false;
    bool subscribers = false;
    bool replicas = false;
    bool upstream = false;
  };
  void DropConnections(const Connection* except, Whose whose);

 private:
  void Accept(Socket socket);
  void Serve(Connection& connection);
  void Reap(bool all);
  void Cron();
  std::optional<std::string> StoreNamespaces();
  std::string ReplicationInfo();

  Config& config_;
  Faults faults_;
  Storage storage_;
  Stats stats_;
  PubSub pubsub_;
  CommandLock command_lock_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> loading_{false};
  std::atomic<bool> is_replica_{false};
  std::atomic<int> running_fetches_{0};
  const int64_t started_s_;
  int stop_event_ = -1;

  std::list<Socket> listeners_;
  std::mutex connections_mutex_;
  struct Served {
    std::unique_ptr<Connection> connection;
    std::thread thread;
  };
  std::list<Served> connections_;
  std::atomic<uint64_t> next_connection_id_{1};

  std::mutex feeders_mutex_;
  std::list<Feeder*> feeders_;

  std::mutex link_mutex_;
  std::unique_ptr<ReplicaLink> link_;
  std::string upstream_host_;
  uint16_t upstream_port_ = 0;

  std::mutex tokens_mutex_;
  std::map<std::string, std::string> tokens_;

  std::mutex watch_mutex_;
  std::map<std::string, std::set<Connection*>> watchers_;

  std::mutex cursors_mutex_;
  std::vector<std::pair<uint64_t, std::string>> cursors_;
  uint64_t next_cursor_ = 0;

  std::mutex counts_mutex_;
  std::map<std::string, uint64_t> key_counts_;

  std::mutex log_mutex_;
  std::ofstream log_;
  std::thread cron_;
};

}  // namespace walstitch::refnode
