// The WAL of another node, asked of that node's agent over its API.
//
// It shows the peer this agent's own token: the agents of a fleet share the one that their controller uses.
// A peer with another token refuses, and says so.
//
// Call it on the executor. A tail is megabytes of JSON: it is read on the pool's thread, so that it delays
// neither heartbeats nor reports. The pool outlives it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "agents/agent/command_runner.h"
#include "agents/http/credentials.h"
#include "policies/model/batch.h"
#include "policies/model/result.h"

namespace walstitch::agent {

class HttpPeerWal : public PeerWal {
 public:
  HttpPeerWal(std::string group, http::Credentials credentials, boost::asio::thread_pool& pool)
      : group_(std::move(group)), credentials_(std::move(credentials)), pool_(pool) {}

  boost::asio::awaitable<Result<TailBatches>> Tail(std::string node, std::string url, Sequence from,
                                                   std::uint64_t max_bytes,
                                                   std::chrono::milliseconds timeout) override;
  boost::asio::awaitable<Result<TailBatches>> Lent(std::string node, std::string url, Sequence from,
                                                   std::uint64_t max_bytes,
                                                   std::chrono::milliseconds timeout) override;

 private:
  boost::asio::awaitable<Result<TailBatches>> Ask(std::string url, std::string target,
                                                  std::chrono::milliseconds timeout);

  std::string group_;
  http::Credentials credentials_;
  boost::asio::thread_pool& pool_;
};

}  // namespace walstitch::agent
