// Single keys: what this node has of them, whether another node has the same, and how they are made equal on
// the master. What blocks runs on workers of its own.
//
// Call every method on the executor. Destroy it before the executor's context.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agents/agent/command_runner.h"
#include "agents/agent/key_compare.h"
#include "agents/agent/key_values.h"
#include "agents/agent/wal_service.h"
#include "agents/http/credentials.h"
#include "policies/model/result.h"
#include "policies/model/values.h"

namespace walstitch::agent {

struct KeyServiceOptions {
  std::string data_directory;  // empty: the server is asked for everything
  node::ClientOptions client;
  std::string group;
  http::Credentials peers;             // for the other agents' API
  std::function<bool()> slot_encoded;  // cluster-enabled; called on the executor
  // A command that changes what the node is waits: what is under way then ends. Called on the executor.
  std::function<bool()> role_change_waits;
};

class KeyService : public KeyControl {
 public:
  explicit KeyService(KeyServiceOptions options);
  ~KeyService() override;
  void Stop();

  // What this node has of the keys.
  boost::asio::awaitable<Result<ValuesAnswer>> Values(KeysQuestion question);
  boost::asio::awaitable<Result<RepairableAnswer>> Repairable(KeysQuestion question);

  boost::asio::awaitable<Result<Comparison>> Compare(CompareAction action, Deadline deadline) override;
  boost::asio::awaitable<Result<MendedKey>> Repair(UserKeyName name, std::uint64_t max_bytes,
                                                   Sequence since) override;
  boost::asio::awaitable<Result<MendedKey>> Evict(UserKeyName name) override;
  [[nodiscard]] bool RoleChangeWaits() const override { return options_.role_change_waits(); }

 private:
  struct Looked {
    std::map<UserKeyName, Compared> keys;
    std::map<UserKeyName, std::string> why;
    Sequence from;
  };
  boost::asio::awaitable<Result<ValuesAnswer>> AskSurvivor(const CompareAction& action,
                                                           KeysQuestion question);
  boost::asio::awaitable<Result<Looked>> Look(const CompareAction& action, std::vector<UserKeyName> keys,
                                              Deadline deadline);
  // Of keys that changed since: those that were written whole since then, which are equal by that.
  boost::asio::awaitable<Result<void>> SettleRenewed(Sequence since, std::vector<UserKeyName>* open,
                                                     Comparison* comparison);
  boost::asio::awaitable<void> AwaitRoleChange();
  boost::asio::awaitable<Result<void>> AwaitLast(Sequence last, Deadline deadline);
  Result<MendedKey> Rewrite(const UserKeyName& name, std::uint64_t max_bytes);
  Result<MendedKey> Delete(const UserKeyName& name);

  KeyServiceOptions options_;
  std::atomic<bool> stop_{false};
  WalService wal_;
  node::KvrocksClient client_;  // the pool's
  ValueClient values_;          // the pool's
  boost::asio::thread_pool pool_{1};
};

}  // namespace walstitch::agent
