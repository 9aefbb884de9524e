// Makes a master the replica of its relay although nobody commands it: its lease has run out. On a thread and
// a connection of its own, so that no command and no look at the node is waited for.
//
// SLAVEOF is sent again until the server says itself that it is the relay's replica. To a server that hangs
// it stays outstanding: it lies in the server's socket, and is what the server finds when it goes on.
//
// `told` is called on the executor, which outlives Stop(). Every method from there, too.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <string>
#include <thread>

#include "agents/node/kvrocks_client.h"
#include "policies/model/report.h"

namespace walstitch::agent {

class Fence {
 public:
  struct News {
    bool over = false;    // nothing more comes
    bool parked = false;  // the node is the relay's replica; over without it: no server listens there
    std::string trouble;  // why it is not over yet, one sentence
  };

  Fence(boost::asio::any_io_executor executor, node::ClientOptions client, Endpoint relay,
        std::function<void(News)> told);
  ~Fence();
  Fence(const Fence&) = delete;
  Fence& operator=(const Fence&) = delete;

  void Stop();  // joins; idempotent

 private:
  void Run();
  News Try(node::KvrocksClient& client);

  boost::asio::any_io_executor executor_;
  node::ClientOptions client_options_;
  Endpoint relay_;
  std::function<void(News)> told_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace walstitch::agent
